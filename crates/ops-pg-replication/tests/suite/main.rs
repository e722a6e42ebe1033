//! The client against real servers of every installed major, and against a scripted one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

mod backup;
mod commands;
mod fake;
mod faults;
mod login;
mod scripted;
mod scripted_login;
mod scripted_wal;
mod support;
mod tar;
mod timelines;
mod wal;
