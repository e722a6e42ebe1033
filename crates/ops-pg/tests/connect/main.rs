//! Connections to real servers: TLS, login, and what is said when they fail.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose preparation fails has failed"
)]

mod certificates;
mod channel_binding;
mod client_certificate;
mod client_programs;
mod login;
mod reach;
mod server;
mod session;
mod tls;
mod tls_version;
