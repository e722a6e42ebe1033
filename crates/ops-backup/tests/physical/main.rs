//! Tests of physical backups against real servers, in one binary.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod base;
