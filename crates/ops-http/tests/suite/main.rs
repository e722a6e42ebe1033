//! The transport against servers that fail in every way.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose preparation fails has failed"
)]

mod hostile;
mod leak;
mod pages;
mod retry;
mod support;
mod tls;
mod uploads;
mod wire;
