//! The object store whose calls fail as told.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use ops_core::memory::{FaultyObjectStore, MemoryObjectStore, Operation};
use ops_core::object_store::{GetOptions, ListOptions, ObjectStoreLimits, PutOptions};
use ops_core::{ErrorKind, ObjectStore, ObjectStoreExt, Retry};

use crate::support::{body, key, keys, put, read};

fn store() -> (MemoryObjectStore, FaultyObjectStore) {
    let inner = MemoryObjectStore::builder().chunk_bytes(4).build();
    (inner.clone(), FaultyObjectStore::new(Arc::new(inner)))
}

#[tokio::test]
async fn the_nth_call_fails_once_and_does_nothing() {
    let (inner, store) = store();
    put(&store, "a", "1").await;
    store.fail(Operation::Put, 2, ErrorKind::Unavailable);
    put(&store, "a", "2").await;
    let err = store
        .put(&key("a"), "3".into(), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::Safe)
    );
    assert_eq!(read(&inner, "a").await.unwrap(), "2");
    assert_eq!(store.pending_faults(), 0);
    put(&store, "a", "4").await;
    assert_eq!(store.calls(Operation::Put), 4);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_work_done_and_the_outcome_unknown() {
    let (inner, store) = store();
    store.fail_after(Operation::Put, 1, ErrorKind::Timeout);
    store.fail_after(Operation::Delete, 1, ErrorKind::Unavailable);
    store.fail_after(Operation::PutStream, 1, ErrorKind::Timeout);
    let err = store
        .put(&key("a"), "1".into(), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(err.retry(), Retry::OutcomeUnknown);
    assert_eq!(read(&inner, "a").await.unwrap(), "1");
    let err = store.delete(&key("a")).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::OutcomeUnknown)
    );
    assert!(read(&inner, "a").await.unwrap_err().is_not_found());
    store
        .put_stream(&key("s"), body([Ok("x")]), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(read(&inner, "s").await.unwrap(), "x");
}

#[tokio::test]
async fn a_body_is_cut_truncated_and_flipped_at_the_byte() {
    let (_, store) = store();
    put(&store, "a", "0123456789").await;
    store.cut_body(1, 6);
    let mut object = store.get(&key("a"), GetOptions::default()).await.unwrap();
    assert_eq!(object.body.next().await.unwrap().unwrap(), "0123");
    assert_eq!(object.body.next().await.unwrap().unwrap(), "45");
    let err = object.body.next().await.unwrap().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(object.body.next().await.is_none());

    store.truncate_body(1, 6);
    assert_eq!(read(&store, "a").await.unwrap(), "012345");
    store.flip_bit(1, 5);
    assert_eq!(read(&store, "a").await.unwrap(), "0123446789");
    assert_eq!(read(&store, "a").await.unwrap(), "0123456789");
}

#[tokio::test]
async fn a_cut_behind_the_end_changes_nothing() {
    let (_, store) = store();
    put(&store, "a", "0123").await;
    store.cut_body(1, 5);
    assert_eq!(read(&store, "a").await.unwrap(), "0123");
    store.flip_bit(1, 4);
    assert_eq!(read(&store, "a").await.unwrap(), "0123");
}

#[tokio::test]
async fn get_bytes_notices_a_body_that_ends_in_silence() {
    let (_, store) = store();
    put(&store, "a", "0123456789").await;
    store.truncate_body(1, 6);
    let err = store.get_bytes(&key("a"), 100).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    assert_eq!(err.to_string(), "memory: a holds 10 bytes, 6 were sent");
}

#[tokio::test]
async fn an_upload_that_breaks_leaves_nothing() {
    let (inner, store) = store();
    store.cut_upload(1, 3);
    let data = body([Ok("ab"), Ok("cd"), Ok("ef")]);
    let err = store
        .put_stream(&key("s"), data, PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(keys(&inner, ListOptions::default()).await.is_empty());
    assert_eq!(inner.pending_uploads(), 0);
}

#[tokio::test]
async fn a_listing_fails_at_once_or_at_its_end() {
    let (_, store) = store();
    put(&store, "a", "x").await;
    store.fail(Operation::List, 1, ErrorKind::Unavailable);
    let mut listed = store.list(ListOptions::default());
    assert!(listed.next().await.unwrap().is_err());
    assert!(listed.next().await.is_none());
    store.fail_after(Operation::List, 1, ErrorKind::Unavailable);
    let mut listed = store.list(ListOptions::default());
    assert!(listed.next().await.unwrap().is_ok());
    assert!(listed.next().await.unwrap().is_err());
    assert!(listed.next().await.is_none());
}

#[tokio::test]
async fn abilities_go_through_the_decorator() {
    let (_, store) = store();
    for operation in [
        Operation::Presign,
        Operation::Lifecycle,
        Operation::Versions,
        Operation::ObjectLock,
        Operation::BucketAdmin,
    ] {
        store.fail(operation, 1, ErrorKind::Unavailable);
    }
    let presign = store.require_presign().unwrap();
    presign
        .presign_get(&key("a"), Duration::from_secs(1))
        .await
        .unwrap_err();
    presign
        .presign_get(&key("a"), Duration::from_secs(1))
        .await
        .unwrap();
    store
        .require_lifecycle()
        .unwrap()
        .lifecycle_rules()
        .await
        .unwrap_err();
    let versions = store.require_versions().unwrap();
    assert!(versions.list_versions("").next().await.unwrap().is_err());
    assert!(!versions.versioning_enabled().await.unwrap());
    let lock = store.require_object_lock().unwrap();
    let err = lock.retention(&key("a")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(lock.retention(&key("a")).await.unwrap_err().is_not_found());
    store
        .require_bucket_admin()
        .unwrap()
        .create_bucket()
        .await
        .unwrap_err();
    assert_eq!(store.pending_faults(), 0);
}

#[tokio::test]
async fn a_decorator_has_the_abilities_of_the_store_inside_and_no_others() {
    let (inner, _) = store();
    let plain = FaultyObjectStore::new(Arc::new(crate::forward::Plain::new(inner)));
    assert!(plain.as_presign().is_none());
    assert!(plain.as_lifecycle().is_none());
    assert!(plain.as_versions().is_none());
    assert!(plain.as_object_lock().is_none());
    assert!(plain.as_bucket_admin().is_none());
    assert_eq!(plain.limits(), ObjectStoreLimits::default());
}
