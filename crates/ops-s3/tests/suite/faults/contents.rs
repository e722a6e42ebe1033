//! Contents that break off, drip or are damaged.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use ops_core::object_store::{ETag, GetOptions, ListOptions, PutOptions};
use ops_core::{Error, ErrorKind, ObjectStore, Retry};

use crate::support::{Fault, Server, key, noise, on_every_server, pieces, put, read};

const MIB: usize = 1024 * 1024;

on_every_server!(
    a_checksum_that_is_acknowledged_wrongly_is_damage,
    content_that_is_not_what_was_written_ends_with_damage,
    a_body_that_breaks_off_is_resumed_where_it_ended,
    a_range_of_a_large_object_is_resumed_as_well,
    an_object_that_changes_while_it_is_read_is_a_conflict,
    a_store_that_ignores_if_match_on_reads_is_found_out,
    a_body_that_drips_is_given_up,
    what_is_damaged_on_its_way_up_is_not_stored,
    a_reader_may_pause_for_longer_than_a_stall,
);

async fn a_checksum_that_is_acknowledged_wrongly_is_damage(server: Server) {
    let store = server.store().await;
    let wrong = Fault::Header("x-amz-checksum-crc32c", "AAAAAA==");
    server.fault(1, "PUT /bucket/a", wrong);
    let written = store
        .put(&key("a"), "content".into(), PutOptions::default())
        .await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Integrity);

    let wrong = Fault::Header("etag", "\"00000000000000000000000000000000\"");
    server.fault(1, "partNumber=2", wrong);
    let data = pieces(noise(16 * MIB), MIB);
    let written = store
        .put_stream(&key("b"), data, PutOptions::default())
        .await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(
        server.requests("DELETE /bucket/b?").len(),
        1,
        "the upload was abandoned"
    );
    assert!(store.head(&key("b")).await.unwrap_err().is_not_found());
}

async fn content_that_is_not_what_was_written_ends_with_damage(server: Server) {
    let store = server.store().await;
    put(&store, "a", "content").await;
    server.fault(1, "GET /bucket/a", Fault::Flip);
    assert_eq!(
        read(&store, "a").await.unwrap_err().kind(),
        ErrorKind::Integrity
    );
    assert_eq!(read(&store, "a").await.unwrap(), "content");
}

async fn a_body_that_breaks_off_is_resumed_where_it_ended(server: Server) {
    let store = server.store().await;
    let data = noise(3 * MIB);
    store
        .put(&key("a"), data.clone(), PutOptions::default())
        .await
        .unwrap();
    server.fault(1, "GET /bucket/a", Fault::Truncate(MIB));
    server.fault(1, "GET /bucket/a", Fault::Truncate(0));
    assert!(read(&store, "a").await.unwrap() == data);
    assert_eq!(server.requests("GET /bucket/a").len(), 3);

    server.fault(9, "GET /bucket/a", Fault::Truncate(0));
    let err = read(&store, "a").await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::Never)
    );
}

async fn a_range_of_a_large_object_is_resumed_as_well(server: Server) {
    let store = server.store().await;
    let data = noise(32 * MIB);
    store
        .put(&key("a"), data.clone(), PutOptions::default())
        .await
        .unwrap();
    let object = store.get(&key("a"), GetOptions::default()).await.unwrap();
    server.fault(2, "GET /bucket/a", Fault::Truncate(MIB));
    let chunks: Vec<_> = object.body.try_collect().await.unwrap();
    assert!(chunks.concat() == data);
    assert_eq!(server.requests("GET /bucket/a").len(), 1 + 6 + 2);
}

async fn an_object_that_changes_while_it_is_read_is_a_conflict(server: Server) {
    let store = server.store().await;
    let data = noise(32 * MIB);
    store
        .put(&key("a"), data.clone(), PutOptions::default())
        .await
        .unwrap();
    let object = store.get(&key("a"), GetOptions::default()).await.unwrap();
    store
        .put(&key("a"), noise(31 * MIB), PutOptions::default())
        .await
        .unwrap();
    let read: Result<Vec<_>, Error> = object.body.try_collect().await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Conflict);
}

async fn a_store_that_ignores_if_match_on_reads_is_found_out(server: Server) {
    let mut profile = server.profile();
    profile.get_if_match = None;
    let store = server.builder().profile(profile).open().await.unwrap();
    store
        .put(&key("a"), noise(32 * MIB), PutOptions::default())
        .await
        .unwrap();
    let object = store.get(&key("a"), GetOptions::default()).await.unwrap();
    store
        .put(&key("a"), noise(31 * MIB), PutOptions::default())
        .await
        .unwrap();
    let read: Result<Vec<_>, Error> = object.body.try_collect().await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Conflict);
    let stale = GetOptions::default().with_if_match(ETag::new("never"));
    let err = store.get(&key("a"), stale).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
}

async fn a_body_that_drips_is_given_up(server: Server) {
    let store = server
        .builder()
        .profile(server.profile())
        .stall_timeout(Duration::from_millis(100))
        .open()
        .await
        .unwrap();
    put(&store, "a", "much longer than what comes within the time").await;
    server.fault(9, "GET /bucket/a", Fault::Drip(Duration::from_millis(20)));
    let begin = Instant::now();
    let err = read(&store, "a").await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Timeout, Retry::Never)
    );
    assert!(begin.elapsed() < Duration::from_secs(5));
    // Also an answer that the SDK reads by itself.
    server.fault(9, "list-type=2", Fault::Drip(Duration::from_millis(20)));
    let listed: Result<Vec<_>, Error> = store.list(ListOptions::default()).try_collect().await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::Timeout);
}

async fn a_reader_may_pause_for_longer_than_a_stall(server: Server) {
    let store = server
        .builder()
        .profile(server.profile())
        .stall_timeout(Duration::from_secs(1))
        .open()
        .await
        .unwrap();
    let data = noise(9 * MIB);
    store
        .put(&key("a"), data.clone(), PutOptions::default())
        .await
        .unwrap();
    let object = store.get(&key("a"), GetOptions::default()).await.unwrap();
    let mut body = object.body;
    let mut read = Vec::new();
    while let Some(chunk) = body.try_next().await.unwrap() {
        if read.is_empty() {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        }
        read.extend_from_slice(&chunk);
    }
    assert!(read == data);
    assert_eq!(server.requests("GET /bucket/a").len(), 1);
}

async fn what_is_damaged_on_its_way_up_is_not_stored(server: Server) {
    let store = server.store().await;
    // s3s-fs calls it an internal error, and that may be another time.
    let damage = |err: Error| match err.kind() {
        ErrorKind::Integrity => true,
        kind => kind == ErrorKind::Unavailable && err.status() == Some(500),
    };
    // More than are tried: three for each piece, and the pieces share them.
    server.fault(99, "PUT /bucket/", Fault::FlipUpload);
    let written = store
        .put(&key("a"), noise(MIB), PutOptions::default())
        .await;
    assert!(damage(written.unwrap_err()));
    let data = pieces(noise(12 * MIB), MIB);
    let b = key("b");
    let written = store.put_stream(&b, data, PutOptions::default());
    assert!(damage(written.await.unwrap_err()));
    server.heal();
    for name in ["a", "b"] {
        assert!(store.head(&key(name)).await.unwrap_err().is_not_found());
    }
    assert_eq!(server.requests("DELETE /bucket/b?").len(), 1);
}
