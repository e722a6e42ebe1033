//! Every operation that this crate can send, held to the vendor's own description: the
//! requests, and all that may be answered.

use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt as _;
use ops_cloudflare::{Cloudflare, api};
use ops_conformance::contract::{Answer, Coverage, Description, Sends, lines};
use ops_core::cdn::{Cdn as _, PurgeHosts as _, PurgeRequest, PurgeTags as _};
use ops_core::dns::{
    Dns as _, DnsName, Hsts, RecordData, RecordQuery, RecordSet, RecordType, ZoneTls as _,
    ZoneTlsChange,
};
use ops_core::id::ZoneId;
use ops_core::{Error, ErrorKind};
use ops_http::test_util::{MockServer, Recorded, Reply, respond};
use ops_http::{Operation, RetryPolicy};
use serde_json::{Value, json};

use crate::fake::{DESCRIPTION, Fake, as_request, lock};

/// All that the crate can send.
fn operations() -> impl Iterator<Item = &'static Operation> {
    #[cfg(feature = "r2")]
    let of_r2 = ops_cloudflare::r2::api::OPERATIONS;
    #[cfg(not(feature = "r2"))]
    let of_r2: &[&Operation] = &[];
    api::OPERATIONS.iter().chain(of_r2).copied()
}

fn sends(operation: &'static Operation) -> Sends {
    Sends {
        operation_id: operation.id(),
        method: operation.method().as_str(),
        path: operation.template(),
        serves: operation.served(),
    }
}

fn set(kind: &str, text: &str) -> RecordSet {
    let data = RecordData::parse(&RecordType::from_name(kind), text).unwrap();
    RecordSet::new(DnsName::new("a.shop.example").unwrap(), vec![data]).unwrap()
}

/// Calls every method, with the first error of each.
async fn call_everything(cloudflare: &Cloudflare, zone: &ZoneId) -> Vec<Option<Error>> {
    let of_zone = call_zone(cloudflare, zone).await;
    #[cfg(feature = "r2")]
    let of_r2 = crate::r2::administer(cloudflare).await;
    #[cfg(not(feature = "r2"))]
    let of_r2 = Vec::new();
    of_zone.into_iter().chain(of_r2).collect()
}

