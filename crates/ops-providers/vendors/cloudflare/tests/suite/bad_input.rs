//! What a vendor, a proxy in between or a caller can get wrong.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use ops_cloudflare::{Cloudflare, CloudflareBuilder};
use ops_core::dns::{Dns as _, DnsName, RecordData, RecordQuery, RecordSet};
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

#[tokio::test]
async fn a_base_url_may_end_in_a_slash() {
    for slash in ["", "/"] {
        let found = json!({"success": true, "result": {"id": "z1", "name": "shop.example"}});
        let server = MockServer::start([respond(200).json(&found).to("GET /v4/zones/z1")]);
        let url = format!("{}/v4{slash}", server.base_url());
        let dns = builder(&server).base_url(url).build().unwrap();
        assert_eq!(
            dns.zone(&zone()).await.unwrap().name.as_str(),
            "shop.example"
        );
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
    let huge = "x".repeat(9 * 1024 * 1024);
    for (reply, said) in [
        (respond(200), "no body"),
        (respond(200).html(), "HTML"),
        (
            respond(200).body("application/json", "{\"result"),
            "not JSON",
        ),
        (respond(200).body("application/json", huge), ""),
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
async fn a_page_of_html_under_an_error_is_that_error() {
    let server = MockServer::serving(|_| respond(502).html());
    let err = at(&server).zone(&zone()).await.unwrap_err();
    assert_eq!((err.kind(), err.attempts()), (ErrorKind::Unavailable, 3));
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

#[tokio::test]
async fn a_batch_whose_outcome_is_unknown_is_not_sent_again() {
    let server = MockServer::serving(|request| match request.method.as_str() {
        "POST" => respond(504),
        _ if request.path().ends_with("dns_records") => {
            respond(200).json(&json!({"success": true, "result": []}))
        }
        _ => respond(200)
            .json(&json!({"success": true, "result": {"id": "z1", "name": "shop.example"}})),
    });
    let name = DnsName::new("a.shop.example").unwrap();
    let set = RecordSet::new(name, vec![RecordData::A("192.0.2.1".parse().unwrap())]).unwrap();
    let err = at(&server).put_record_set(&zone(), set).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Timeout, Retry::OutcomeUnknown)
    );
    let posts = server
        .requests()
        .iter()
        .filter(|it| it.method == "POST")
        .count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn a_limit_is_waited_for() {
    let found = json!({"success": true, "result": {"id": "z1", "name": "shop.example"}});
    let limited = failure(429, 971).header("retry-after", "0");
    let server = MockServer::start([limited, respond(200).json(&found)]);
    at(&server).zone(&zone()).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}
