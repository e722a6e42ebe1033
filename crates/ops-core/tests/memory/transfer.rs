//! Objects between two stores.

use std::sync::Arc;
use std::time::Duration;

use ops_core::memory::{FaultyObjectStore, MemoryObjectStore, Operation};
use ops_core::object_store::{Checksum, ListOptions, PutOptions};
use ops_core::{ErrorKind, ObjectStore, ObjectStoreExt, OffloadOptions, SyncOptions, SyncReport};

use crate::forward::Plain;
use crate::support::{ManualClock, key, keys, put, read};

fn faulty(inner: &MemoryObjectStore) -> FaultyObjectStore {
    FaultyObjectStore::new(Arc::new(inner.clone()))
}

/// A store that keeps a checksum which the others do not, so that contents are compared.
async fn put_md5(store: &dyn ObjectStore, name: &str, data: &'static str, md5: [u8; 16]) {
    let options = PutOptions::default().with_checksum(Checksum::Md5(md5));
    store.put(&key(name), data.into(), options).await.unwrap();
}

const MD5_OF_DIGITS: [u8; 16] = [
    0x25, 0xf9, 0xe7, 0x94, 0x32, 0x3b, 0x45, 0x38, 0x85, 0xf5, 0x18, 0x1f, 0x1b, 0x62, 0x4d, 0x0b,
];

#[tokio::test]
async fn get_bytes_reads_what_fits_and_refuses_what_does_not() {
    let store = MemoryObjectStore::new();
    put(&store, "a", "12345").await;
    assert_eq!(store.get_bytes(&key("a"), 5).await.unwrap(), "12345");
    let err = store.get_bytes(&key("a"), 4).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
    assert!(store.exists(&key("a")).await.unwrap());
    assert!(!store.exists(&key("b")).await.unwrap());
}

