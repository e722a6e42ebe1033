//! Pins as the store has them.

use ops_core::memory::MemoryObjectStore;
use ops_testkit::ManualClock;

use super::*;

fn layout() -> WalLayout {
    WalLayout::new("", ops_pg_replication::SystemId::new(7), false)
}

fn pin(store: &MemoryObjectStore) -> Pin {
    Pin {
        store: Arc::new(store.clone()),
        key: layout().restore_pin("00000000000000aa").unwrap(),
        body: Body {
            timeline: Timeline::FIRST,
            from: Lsn::new(0x30_0028),
            renewals: 0,
            ttl_ms: u64::try_from(LIFETIME.as_millis()).unwrap(),
        },
    }
}

async fn names(store: &MemoryObjectStore, clock: &ManualClock) -> (usize, usize) {
    let now = ops_core::Clock::now(clock);
    let pins = Pins::read(store, &layout(), now).await.unwrap();
    (pins.held.len(), pins.lapsed.len())
}

#[tokio::test(start_paused = true)]
async fn a_pin_holds_for_as_long_as_the_work_runs_and_is_gone_with_it() {
    let clock = ManualClock::at("2026-01-01T00:00:00Z");
    let store = MemoryObjectStore::builder()
        .clock(Arc::new(clock.clone()))
        .build();
    let mut held = pin(&store);
    held.write().await.unwrap();
    let work = async {
        // Four times its lifetime, by both clocks.
        for _ in 0..60 {
            tokio::time::sleep(LIFETIME / 15).await;
            clock.advance(LIFETIME / 15);
            assert_eq!(names(&store, &clock).await, (1, 0));
        }
    };
    Pin::hold(Some(held), work).await;
    assert_eq!(names(&store, &clock).await, (0, 0));
}

#[tokio::test]
async fn a_pin_that_nobody_renews_lapses_by_the_clock_of_the_store() {
    let clock = ManualClock::at("2026-01-01T00:00:00Z");
    let store = MemoryObjectStore::builder()
        .clock(Arc::new(clock.clone()))
        .build();
    pin(&store).write().await.unwrap();
    clock.advance(LIFETIME / 15 * 14);
    assert_eq!(names(&store, &clock).await, (1, 0));
    clock.advance(LIFETIME / 15);
    assert_eq!(names(&store, &clock).await, (0, 1));
}

#[tokio::test]
async fn what_cannot_be_read_holds_for_a_day_and_no_lifetime_is_longer() {
    let clock = ManualClock::at("2026-01-01T00:00:00Z");
    let store = MemoryObjectStore::builder()
        .clock(Arc::new(clock.clone()))
        .build();
    let mut long = pin(&store);
    long.body.ttl_ms = u64::MAX;
    long.write().await.unwrap();
    let key = layout().restore_pin("00000000000000bb").unwrap();
    let put = store.put(&key, "{".into(), PutOptions::default());
    put.await.unwrap();
    let now = ops_core::Clock::now(&clock);
    let err = Pins::read(&store, &layout(), now).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity, "{err}");
    clock.advance(MAX_LIFETIME);
    assert_eq!(names(&store, &clock).await, (0, 2));
}
