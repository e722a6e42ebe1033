//! What a vendor, a proxy in between or a caller can get wrong.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use ops_cloudflare::{Cloudflare, CloudflareBuilder};
use ops_core::dns::{Dns as _, RecordQuery};
use ops_core::id::ZoneId;
use ops_core::{ErrorKind, Retry};
use ops_http::RetryPolicy;
use ops_http::test_util::{MockServer, Reply, respond};
use serde_json::json;

use crate::fake::Fake;

fn builder(server: &MockServer) -> CloudflareBuilder {
    let quick =
        RetryPolicy::default().with_backoff(Duration::from_millis(1), Duration::from_millis(2));
    Cloudflare::builder("token")
        .base_url(server.base_url())
        .allow_http(true)
        .retry(quick)
}

fn at(server: &MockServer) -> Cloudflare {
    builder(server).build().unwrap()
}

fn zone() -> ZoneId {
    ZoneId::new("z1").unwrap()
}

fn failure(status: u16, code: u32) -> Reply {
    let errors = json!([{"code": code, "message": "no"}]);
    respond(status)
        .json(&json!({"success": false, "errors": errors, "messages": [], "result": null}))
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_unauthenticated() {
    for (status, code) in [(400, 6003), (400, 9106), (401, 1000)] {
        let refused = failure(status, code);
        // A 401 is sent once more, with a credential that is fetched anew.
        let server = MockServer::serving(move |_| refused.clone());
        let err = at(&server).zone(&zone()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unauthenticated, "{code}");
        assert_eq!(err.code(), Some(code.to_string().as_str()));
    }
}

#[tokio::test]
async fn the_vendors_codes_mean_what_they_say() {
    for (status, code, kind) in [
        (404, 7003, ErrorKind::NotFound),
        (400, 7003, ErrorKind::NotFound),
        (403, 10_000, ErrorKind::PermissionDenied),
        (400, 81_053, ErrorKind::Conflict),
        (404, 81_044, ErrorKind::Conflict),
        (400, 81_058, ErrorKind::AlreadyExists),
        (400, 1004, ErrorKind::InvalidInput),
    ] {
        let server = MockServer::start([failure(status, code)]);
        let err = at(&server).zone(&zone()).await.unwrap_err();
        assert_eq!((err.kind(), err.retry()), (kind, Retry::Never), "{code}");
    }
}

#[tokio::test]
async fn a_failure_under_success_is_a_failure() {
    let server = MockServer::start([failure(200, 7003)]);
    let err = at(&server).zone(&zone()).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::NotFound, Some("7003"))
    );
}

#[tokio::test]
async fn ids_arrive_as_they_are() {
    let fake = Fake::start(&["shop.example"]);
    let dns = fake.provider();
    for id in ["a/b", "a?b=c", "a#b", "100%", "a b", "zöne", "%2F"] {
        let err = dns.zone(&ZoneId::new(id).unwrap()).await.unwrap_err();
        assert!(err.is_not_found(), "{id}: {err}");
        assert_eq!(err.resource(), Some(id));
    }
    let asked = fake.asked();
    assert_eq!(asked[0], "GET /zones/a%2Fb");
    assert_eq!(asked[5], "GET /zones/z%C3%B6ne");
    for id in [".", ".."] {
        let err = dns.zone(&ZoneId::new(id).unwrap()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput, "{id}");
    }
}

#[test]
fn what_is_no_base_url_and_no_token_is_refused_at_once() {
    for url in [
        "nowhere",
        "ftp://api.example",
        "http://api.example",
        "https://u:p@api.example",
    ] {
        let err = Cloudflare::builder("token")
            .base_url(url)
            .build()
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{url}");
    }
    let err = Cloudflare::builder("to\nken").build().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn nonsense_is_not_understood_and_no_panic() {
    for (reply, said) in [
        (respond(200).json(&json!([])), ""),
        (respond(200).json(&json!({"success": true})), "result"),
        (respond(200).json(&json!({"result": {"id": "z1"}})), "name"),
        (
            respond(200).json(&json!({"result": {"id": "z1", "name": "a b"}})),
            "name",
        ),
        (
            respond(200).json(&json!({"result": {"id": "", "name": "a.b"}})),
            "id",
        ),
    ] {
        let server = MockServer::start([reply]);
        let err = at(&server).zone(&zone()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Decode, "{err}");
        assert!(err.message().contains(said), "{err}");
    }
}

#[tokio::test]
async fn a_list_that_never_ends_ends() {
    let server = MockServer::serving(|_| {
        let info = json!({"page": 1, "total_pages": 2});
        respond(200).json(&json!({"success": true, "result": [], "result_info": info}))
    });
    let records = at(&server).list_record_sets(&zone(), RecordQuery::default());
    let err = records.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Decode);
    assert_eq!(server.requests().len(), 1);
}
