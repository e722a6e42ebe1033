//! Cloudflare as a provider: its behavior, its contract, and what it does with nonsense.

mod bad_input;
mod behavior;
mod conformance;
mod contract;
mod fake;
mod leak;
#[cfg(feature = "r2")]
mod r2;
mod support;
