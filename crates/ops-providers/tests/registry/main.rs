//! Providers by name.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose preparation fails has failed"
)]

mod names;
mod readme;
mod secrets;
mod settings;
mod support;
mod vendors;
