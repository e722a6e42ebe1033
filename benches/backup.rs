//! Benchmarks of ops-backup beside its peers.

fn main() {}
