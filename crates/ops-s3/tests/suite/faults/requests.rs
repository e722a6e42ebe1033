//! Requests that fail, and answers that are lost.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use ops_core::object_store::PutOptions;
use ops_core::{ErrorKind, ObjectStore, Retry};

use crate::support::{Fault, Server, error, key, noise, on_every_server, pieces, put, read};

const MIB: usize = 1024 * 1024;

on_every_server!(
    what_is_overloaded_is_asked_again,
    connections_that_close_and_servers_that_fail_are_tried_again,
    a_write_that_may_have_happened_says_so,
    a_create_whose_answer_was_lost_is_known_as_ours,
    a_create_that_lost_to_the_same_content_is_not_ours,
    a_conditional_write_that_collided_is_repeated,
    a_completion_whose_answer_was_lost_is_known_as_ours,
    a_store_that_does_not_answer_is_a_timeout,
    an_upload_that_is_dropped_is_abandoned,
    a_request_that_is_reset_in_the_middle_is_sent_again,
    an_upload_whose_part_fails_for_good_leaves_nothing,
    an_upload_that_is_dropped_while_it_begins_is_abandoned,
);

async fn what_is_overloaded_is_asked_again(server: Server) {
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

async fn connections_that_close_and_servers_that_fail_are_tried_again(server: Server) {
    let store = server.store().await;
    server.fault(1, "PUT /bucket/a", Fault::CloseBefore);
    server.fault(1, "PUT /bucket/a", error(500, "InternalError"));
    put(&store, "a", "content").await;
    server.fault(2, "GET /bucket/a", Fault::CloseBefore);
    assert_eq!(read(&store, "a").await.unwrap(), "content");
}

async fn a_write_that_may_have_happened_says_so(server: Server) {
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

async fn a_create_whose_answer_was_lost_is_known_as_ours(server: Server) {
    let lease_key = key("lease");
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

async fn a_create_that_lost_to_the_same_content_is_not_ours(server: Server) {
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

async fn a_conditional_write_that_collided_is_repeated(server: Server) {
    let lease_key = key("lease");
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

async fn a_completion_whose_answer_was_lost_is_known_as_ours(server: Server) {
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

async fn a_store_that_does_not_answer_is_a_timeout(server: Server) {
    let store = server
        .builder()
        .profile(server.profile())
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

async fn an_upload_that_is_dropped_is_abandoned(server: Server) {
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

async fn an_upload_that_is_dropped_while_it_begins_is_abandoned(server: Server) {
    let store = server.store().await;
    let name = key("big");
    let upload = store.put_stream(&name, pieces(noise(11 * MIB), MIB), PutOptions::default());
    tokio::select! {
        _ = upload => panic!("the upload was too fast"),
        () = server.wait_for("POST /bucket/big?uploads") => {}
    }
    server.wait_for("DELETE /bucket/big?").await;
}

async fn a_request_that_is_reset_in_the_middle_is_sent_again(server: Server) {
    let store = server.store().await;
    let data = noise(12 * MIB);
    server.fault(1, "PUT /bucket/a", Fault::BreakUpload(100_000));
    let small = data.slice(..MIB);
    let (a, b) = (key("a"), key("b"));
    let written = store.put(&a, small.clone(), PutOptions::default());
    written.await.unwrap();
    assert_eq!(server.requests("PUT /bucket/a").len(), 2);
    assert!(read(&store, "a").await.unwrap() == small);
    server.fault(2, "partNumber=2", Fault::BreakUpload(100_000));
    let stream = pieces(data.clone(), MIB);
    let written = store.put_stream(&b, stream, PutOptions::default());
    written.await.unwrap();
    assert_eq!(server.requests("partNumber=2").len(), 3);
    assert!(read(&store, "b").await.unwrap() == data);
}

async fn an_upload_whose_part_fails_for_good_leaves_nothing(server: Server) {
    let store = server.store().await;
    let name = key("big");
    for (fault, kind) in [
        (error(503, "SlowDown"), ErrorKind::RateLimited),
        (error(500, "InternalError"), ErrorKind::Unavailable),
        (Fault::CloseBefore, ErrorKind::Unavailable),
        (error(403, "AccessDenied"), ErrorKind::PermissionDenied),
    ] {
        server.fault(3, "partNumber=2", fault);
        let data = pieces(noise(12 * MIB), MIB);
        let written = store.put_stream(&name, data, PutOptions::default()).await;
        assert_eq!(written.unwrap_err().kind(), kind);
        server.heal();
    }
    assert_eq!(server.requests("DELETE /bucket/big?").len(), 4);
    assert!(store.head(&name).await.unwrap_err().is_not_found());
    if let Some(fake) = server.as_fake() {
        assert!(fake.open_uploads().is_empty());
    }
}
