//! Tests of the store on real file systems.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod child;
mod confine;
mod conformance;
mod contract;
mod full;
mod integrity;
mod kill;
mod leak;
mod model;
mod order;
mod power;
mod race;
mod speed;
mod stream;
mod support;
