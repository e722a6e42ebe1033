//! The store against real servers.
fn main() {}
