//! Tests of the engine against real servers, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

mod by_hand;
mod canary;
mod damage;
mod failures;
mod kill;
mod lease;
mod majors;
mod memory;
mod processes;
mod recorder;
mod round_trip;
mod stores;
mod support;
