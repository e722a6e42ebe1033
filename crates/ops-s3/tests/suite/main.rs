//! The store against real servers.

mod conformance;
#[path = "../../../ops-core/tests/memory/contract/object_store.rs"]
mod contract;
mod support;
