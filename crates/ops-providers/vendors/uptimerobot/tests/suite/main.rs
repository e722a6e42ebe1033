//! UptimeRobot as a provider: its behavior, its contract, and what it does with nonsense.

#![expect(
    clippy::unwrap_used,
    reason = "what a helper cannot do fails the test that called it"
)]

mod bad_input;
mod behavior;
mod conformance;
mod contract;
mod fake;
mod leak;
mod wire;
