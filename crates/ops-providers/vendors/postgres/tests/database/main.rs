//! The provider against real servers, and against ones that misbehave.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose preparation fails has failed"
)]

mod conformance;
mod describe;
mod fake;
mod leak;
mod ping;
mod refusal;
