//! What is done about servers and networks that fail.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_core::object_store::{ETag, GetOptions, ListOptions, PutCondition, PutOptions};
use ops_core::{Error, ErrorKind, ObjectStore, Retry};

use crate::support::{Fault, Server, error, key, noise, pieces, put, read};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_overloaded_is_asked_again() {
    let server = Server::start().await;
    let store = server.store().await;
    server.fault(2, "PUT /bucket/a", error(503, "SlowDown"));
    put(&store, "a", "content").await;
    assert_eq!(server.requests("PUT /bucket/a").len(), 3);

    server.fault(3, "GET /bucket/a", error(503, "SlowDown"));
    let err = read(&store, "a").await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::RateLimited, Retry::Never)
    );
    assert_eq!(
        (err.code(), err.status(), err.attempts()),
        (Some("SlowDown"), Some(503), 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_close_and_servers_that_fail_are_tried_again() {
    let server = Server::start().await;
    let store = server.store().await;
    server.fault(1, "PUT /bucket/a", Fault::CloseBefore);
    server.fault(1, "PUT /bucket/a", error(500, "InternalError"));
    put(&store, "a", "content").await;
    server.fault(2, "GET /bucket/a", Fault::CloseBefore);
    assert_eq!(read(&store, "a").await.unwrap(), "content");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_may_have_happened_says_so() {
    let server = Server::start().await;
    let store = server.store().await;
    server.fault(3, "PUT /bucket/a", Fault::LoseAnswer);
    let written = store
        .put(&key("a"), "x".into(), PutOptions::default())
        .await;
    let err = written.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::OutcomeUnknown)
    );
    assert_eq!(err.attempts(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_was_lost_is_known_as_ours() {
    let lease_key = key("lease");
    let server = Server::start().await;
    let store = server.store().await;
    // Repeated, it loses against itself.
    server.fault(1, "PUT /bucket/lease", Fault::LoseAnswer);
    let lease = store.put(&lease_key, "me".into(), PutOptions::if_none_match());
    assert_eq!(lease.await.unwrap().size_bytes, 2);
    assert_eq!(server.requests("PUT /bucket/lease").len(), 2);

    let swap = PutOptions::if_match(store.head(&key("lease")).await.unwrap().etag.unwrap());
    server.fault(1, "PUT /bucket/lease", Fault::LoseAnswer);
    store
        .put(&key("lease"), "me again".into(), swap)
        .await
        .unwrap();
    assert_eq!(read(&store, "lease").await.unwrap(), "me again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_lost_to_the_same_content_is_not_ours() {
    let server = Server::start().await;
    let store = server.store().await;
    store
        .put(&key("lease"), "me".into(), PutOptions::if_none_match())
        .await
        .unwrap();
    server.fault(1, "PUT /bucket/lease", Fault::CloseBefore);
    let second = store
        .put(&key("lease"), "me".into(), PutOptions::if_none_match())
        .await;
    let err = second.unwrap_err();
    assert_eq!((err.kind(), err.attempts()), (ErrorKind::AlreadyExists, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_write_that_collided_is_repeated() {
    let lease_key = key("lease");
    let server = Server::start().await;
    let store = server.store().await;
    server.fault(
        2,
        "PUT /bucket/lease",
        error(409, "ConditionalRequestConflict"),
    );
    let lease = store.put(&lease_key, "me".into(), PutOptions::if_none_match());
    lease.await.unwrap();
    server.fault(
        3,
        "PUT /bucket/lease",
        error(409, "ConditionalRequestConflict"),
    );
    let lease = store.put(&lease_key, "me".into(), PutOptions::if_none_match());
    assert_eq!(lease.await.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_whose_answer_was_lost_is_known_as_ours() {
    let server = Server::start().await;
    let store = server.store().await;
    let data = noise(12 * MIB);
    server.fault(1, "POST /bucket/big?uploadId", Fault::LoseAnswer);
    let options = PutOptions::if_none_match();
    let meta = store
        .put_stream(&key("big"), pieces(data.clone(), 100_000), options)
        .await;
    assert_eq!(meta.unwrap().size_bytes, data.len() as u64);
    assert!(read(&store, "big").await.unwrap() == data);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checksum_that_is_acknowledged_wrongly_is_damage() {
    let server = Server::start().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_not_what_was_written_ends_with_damage() {
    let server = Server::start().await;
    let store = server.store().await;
    put(&store, "a", "content").await;
    server.fault(1, "GET /bucket/a", Fault::Flip);
    assert_eq!(
        read(&store, "a").await.unwrap_err().kind(),
        ErrorKind::Integrity
    );
    assert_eq!(read(&store, "a").await.unwrap(), "content");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_resumed_where_it_ended() {
    let server = Server::start().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_a_large_object_is_resumed_as_well() {
    let server = Server::start().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_while_it_is_read_is_a_conflict() {
    let server = Server::start().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_if_match_on_reads_is_found_out() {
    let server = Server::start().await;
    let mut profile = crate::support::profile();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_given_up() {
    let server = Server::start().await;
    let store = server
        .builder()
        .profile(crate::support::profile())
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

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_may_pause_for_longer_than_a_stall() {
    let server = Server::start().await;
    let store = server
        .builder()
        .profile(crate::support::profile())
        .stall_timeout(Duration::from_millis(50))
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
        if read.len() < MIB {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        read.extend_from_slice(&chunk);
    }
    assert!(read == data);
    assert_eq!(server.requests("GET /bucket/a").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_a_timeout() {
    let server = Server::start().await;
    let store = server
        .builder()
        .profile(crate::support::profile())
        .attempt_timeout(Duration::from_millis(50))
        .open()
        .await
        .unwrap();
    server.fault(3, "/bucket/a", Fault::Silence);
    let err = store.head(&key("a")).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry(), err.attempts()),
        (ErrorKind::Timeout, Retry::Never, 3)
    );
    server.fault(3, "/bucket/a", Fault::Silence);
    let err = store.delete(&key("a")).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Timeout, Retry::OutcomeUnknown)
    );
}

#[tokio::test]
async fn what_never_left_did_not_happen() {
    let store = ops_s3::S3Store::builder("bucket")
        .endpoint("http://127.0.0.1:1")
        .allow_http(true)
        .credentials(ops_s3::S3Credentials::new("AKIDCANARY", "x"))
        .initial_backoff(Duration::from_millis(1))
        .profile(crate::support::profile())
        .open()
        .await
        .unwrap();
    let err = store
        .put(&key("a"), "x".into(), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        (err.kind(), err.retry(), err.attempts()),
        (ErrorKind::Unavailable, Retry::Never, 3)
    );
    assert!(err.message().contains("refused"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_dropped_is_abandoned() {
    let server = Server::start().await;
    let store = server.store().await;
    let endless = pieces(noise(11 * MIB), MIB).chain(stream::pending());
    let name = key("big");
    let upload = store.put_stream(&name, Box::pin(endless), PutOptions::default());
    tokio::select! {
        _ = upload => panic!("an endless stream ended"),
        () = server.wait_for("partNumber=2") => {}
    }
    server.wait_for("DELETE /bucket/big?").await;
    assert!(store.head(&name).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_dropped_while_it_begins_is_abandoned() {
    let server = Server::start().await;
    let store = server.store().await;
    let name = key("big");
    let upload = store.put_stream(&name, pieces(noise(11 * MIB), MIB), PutOptions::default());
    tokio::select! {
        _ = upload => panic!("the upload was too fast"),
        () = server.wait_for("POST /bucket/big?uploads") => {}
    }
    server.wait_for("DELETE /bucket/big?").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_under_status_200_is_an_error() {
    let server = Server::start().await;
    let store = server.store().await;
    server.fault(3, "POST /bucket/big?uploadId", error(200, "InternalError"));
    let data = pieces(noise(11 * MIB), MIB);
    let err = store
        .put_stream(&key("big"), data, PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(err.code(), Some("InternalError"));
    put(&store, "from", "content").await;
    server.fault(3, "PUT /bucket/to", error(200, "InternalError"));
    let copied = store
        .copy(&key("from"), &key("to"), PutCondition::Always)
        .await;
    assert_eq!(copied.unwrap_err().code(), Some("InternalError"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_of_s3_is_not_understood() {
    let server = Server::start().await;
    let store = server.store().await;
    let page = "<html><body>It works!</body>".to_owned();
    server.fault(1, "list-type=2", Fault::Status(200, page.clone()));
    let listed: Result<Vec<_>, Error> = store.list(ListOptions::default()).try_collect().await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::Decode);
    server.fault(3, "list-type=2", Fault::Status(502, page));
    let listed: Result<Vec<_>, Error> = store.list(ListOptions::default()).try_collect().await;
    let err = listed.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable, "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_does_not_move_on_ends_with_an_error() {
    let server = Server::start().await;
    let store = server.store().await;
    let page = |token: &str, key: &str| {
        Fault::Status(
            200,
            format!(
                "<ListBucketResult><IsTruncated>true</IsTruncated>{token}<Contents><Key>{key}</Key>\
             <Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>"
            ),
        )
    };
    let next = "<NextContinuationToken>t</NextContinuationToken>";
    let other = "<NextContinuationToken>u</NextContinuationToken>";
    for pages in [
        vec![page(next, "a"), page(next, "b")],
        vec![page(next, "a"), page(next, "a")],
        vec![page(next, "b"), page(other, "a")],
        vec![page("", "a")],
    ] {
        for fault in pages {
            server.fault(1, "list-type=2", fault);
        }
        let listed: Result<Vec<_>, Error> = store.list(ListOptions::default()).try_collect().await;
        assert_eq!(listed.unwrap_err().kind(), ErrorKind::Decode);
    }
}