#[tokio::test]
async fn exists_does_not_take_a_failure_for_an_absence() {
    let store = faulty(&MemoryObjectStore::new());
    store.fail(Operation::Head, 1, ErrorKind::PermissionDenied);
    let err = store.exists(&key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_move_leaves_the_object_at_the_destination_alone() {
    let (from, to) = (MemoryObjectStore::new(), MemoryObjectStore::new());
    put(&from, "a", "content").await;
    let moved = from.move_to(&key("a"), &to, &key("b")).await.unwrap();
    assert_eq!((moved.key.as_str(), moved.size_bytes), ("b", 7));
    assert_eq!(read(&to, "b").await.unwrap(), "content");
    assert!(!from.exists(&key("a")).await.unwrap());
}

#[tokio::test]
async fn a_move_within_one_store_is_a_rename_and_onto_itself_is_refused() {
    let store = MemoryObjectStore::new();
    put(&store, "a", "content").await;
    store.move_to(&key("a"), &store, &key("b")).await.unwrap();
    assert_eq!(keys(&store, ListOptions::default()).await, ["b"]);
    let err = store
        .move_to(&key("b"), &store, &key("b"))
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert_eq!(read(&store, "b").await.unwrap(), "content");
}

#[tokio::test]
async fn a_move_that_was_cut_off_is_finished_by_repeating_it() {
    let (inner, to) = (MemoryObjectStore::new(), MemoryObjectStore::new());
    let from = faulty(&inner);
    put(&from, "a", "content").await;
    from.fail(Operation::Delete, 1, ErrorKind::Unavailable);
    from.move_to(&key("a"), &to, &key("a")).await.unwrap_err();
    assert!(from.exists(&key("a")).await.unwrap() && to.exists(&key("a")).await.unwrap());
    from.move_to(&key("a"), &to, &key("a")).await.unwrap();
    assert!(!from.exists(&key("a")).await.unwrap());
}

#[tokio::test]
async fn a_move_overwrites_nothing() {
    let (from, to) = (MemoryObjectStore::new(), MemoryObjectStore::new());
    put(&from, "a", "new content").await;
    put(&to, "a", "old content").await;
    let err = from.move_to(&key("a"), &to, &key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::AlreadyExists);
    assert_eq!(read(&to, "a").await.unwrap(), "old content");
    assert_eq!(read(&from, "a").await.unwrap(), "new content");
}

#[tokio::test]
async fn a_copy_that_differs_keeps_the_source() {
    let (inner, to) = (MemoryObjectStore::new(), MemoryObjectStore::new());
    let from = faulty(&inner);
    put(&from, "a", "content").await;
    from.flip_bit(1, 3);
    let err = from.move_to(&key("a"), &to, &key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    assert_eq!(read(&inner, "a").await.unwrap(), "content");
}

#[tokio::test]
async fn without_a_common_checksum_the_contents_are_compared() {
    let (inner, to) = (
        MemoryObjectStore::builder().chunk_bytes(4).build(),
        MemoryObjectStore::new(),
    );
    let from = faulty(&inner);
    put_md5(&from, "a", "123456789", MD5_OF_DIGITS).await;
    // The first get feeds the copy, the second one the comparison.
    from.flip_bit(1, 8);
    let err = from.move_to(&key("a"), &to, &key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    assert_eq!(from.calls(Operation::Get), 2);
    to.delete(&key("a")).await.unwrap();
    // A comparison that sees only the beginning of the source proves nothing.
    from.truncate_body(2, 4);
    let err = from.move_to(&key("a"), &to, &key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    to.delete(&key("a")).await.unwrap();
    from.move_to(&key("a"), &to, &key("a")).await.unwrap();
    assert_eq!(read(&to, "a").await.unwrap(), "123456789");
}

#[tokio::test]
async fn a_source_that_breaks_leaves_nothing_at_the_destination() {
    let (inner, to) = (MemoryObjectStore::new(), MemoryObjectStore::new());
    let from = faulty(&inner);
    put(&from, "a", "content").await;
    from.cut_body(1, 3);
    let err = from.move_to(&key("a"), &to, &key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(!to.exists(&key("a")).await.unwrap());
    // One that ends in silence is noticed, too.
    from.truncate_body(1, 3);
    let err = from.move_to(&key("a"), &to, &key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    assert!(from.exists(&key("a")).await.unwrap());
}

#[tokio::test]
async fn a_source_that_changes_meanwhile_is_not_deleted() {
    let from = MemoryObjectStore::new();
    let to = Plain::disturbing(from.clone());
    put(&from, "a", "old").await;
    let err = from.move_to(&key("a"), &to, &key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
    assert_eq!(read(&from, "a").await.unwrap(), "new");
}

#[tokio::test]
async fn sync_copies_what_is_missing_or_differs_and_deletes_when_told() {
    let (from, to) = (MemoryObjectStore::new(), MemoryObjectStore::new());
    for (name, data) in [
        ("p/a", "1"),
        ("p/c", "33"),
        ("p/d", "same"),
        ("q/z", "other"),
    ] {
        put(&from, name, data).await;
    }
    for (name, data) in [
        ("p/b", "extra"),
        ("p/c", "old"),
        ("p/d", "same"),
        ("q/y", "keep"),
    ] {
        put(&to, name, data).await;
    }
    let options = SyncOptions::default().with_prefix("p/");
    let report = from.sync(&to, options.clone()).await.unwrap();
    let mut expected = SyncReport::default();
    (expected.copied, expected.copied_bytes, expected.unchanged) = (2, 3, 1);
    assert_eq!(report, expected);
    assert_eq!(
        keys(&to, ListOptions::default()).await,
        ["p/a", "p/b", "p/c", "p/d", "q/y"]
    );
    assert_eq!(read(&to, "p/c").await.unwrap(), "33");

    let report = from
        .sync(&to, options.with_delete_extra(true))
        .await
        .unwrap();
    assert_eq!((report.copied, report.unchanged, report.deleted), (0, 3, 1));
    assert_eq!(
        keys(&to, ListOptions::prefix("p/")).await,
        ["p/a", "p/c", "p/d"]
    );
}

#[tokio::test]
async fn sync_sees_a_change_that_keeps_the_size() {
    let (from, to) = (MemoryObjectStore::new(), MemoryObjectStore::new());
    put(&from, "a", "one").await;
    from.sync(&to, SyncOptions::default()).await.unwrap();
    put(&from, "a", "two").await;
    assert_eq!(
        from.sync(&to, SyncOptions::default()).await.unwrap().copied,
        1
    );
    assert_eq!(read(&to, "a").await.unwrap(), "two");
}

#[tokio::test]
async fn sync_ends_at_a_failure_and_goes_on_when_repeated() {
    let (from, inner) = (MemoryObjectStore::new(), MemoryObjectStore::new());
    let to = faulty(&inner);
    for name in ["a", "b", "c"] {
        put(&from, name, "x").await;
    }
    to.fail(Operation::PutStream, 2, ErrorKind::Unavailable);
    let err = from.sync(&to, SyncOptions::default()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    let report = from.sync(&to, SyncOptions::default()).await.unwrap();
    assert_eq!((report.copied, report.unchanged), (2, 1));
}

/// Objects of 10 bytes each, written one second apart in the order `c`, `a`, `d`, `b`.
async fn aged() -> MemoryObjectStore {
    let clock = ManualClock::new();
    let store = MemoryObjectStore::builder()
        .clock(Arc::clone(&clock) as _)
        .build();
    for name in ["c", "a", "d", "b"] {
        put(&store, name, "0123456789").await;
        clock.advance(Duration::from_secs(1));
    }
    store
}

#[tokio::test]
async fn nothing_is_offloaded_up_to_the_threshold() {
    let (from, to) = (aged().await, MemoryObjectStore::new());
    let report = from
        .offload(&to, OffloadOptions::new(40, 10))
        .await
        .unwrap();
    assert_eq!(
        (report.before_bytes, report.moved, report.is_below),
        (40, 0, true)
    );
    assert!(keys(&to, ListOptions::default()).await.is_empty());
}

#[tokio::test]
async fn the_coldest_are_offloaded_down_to_the_low_water_mark() {
    let (from, to) = (aged().await, MemoryObjectStore::new());
    let report = from
        .offload(&to, OffloadOptions::new(39, 25))
        .await
        .unwrap();
    assert_eq!(
        (report.moved, report.moved_bytes, report.is_below),
        (2, 20, true)
    );
    assert_eq!(keys(&to, ListOptions::default()).await, ["a", "c"]);
    assert_eq!(keys(&from, ListOptions::default()).await, ["b", "d"]);
}

#[tokio::test]
async fn an_offload_moves_no_more_than_it_may_and_says_that_more_is_left() {
    let (from, to) = (aged().await, MemoryObjectStore::new());
    let options = OffloadOptions::new(30, 10).with_max_objects(1);
    let report = from.offload(&to, options.clone()).await.unwrap();
    assert_eq!((report.moved, report.is_below), (1, false));
    assert_eq!(keys(&to, ListOptions::default()).await, ["c"]);
    // What is left is no more than the threshold.
    assert!(from.offload(&to, options).await.unwrap().is_below);
}

#[tokio::test]
async fn a_low_water_mark_above_the_threshold_is_refused() {
    let (from, to) = (aged().await, MemoryObjectStore::new());
    let err = from
        .offload(&to, OffloadOptions::new(10, 20))
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn an_offload_that_fails_loses_nothing() {
    let (from, inner) = (aged().await, MemoryObjectStore::new());
    let to = faulty(&inner);
    to.fail(Operation::PutStream, 2, ErrorKind::QuotaExceeded);
    let err = from
        .offload(&to, OffloadOptions::new(10, 0))
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(keys(&inner, ListOptions::default()).await, ["c"]);
    assert_eq!(keys(&from, ListOptions::default()).await, ["a", "b", "d"]);
}

#[tokio::test]
async fn a_copy_of_the_same_moment_is_not_taken_for_the_source_itself() {
    let clock = ManualClock::new();
    let store = || {
        MemoryObjectStore::builder()
            .clock(Arc::clone(&clock) as _)
            .build()
    };
    let (from, to) = (store(), store());
    put(&from, "a", "content").await;
    put(&to, "a", "content").await;
    from.move_to(&key("a"), &to, &key("a")).await.unwrap();
    assert!(keys(&from, ListOptions::default()).await.is_empty());
    assert_eq!(keys(&to, ListOptions::default()).await, ["a"]);
    // Still refused where it is one store, seen through two handles.
    let other = Plain::new(to.clone());
    let err = to.move_to(&key("a"), &other, &key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert_eq!(keys(&to, ListOptions::default()).await, ["a"]);
}
