//! Tests of physical backups against real servers, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

mod base;
mod by_hand;
mod chain;
mod drill;
mod faults;
mod forged;
mod judges;
mod majors;
mod pitr;
mod restore;
mod status;
mod support;
mod verify;
mod wal;

#[path = "../suite/support.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod shared;

#[path = "../suite/stores.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod stores;
