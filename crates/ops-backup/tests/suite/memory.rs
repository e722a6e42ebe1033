//! How much memory the engine leaves to others.

use std::sync::{Arc, Mutex};

use ops_backup::{Backup, Encryption};
use ops_core::memory::MemoryObjectStore;
use ops_postgres::Postgres;

use crate::stores::{Odd, Oddity};

const MIB: u64 = 1 << 20;

/// What the stores of an engine are bounded to.
fn bounds(memory_mib: usize, stores: usize) -> Vec<u64> {
    let bounds = Arc::new(Mutex::new(Vec::new()));
    let store = || {
        Arc::new(Odd {
            store: Arc::new(MemoryObjectStore::new()),
            oddity: Oddity::Bounded(Arc::clone(&bounds)),
        })
    };
    let database = Arc::new(Postgres::from_url("postgresql://nobody@127.0.0.1/none").unwrap());
    let mut builder = Backup::builder(database, store())
        .encryption(Encryption::none())
        .memory_bytes(memory_mib << 20);
    if stores == 2 {
        builder = builder.second_store(store());
    }
    builder.build().unwrap();
    let bounds = bounds.lock().unwrap();
    bounds.clone()
}

#[test]
fn the_stores_share_a_quarter_of_the_memory_and_leave_what_frames_need() {
    assert_eq!(bounds(64, 1), [16 * MIB]);
    assert_eq!(bounds(64, 2), [8 * MIB, 8 * MIB]);
    // Two workers need 14 MiB.
    assert_eq!(bounds(16, 1), [2 * MIB]);
}
