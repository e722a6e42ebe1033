//! The store against real servers, and against servers that fail.

mod conformance;
#[path = "../../../ops-core/tests/memory/contract/object_store.rs"]
mod contract;
mod faults;
mod probe;
mod secrets;
mod support;
mod transfer;
