//! The store against real servers, and against servers that fail.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod conformance;
mod copies;
mod faults;
mod kills;
mod locks;
mod probe;
mod profiles;
mod secrets;
mod support;
mod tls;
mod transfer;
