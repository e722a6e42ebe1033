//! Answers that are not what S3 says.

use futures_util::TryStreamExt;
use ops_core::object_store::{ListOptions, PutCondition, PutOptions};
use ops_core::{Error, ErrorKind, ObjectStore};

use crate::support::{Fault, Server, error, key, noise, on_every_server, pieces, put};

const MIB: usize = 1024 * 1024;

on_every_server!(
    an_error_under_status_200_is_an_error,
    an_answer_that_is_not_of_s3_is_not_understood,
    a_listing_that_does_not_move_on_ends_with_an_error,
);

async fn an_error_under_status_200_is_an_error(server: Server) {
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

async fn an_answer_that_is_not_of_s3_is_not_understood(server: Server) {
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

async fn a_listing_that_does_not_move_on_ends_with_an_error(server: Server) {
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
