//! The bucket in memory.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use ops_core::memory::{FaultyObjectStore, MemoryObjectStore};
use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{ErrorKind, ObjectStore};

use crate::contract::object_store as contract;
use crate::support::{body, key, keys, put, read};

/// One test per case, for the bucket itself and for one inside a decorator without faults.
macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod itself {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                contract::$case(&MemoryObjectStore::builder().chunk_bytes(3).build()).await;
            })+
        }

        mod decorated {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let store = FaultyObjectStore::new(Arc::new(MemoryObjectStore::new()));
                contract::$case(&store).await;
            })+
        }
    };
}

contract!(
    what_was_put_is_read_and_described,
    an_empty_object_is_an_object,
    a_stream_of_unknown_length_is_put,
    a_stream_that_fails_leaves_nothing_and_its_error_comes_back,
    a_stream_that_fails_leaves_the_old_version,
    dropping_put_stream_leaves_nothing,
    nothing_is_visible_before_a_stream_has_ended,
    ranges_are_cut_at_the_end_and_refused_behind_it,
    what_is_missing_is_not_found,
    deleting_what_is_missing_succeeds,
    many_are_deleted_and_answered_in_order,
    listing_is_in_the_order_of_bytes,
    a_long_listing_comes_whole_and_once,
    of_racing_creates_one_wins,
    racing_swaps_lose_no_update,
    a_swap_needs_the_version_that_is_there,
    a_streamed_create_loses_to_what_is_there,
    equal_content_written_again_may_be_created_after_a_delete,
    a_wrong_checksum_leaves_nothing,
    a_copy_is_whole_and_obeys_its_condition,
    a_reader_sees_one_version,
);

#[tokio::test]
async fn an_upload_is_pending_until_it_ends_or_is_dropped() {
    let store = MemoryObjectStore::new();
    let name = key("s");
    let endless = body([Ok("half")]).chain(stream::pending());
    let mut upload = store.put_stream(&name, Box::pin(endless), PutOptions::default());
    assert_eq!(store.pending_uploads(), 0);
    assert!((&mut upload).now_or_never().is_none());
    assert_eq!(store.pending_uploads(), 1);
    drop(upload);
    assert_eq!(store.pending_uploads(), 0);

    store
        .put_stream(&name, body([Ok("whole")]), PutOptions::default())
        .await
        .unwrap();
    assert_eq!(store.pending_uploads(), 0);
}

#[tokio::test]
async fn a_full_store_refuses_and_keeps_what_it_has() {
    let store = MemoryObjectStore::builder().capacity_bytes(10).build();
    put(&store, "a", "12345678").await;
    let err = store
        .put(&key("b"), "123".into(), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(keys(&store, ListOptions::default()).await, ["a"]);
    // What is replaced makes room for what replaces it.
    put(&store, "a", "1234567890").await;
    store.delete(&key("a")).await.unwrap();
    put(&store, "b", "1234567890").await;
}

#[tokio::test]
async fn an_object_above_the_limit_is_refused_before_the_stream_has_ended() {
    let store = MemoryObjectStore::builder().max_object_bytes(4).build();
    assert_eq!(store.limits().max_object_bytes, Some(4));
    let endless = body([Ok("123"), Ok("456")]).chain(stream::pending());
    let err = store
        .put_stream(&key("a"), Box::pin(endless), PutOptions::default())
        .await;
    assert_eq!(err.unwrap_err().kind(), ErrorKind::QuotaExceeded);
    assert_eq!(store.pending_uploads(), 0);
    put(&store, "a", "1234").await;
}

#[tokio::test]
async fn clones_are_the_same_bucket() {
    let store = MemoryObjectStore::new();
    put(&store.clone(), "a", "x").await;
    assert_eq!(read(&store, "a").await.unwrap(), "x");
}

#[tokio::test]
async fn errors_name_provider_operation_and_key() {
    let err = MemoryObjectStore::new().head(&key("no")).await.unwrap_err();
    assert_eq!(
        err.to_string(),
        "memory: object_store.head: no does not exist"
    );
    assert_eq!(err.resource(), Some("no"));
}