async fn call_zone(cloudflare: &Cloudflare, zone: &ZoneId) -> Vec<Option<Error>> {
    let cdn = cloudflare.cdn(zone.clone(), DnsName::new("shop.example").unwrap());
    let hardened =
        ZoneTlsChange::hardened().with_hsts(Hsts::new(std::time::Duration::from_secs(60)));
    let name = DnsName::new("a.shop.example").unwrap();
    let records = RecordQuery::default()
        .with_name(name.clone())
        .with_kind(RecordType::A);
    vec![
        cloudflare.list_zones().try_collect::<Vec<_>>().await.err(),
        cloudflare.zone(zone).await.err(),
        cloudflare
            .put_record_set(zone, set("A", "192.0.2.1"))
            .await
            .err(),
        cloudflare
            .put_record_set(zone, set("A", "192.0.2.2"))
            .await
            .err(),
        cloudflare
            .put_record_set(zone, set("MX", "10 mx.shop.example"))
            .await
            .err(),
        cloudflare
            .put_record_set(zone, set("CAA", "0 issue authority.example"))
            .await
            .err(),
        cloudflare
            .put_record_set(zone, set("SRV", "1 2 443 sip.shop.example"))
            .await
            .err(),
        cloudflare
            .list_record_sets(zone, records)
            .try_collect::<Vec<_>>()
            .await
            .err(),
        cloudflare
            .delete_record_set(zone, &name, &RecordType::A)
            .await
            .err(),
        cloudflare.set_tls_settings(zone, hardened).await.err(),
        cdn.purge(PurgeRequest::everything()).await.err(),
        cdn.purge(PurgeRequest::urls(["https://shop.example/a"]))
            .await
            .err(),
        cdn.purge(PurgeRequest::prefixes(["https://shop.example/a"]))
            .await
            .err(),
        cdn.purge_tags(vec!["a".to_owned()]).await.err(),
        cdn.purge_hosts(vec!["shop.example".to_owned()]).await.err(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_sent_and_every_answer_is_understood_or_refused_by_name() {
    let description = ops_conformance::description_or_skip!(DESCRIPTION);
    let sends = operations().map(sends);
    #[cfg(feature = "r2")]
    let sends = sends.chain(crate::r2::sends());
    let coverage = Arc::new(Coverage::new("cloudflare", sends));
    send_all(&coverage, &description).await;
    #[cfg(feature = "r2")]
    crate::r2::cover(&coverage).await;
    for operation in operations() {
        for answer in description.answers(operation.id()) {
            answer_with(&coverage, &description, operation, answer).await;
        }
    }
    Arc::into_inner(coverage).unwrap().finish().unwrap();
}

/// Sends everything to the fake, and checks each request.
async fn send_all(coverage: &Coverage, description: &Description) {
    let fake = Fake::start(&["shop.example"]);
    let failed = call_everything(&fake.provider(), &fake.zone("shop.example")).await;
    let failed: Vec<_> = failed.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:?}");
    for request in fake.requests() {
        let checked = coverage.check(description, &as_request(&request));
        checked.unwrap_or_else(|found| panic!("{}", lines(&found)));
    }
}

/// Answers one operation with one generated answer, and all others as they should be.
async fn answer_with(
    coverage: &Arc<Coverage>,
    description: &Description,
    operation: &'static Operation,
    answer: Answer,
) {
    let label = format!("{} {}", operation.id(), answer.label);
    let asked: Arc<Mutex<u64>> = Arc::default();
    let (count, given, read) = (Arc::clone(&asked), answer.clone(), description.clone());
    let server = MockServer::serving(move |request| {
        let checked = read.check(&as_request(request)).map(|it| it.operation_id);
        match checked {
            Ok(id) if id == operation.id() => {
                *lock(&count) += 1;
                // A listing whose every page says that there is more is another test's.
                if *lock(&count) > 50 {
                    respond(500)
                } else {
                    reply(&given)
                }
            }
            Ok(id) => usual(&id, request),
            Err(_) => respond(500),
        }
    });
    let url = format!("{}/client/v4", server.base_url());
    let cloudflare = Cloudflare::builder("token").base_url(url).allow_http(true);
    let cloudflare = cloudflare.retry(RetryPolicy::never()).build().unwrap();
    let zone = ZoneId::new("z1").unwrap();
    let errors = call_everything(&cloudflare, &zone).await;
    assert!(*lock(&asked) > 0, "{label}: never asked");
    for err in errors.into_iter().flatten() {
        assert!(is_fitting(&answer, &err), "{label}: {err:?}");
    }
    coverage.answered(operation.id()).unwrap();
}

/// Whether an error is what an answer may lead to.
fn is_fitting(answer: &Answer, err: &Error) -> bool {
    match err.kind() {
        ErrorKind::Decode if answer.allowed => false,
        ErrorKind::Decode => ["field", "lacks"]
            .iter()
            .any(|it| err.message().contains(it)),
        // A setting as the vendor may well have it, with which a change is refused.
        _ if answer.status < 300 => err.status().is_none() || err.status() == Some(answer.status),
        _ => err.status() == Some(answer.status),
    }
}

fn reply(answer: &Answer) -> Reply {
    let content_type = answer.headers.get("content-type");
    let content_type = content_type.map_or("", |it| it.to_str().unwrap());
    respond(answer.status).body(content_type, answer.body.clone())
}

/// What the vendor answers as a rule.
fn usual(operation: &str, request: &Recorded) -> Reply {
    let zone = json!({"id": "z1", "name": "shop.example", "status": "active"});
    let record = json!({
        "id": "r1", "name": "a.shop.example", "type": "A", "content": "192.0.2.9", "ttl": 1,
    });
    let asks_for_a = request.query("type").is_some_and(|kind| kind == "A");
    let result: Value = match operation {
        "zones.list" => json!([zone]),
        "zones.get" => zone,
        "dns.records.list" if asks_for_a => json!([record]),
        "dns.records.list" => json!([]),
        "zones.settings.get" => json!({"id": "ssl", "value": "full"}),
        _ => json!({"id": "z1"}),
    };
    respond(200).json(&json!({"success": true, "errors": [], "messages": [], "result": result}))
}
