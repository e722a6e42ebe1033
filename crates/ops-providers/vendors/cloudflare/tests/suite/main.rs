//! Cloudflare as a provider: its behavior, its contract, and what it does with nonsense.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails where it must"
)]

mod bad_input;
mod behavior;
mod conformance;
mod contract;
mod fake;
mod leak;
#[cfg(feature = "r2")]
mod r2;
mod wire;
