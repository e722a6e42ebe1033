//! Runs that end at any of their calls to the store.

use std::sync::Arc;

use ops_core::ErrorKind as CoreKind;
use ops_core::memory::{FaultyObjectStore, Operation};

use super::scene::{GRACE, Scene, retention};
use super::usual;

const OPERATIONS: [Operation; 6] = [
    Operation::Put,
    Operation::Get,
    Operation::Head,
    Operation::List,
    Operation::Delete,
    Operation::DeleteMany,
];

/// Runs twice, a grace period apart, with one call that fails; tells whether it came to that
/// call.
async fn broken(scene: &Scene, operation: Operation, nth: u64, after: bool) -> bool {
    let store = FaultyObjectStore::new(scene.store());
    if after {
        store.fail_after(operation, nth, CoreKind::Unavailable);
    } else {
        store.fail(operation, nth, CoreKind::Unavailable);
    }
    let engine = scene.builder(Arc::new(store.clone())).build().unwrap();
    for _ in 0..2 {
        drop(engine.expire_wal(&retention(3)).await);
        // Whatever happened, everything within the window can be recovered.
        let windows = scene.windows().await;
        assert_eq!(windows.last().unwrap().2, 10, "{operation:?} {nth}");
        assert!(windows.last().unwrap().1 <= 5, "{operation:?} {nth}");
        assert_eq!(scene.frontier(1).await, 10, "{operation:?} {nth}");
        scene.clock.advance(GRACE);
    }
    store.pending_faults() == 0
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_at_any_call_leaves_the_window_whole_and_the_next_one_goes_on() {
    let mut broken_at = 0;
    for operation in OPERATIONS {
        for after in [false, true] {
            for nth in 1.. {
                let scene = usual().await;
                if !broken(&scene, operation, nth, after).await {
                    break;
                }
                broken_at += 1;
                for _ in 0..2 {
                    scene.expire(&retention(3)).await;
                    scene.clock.advance(GRACE);
                }
                let there = scene.segments_there(1).await;
                assert_eq!(there, (5..10).collect::<Vec<_>>(), "{operation:?} {nth}");
                assert_eq!(scene.windows().await, [(1, 1, 1), (1, 5, 10)]);
                assert_eq!(scene.marks().await, 0, "{operation:?} {nth}");
            }
        }
    }
    assert!(broken_at > 40, "{broken_at}");
}
