//! Both commands, run by real servers.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

mod archive;
mod restore;
mod scene;
