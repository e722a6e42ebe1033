//! Cloudflare that refuses, breaks and talks nonsense.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use ops_cloudflare::{Cloudflare, CloudflareCdn, api};
use ops_conformance::wire::{Endpoint, Failure, Page, Wire};
use ops_core::cdn::{Cdn as _, PurgeRequest};
use ops_core::dns::{
    Dns as _, DnsName, RecordData, RecordQuery, RecordSet, ZoneTls as _, ZoneTlsChange,
};
use ops_core::id::ZoneId;
use ops_http::Paging;
use ops_http::test_util::{Reply, respond};
use serde_json::{Value, json};

const PAGES: Paging = Paging::Page {
    parameter: "page",
    first: 1,
};

fn cloudflare(at: &Endpoint) -> Cloudflare {
    Cloudflare::builder(at.token())
        .base_url(at.base_url())
        .allow_http(true)
        .http_client(at.http_client())
        .limits(at.limits())
        .retry(at.retry())
        .build()
        .unwrap()
}

fn wire() -> Wire<Cloudflare> {
    let wire = Wire::new(api::OPERATIONS, cloudflare)
        .failures(failure)
        .call(
            "cache.purge",
            success(&json!({ "id": "z1" })),
            |it, _| async move { cdn(&it).purge(PurgeRequest::everything()).await },
        )
        .call(
            "dns.records.batch",
            success(&json!({})),
            |it, _| async move { it.put_record_set(&zone("z1"), set()).await },
        )
        .call("dns.records.list", records(&Page::last(0)), |it, sample| {
            let listed = it.list_record_sets(&zone(sample.id()), RecordQuery::default());
            listed.try_collect::<Vec<_>>()
        })
        .paged(PAGES, records)
        .call(
            "zones.get",
            success(&shown("z1", "shop.example")),
            |it, sample| async move { it.zone(&zone(sample.id())).await },
        )
        .call(
            "zones.list",
            zones(&Page::last(0)),
            |it: Arc<Cloudflare>, _| it.list_zones().try_collect::<Vec<_>>(),
        )
        .paged(PAGES, zones)
        .call(
            "zones.settings.edit",
            success(&json!({ "id": "http3", "value": "on" })),
            |it, sample| async move {
                let change = ZoneTlsChange::default().with_http3(true);
                it.set_tls_settings(&zone(sample.id()), change).await
            },
        )
        .call(
            "zones.settings.get",
            success(&json!({ "id": "http3", "value": "off" })),
            |it, sample| async move { it.tls_settings(&zone(sample.id())).await },
        );
    with_buckets(wire)
}

#[cfg(not(feature = "r2"))]
fn with_buckets(wire: Wire<Cloudflare>) -> Wire<Cloudflare> {
    wire
}

#[cfg(feature = "r2")]
fn with_buckets(wire: Wire<Cloudflare>) -> Wire<Cloudflare> {
    use ops_cloudflare::r2::CorsRule;
    use ops_core::object_store::{BucketAdmin as _, Lifecycle as _, LifecycleRule};

    use crate::r2::administered;

    let rule = json!({ "id": "a", "enabled": true, "conditions": { "prefix": "a/" } });
    let cors = json!({ "allowed": { "methods": ["GET"], "origins": ["https://shop.example"] } });
    wire.and_operations(ops_cloudflare::r2::api::OPERATIONS)
        .call(
            "r2.buckets.create",
            success(&json!({})),
            |it, _| async move { administered(&it).await.create_bucket().await },
        )
        .call(
            "r2.buckets.delete",
            success(&json!({})),
            |it, _| async move { administered(&it).await.delete_bucket().await },
        )
        .absent_is_success()
        .ignores_answer()
        .call(
            "r2.buckets.cors.delete",
            success(&json!({})),
            |it, _| async move { administered(&it).await.set_cors_rules(Vec::new()).await },
        )
        .absent_is_success()
        .ignores_answer()
        .call(
            "r2.buckets.cors.get",
            success(&json!({ "rules": [cors] })),
            |it, _| async move { administered(&it).await.cors_rules().await },
        )
        .call(
            "r2.buckets.cors.update",
            success(&json!({})),
            |it, _| async move {
                let rule = CorsRule::new(["https://shop.example"], ["GET"]);
                administered(&it).await.set_cors_rules(vec![rule]).await
            },
        )
        .call(
            "r2.buckets.lifecycle.get",
            success(&json!({ "rules": [rule] })),
            |it, _| async move { administered(&it).await.lifecycle_rules().await },
        )
        .call(
            "r2.buckets.lifecycle.update",
            success(&json!({})),
            |it, _| async move {
                let rule = LifecycleRule::new("a", "a/").with_expire_after_days(1);
                administered(&it)
                    .await
                    .set_lifecycle_rules(vec![rule])
                    .await
            },
        )
}

fn zone(id: &str) -> ZoneId {
    ZoneId::new(id).unwrap()
}

fn cdn(it: &Cloudflare) -> CloudflareCdn {
    it.cdn(zone("z1"), DnsName::new("shop.example").unwrap())
}

fn set() -> RecordSet {
    let name = DnsName::new("a.shop.example").unwrap();
    RecordSet::new(name, vec![RecordData::A("192.0.2.1".parse().unwrap())]).unwrap()
}

fn success(result: &Value) -> Reply {
    respond(200).json(&json!({ "success": true, "errors": [], "messages": [], "result": result }))
}

fn shown(id: &str, name: &str) -> Value {
    json!({ "id": id, "name": name, "status": "active", "name_servers": ["ada.ns.cloudflare.com"] })
}

fn listed(page: &Page<'_>, item: &Value) -> Reply {
    let total = page.number + 1 + usize::from(page.next.is_some());
    respond(200).json(&json!({
        "success": true,
        "result": [item],
        "result_info": { "page": page.number + 1, "per_page": 1, "total_pages": total },
    }))
}

fn zones(page: &Page<'_>) -> Reply {
    listed(page, &shown(&format!("z{}", page.number), "shop.example"))
}

fn records(page: &Page<'_>) -> Reply {
    let name = format!("b{}.shop.example", page.number);
    let record = json!({ "id": "r1", "name": name, "type": "A", "content": "192.0.2.9", "ttl": 1 });
    listed(page, &record)
}

fn failure(failure: &Failure) -> Reply {
    let errors = json!([{ "code": 1, "message": failure.message }]);
    respond(failure.status)
        .header("cf-ray", failure.request_id)
        .json(&json!({ "success": false, "errors": errors, "messages": [], "result": null }))
}

ops_conformance::wire!(wire());
