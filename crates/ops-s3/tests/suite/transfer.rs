//! Objects of many parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use ops_core::object_store::{
    ByteRange, Checksum, GetOptions, ListOptions, PutCondition, PutOptions,
};
use ops_core::{ErrorKind, ObjectStore};
use ops_s3::StoreProfile;

use crate::support::{Fault, Server, key, noise, pieces, put, read, read_with};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_up_in_parts_comes_down_in_ranges() {
    let server = Server::start().await;
    let store = server.store().await;
    for bytes in [
        0,
        1,
        5 * MIB - 1,
        5 * MIB,
        5 * MIB + 1,
        10 * MIB,
        10 * MIB + 1,
        33 * MIB,
    ] {
        let data = noise(bytes);
        // A key of its own: s3s-fs keeps the checksum of what it replaces by an upload.
        let (a, b) = (format!("a/{bytes}"), format!("b/{bytes}"));
        let up = store
            .put(&key(&a), data.clone(), PutOptions::default())
            .await
            .unwrap();
        assert_eq!(up.size_bytes, bytes as u64);
        assert!(read(&store, &a).await.unwrap() == data, "{bytes}");
        let stream = pieces(data.clone(), 777_777);
        let up = store
            .put_stream(&key(&b), stream, PutOptions::default())
            .await
            .unwrap();
        assert_eq!(up.size_bytes, bytes as u64);
        assert!(read(&store, &b).await.unwrap() == data, "{bytes}");
    }
    // One request for what is short, also as a stream of exactly one part.
    assert_eq!(
        server
            .requests("x-id=PutObject")
            .iter()
            .filter(|line| line.contains("/b/"))
            .count(),
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn long_ranges_come_in_parallel_and_exactly() {
    let server = Server::start().await;
    let store = server.store().await;
    let data = noise(40 * MIB);
    store
        .put(&key("a"), data.clone(), PutOptions::default())
        .await
        .unwrap();
    for (range, expected) in [
        (ByteRange::From(3), 3..40 * MIB),
        (ByteRange::From(39 * MIB as u64), 39 * MIB..40 * MIB),
        (ByteRange::Suffix(30 * MIB as u64), 10 * MIB..40 * MIB),
        (
            ByteRange::Bounded {
                offset: 7,
                length: 22 * MIB as u64,
            },
            7..22 * MIB + 7,
        ),
        (
            ByteRange::Bounded {
                offset: 30 * MIB as u64,
                length: u64::MAX,
            },
            30 * MIB..40 * MIB,
        ),
    ] {
        let part = read_with(&store, "a", GetOptions::range(range))
            .await
            .unwrap();
        assert!(part == data.slice(expected), "{range:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_write_promises_is_kept_in_parts_too() {
    let server = Server::start().await;
    let store = server.store().await;
    let data = noise(17 * MIB);
    let blake3 = Checksum::Blake3(*blake3::hash(&data).as_bytes());
    let right = PutOptions::default().with_checksum(blake3);
    let stream = pieces(data.clone(), MIB);
    store
        .put_stream(&key("a"), stream, right.clone())
        .await
        .unwrap();
    store.put(&key("b"), data.clone(), right).await.unwrap();

    let wrong = PutOptions::default().with_checksum(Checksum::Crc32c(7));
    let stream = pieces(data.clone(), MIB);
    let err = store
        .put_stream(&key("c"), stream, wrong.clone())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    assert_eq!(
        server.requests("DELETE /bucket/c?").len(),
        1,
        "the upload was abandoned"
    );
    let err = store.put(&key("d"), data, wrong).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    assert!(server.requests("/bucket/d").is_empty());
    assert!(store.head(&key("c")).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_md5_alone_verifies_all_the_same() {
    let server = Server::start().await;
    let mut profile = StoreProfile::r2();
    profile.list_uploads = false;
    let store = server.builder().profile(profile).open().await.unwrap();
    let data = noise(17 * MIB);
    store
        .put(&key("a"), data.clone(), PutOptions::default())
        .await
        .unwrap();
    assert!(read(&store, "a").await.unwrap() == data);
    put(&store, "b", "content").await;
    server.fault(1, "GET /bucket/b", Fault::Flip);
    assert_eq!(
        read(&store, "b").await.unwrap_err().kind(),
        ErrorKind::Integrity
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_handle_reads_no_further_ahead_than_its_memory() {
    let server = Server::start().await;
    let whole = server.store().await;
    let store = whole.bounded(16 * MIB as u64).unwrap();
    assert!(store.limits().max_object_bytes < whole.limits().max_object_bytes);
    let data = pieces(noise(64 * MIB), MIB);
    let read_bytes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read_bytes);
    let data = data.inspect_ok(move |piece| {
        counted.fetch_add(piece.len(), Ordering::Relaxed);
    });
    // No part is ever answered, so none makes room.
    server.fault(usize::MAX, "partNumber", Fault::Silence);
    let name = key("a");
    tokio::select! {
        put = store.put_stream(&name, data.boxed(), PutOptions::default()) => {
            panic!("it ended: {put:?}")
        }
        () = server.wait_for("partNumber=3") => {}
    }
    let read_bytes = read_bytes.load(Ordering::Relaxed);
    assert!(read_bytes <= 17 * MIB, "{read_bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_read_into_a_write_of_the_same_store_however_small_the_budget() {
    let server = Server::start().await;
    let store = server
        .builder()
        .profile(crate::support::profile())
        .byte_budget(5 * MIB as u64)
        .open()
        .await
        .unwrap();
    let data = noise(40 * MIB);
    store
        .put(&key("from"), data.clone(), PutOptions::default())
        .await
        .unwrap();
    let copies = (0..4).map(|number| {
        let store = &store;
        async move {
            let object = store
                .get(&key("from"), GetOptions::default())
                .await
                .unwrap();
            let name = key(&format!("to{number}"));
            store
                .put_stream(&name, object.body, PutOptions::default())
                .await
                .unwrap();
        }
    });
    let all = futures_util::future::join_all(copies);
    tokio::time::timeout(Duration::from_mins(1), all)
        .await
        .unwrap();
    assert!(read(&store, "to3").await.unwrap() == data);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_a_store_ignores_are_refused_and_never_sent() {
    let server = Server::start().await;
    let mut profile = crate::support::profile();
    profile.put_if_none_match = false;
    profile.put_if_match = None;
    profile.complete_if_none_match = false;
    let store = server.builder().profile(profile).open().await.unwrap();
    let err = store
        .put(&key("a"), "x".into(), PutOptions::if_none_match())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unsupported);
    assert!(
        err.message().contains("If-None-Match in PutObject"),
        "{err}"
    );
    let data = pieces(noise(11 * MIB), MIB);
    let err = store
        .put_stream(&key("a"), data, PutOptions::if_none_match())
        .await
        .unwrap_err();
    assert!(
        err.message()
            .contains("If-None-Match in CompleteMultipartUpload"),
        "{err}"
    );
    assert!(server.requests("/bucket/a").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_keeps_its_condition_in_one_piece_where_parts_cannot() {
    let server = Server::start().await;
    let mut profile = crate::support::profile();
    profile.complete_if_none_match = false;
    let store = server.builder().profile(profile).open().await.unwrap();
    let data = noise(20 * MIB);
    store
        .put(&key("a"), data.clone(), PutOptions::if_none_match())
        .await
        .unwrap();
    let err = store
        .put(&key("a"), data, PutOptions::if_none_match())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::AlreadyExists);
    assert!(server.requests("POST").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_take_the_way_that_keeps_their_condition() {
    let server = Server::start().await;
    for (copy, parts) in [(true, true), (false, true), (false, false)] {
        let mut profile = crate::support::profile();
        // s3s-fs ignores conditions on a copy.
        profile.copy_if_none_match = false;
        profile.copy = copy;
        profile.upload_part_copy = parts;
        let store = server.builder().profile(profile).open().await.unwrap();
        put(&store, "from", "content").await;
        for condition in [PutCondition::Always, PutCondition::IfNoneMatch] {
            let name = key(&format!("to/{copy}/{parts}/{condition:?}"));
            let made = store.copy(&key("from"), &name, condition).await.unwrap();
            assert_eq!(made.size_bytes, 7);
            assert_eq!(read(&store, name.as_str()).await.unwrap(), "content");
            let again = store
                .copy(&key("from"), &name, PutCondition::IfNoneMatch)
                .await;
            assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_part_of_the_bucket_and_not_of_the_keys() {
    let server = Server::start().await;
    let whole = server.store().await;
    let store = server
        .builder()
        .profile(crate::support::profile())
        .prefix("in/")
        .open()
        .await
        .unwrap();
    put(&store, "a", "inside").await;
    put(&whole, "b", "outside").await;
    assert_eq!(read(&whole, "in/a").await.unwrap(), "inside");
    assert_eq!(
        crate::support::keys(&store, ListOptions::default()).await,
        ["a"]
    );
    assert!(store.as_lifecycle().is_none() && store.as_bucket_admin().is_none());
    let outcomes = store.delete_many(vec![key("a"), key("b")]).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(
        crate::support::keys(&whole, ListOptions::default()).await,
        ["b"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_read_on_costs_no_further_request() {
    let server = Server::start().await;
    let store = server.store().await;
    store
        .put(&key("a"), noise(40 * MIB), PutOptions::default())
        .await
        .unwrap();
    let object = store.get(&key("a"), GetOptions::default()).await.unwrap();
    drop(object);
    assert_eq!(server.requests("GET /bucket/a").len(), 1);
    let mut body = store
        .get(&key("a"), GetOptions::default())
        .await
        .unwrap()
        .body;
    body.next().await.unwrap().unwrap();
    drop(body);
}
