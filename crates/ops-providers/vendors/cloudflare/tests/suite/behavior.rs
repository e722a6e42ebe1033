//! What the traits ask for, and what is Cloudflare's own, against the fake.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use ops_core::cdn::{Cdn as _, PurgeHosts as _, PurgeRequest, PurgeTags as _};
use ops_core::dns::{
    Dns as _, DnsName, Hsts, RecordData, RecordQuery, RecordSet, RecordType, ZoneTls as _,
    ZoneTlsChange,
};
use ops_core::{DnsExt as _, EnsureOutcome, ErrorKind};
use serde_json::json;

use crate::fake::Fake;

const ZONE: &str = "shop.example";

fn set(name: &str, kind: &str, texts: &[&str]) -> RecordSet {
    let kind = RecordType::from_name(kind);
    let records = texts
        .iter()
        .map(|text| RecordData::parse(&kind, text).unwrap());
    RecordSet::new(DnsName::new(name).unwrap(), records.collect()).unwrap()
}

#[tokio::test]
async fn every_zone_of_every_page_is_listed() {
    let names = ["a.example", "b.example", "c.example", "d.example"];
    let fake = Fake::start(&names);
    let zones: Vec<_> = fake.provider().list_zones().try_collect().await.unwrap();
    let listed: Vec<_> = zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(listed, names);
    assert_eq!(zones[0].name_servers[0].as_str(), "ada.ns.cloudflare.com");
    assert_eq!(
        fake.asked(),
        ["GET /zones?per_page=50", "GET /zones?per_page=50&page=2"]
    );
}

#[tokio::test]
async fn a_set_whose_records_stand_on_two_pages_is_one_item() {
    let fake = Fake::start(&[ZONE]);
    let (dns, zone) = (fake.provider(), fake.zone(ZONE));
    let name = "a.shop.example";
    let many = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    // What is made last stands behind another name, unless records are asked for by name.
    for wanted in [
        set(name, "A", &many[..3]),
        set("b.shop.example", "TXT", &["x"]),
        set(name, "A", &many),
    ] {
        dns.put_record_set(&zone, wanted).await.unwrap();
    }
    let all = dns.list_record_sets(&zone, RecordQuery::default());
    let all: Vec<_> = all.try_collect().await.unwrap();
    let sizes: Vec<_> = all
        .iter()
        .map(|set| (set.kind.as_str(), set.records.len()))
        .collect();
    assert_eq!(sizes, [("A", 4), ("TXT", 1)]);
}

#[tokio::test]
async fn a_set_is_changed_by_one_request_and_its_records_in_place() {
    let fake = Fake::start(&[ZONE]);
    let (dns, zone) = (fake.provider(), fake.zone(ZONE));
    let name = "a.shop.example";
    dns.put_record_set(&zone, set(name, "A", &["192.0.2.1"]))
        .await
        .unwrap();
    let id = fake.account().zones[zone.as_str()].records[0]["id"].clone();
    // A comment is nobody's business but its author's.
    fake.account().zones.get_mut(zone.as_str()).unwrap().records[0]["comment"] = json!("mine");
    let before = fake.asked().len();
    dns.put_record_set(&zone, set(name, "A", &["192.0.2.2"]))
        .await
        .unwrap();
    let asked = fake.asked().split_off(before);
    assert_eq!(
        asked.iter().filter(|it| !it.starts_with("GET ")).count(),
        1,
        "{asked:?}"
    );
    let record = fake.account().zones[zone.as_str()].records[0].clone();
    assert_eq!(
        (&record["id"], &record["content"]),
        (&id, &json!("192.0.2.2"))
    );
    assert_eq!(record["comment"], json!("mine"));
}

#[tokio::test]
async fn a_set_that_is_as_wanted_is_not_sent() {
    let fake = Fake::start(&[ZONE]);
    let (dns, zone) = (fake.provider(), fake.zone(ZONE));
    let wanted = set(
        "a.shop.example",
        "MX",
        &["10 mx1.example", "20 mx2.example"],
    )
    .with_ttl(Duration::from_secs(300));
    for batches in [1, 1] {
        dns.put_record_set(&zone, wanted.clone()).await.unwrap();
        let sent = fake
            .asked()
            .iter()
            .filter(|it| it.starts_with("POST "))
            .count();
        assert_eq!(sent, batches);
    }
}

#[tokio::test]
async fn a_proxied_set_has_the_vendors_time_to_live() {
    let fake = Fake::start(&[ZONE]);
    let (dns, zone) = (fake.provider(), fake.zone(ZONE));
    let wanted = set("a.shop.example", "A", &["192.0.2.1"]).with_proxied(true);
    let ensured = dns
        .ensure_record_sets(&zone, vec![wanted.clone()])
        .await
        .unwrap();
    assert_eq!(ensured[0].as_ref().unwrap().outcome, EnsureOutcome::Created);
    let again = dns
        .ensure_record_sets(&zone, vec![wanted.clone()])
        .await
        .unwrap();
    assert_eq!(again[0].as_ref().unwrap().outcome, EnsureOutcome::Unchanged);
    let timed = wanted.with_ttl(Duration::from_secs(300));
    let refused = dns.put_record_set(&zone, timed).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn types_with_fields_come_back_as_they_were_put() {
    let fake = Fake::start(&[ZONE]);
    let (dns, zone) = (fake.provider(), fake.zone(ZONE));
    for (kind, text) in [
        ("HTTPS", "1 . alpn=\"h3,h2\""),
        ("TLSA", "3 1 1 0123abcd"),
        ("SSHFP", "4 2 0123abcd"),
        ("PTR", "shop.example"),
    ] {
        let wanted = set("a.shop.example", kind, &[text]);
        dns.put_record_set(&zone, wanted.clone()).await.unwrap();
        let query = RecordQuery::default().with_kind(wanted.kind.clone());
        let found: Vec<_> = dns
            .list_record_sets(&zone, query)
            .try_collect()
            .await
            .unwrap();
        assert!(found[0].satisfies(&wanted), "{found:?}");
    }
}

#[tokio::test]
async fn only_settings_that_differ_are_sent() {
    let fake = Fake::start(&[ZONE]);
    let (dns, zone) = (fake.provider(), fake.zone(ZONE));
    let year = Hsts::new(Duration::from_secs(31_536_000));
    let change = ZoneTlsChange::hardened().with_hsts(year);
    dns.set_tls_settings(&zone, change.clone()).await.unwrap();
    let settings = fake.account().zones[zone.as_str()].settings.clone();
    assert_eq!(settings["ssl"], json!("strict"));
    let header = &settings["security_header"]["strict_transport_security"];
    assert_eq!(
        (&header["nosniff"], &header["max_age"]),
        (&json!(true), &json!(31_536_000))
    );
    let before = fake.asked().len();
    dns.set_tls_settings(&zone, change).await.unwrap();
    let asked = fake.asked().split_off(before);
    assert!(asked.iter().all(|it| it.starts_with("GET ")), "{asked:?}");
}

#[tokio::test]
async fn purges_are_cut_and_prefixes_have_no_scheme() {
    let fake = Fake::start(&[ZONE]);
    let cdn = fake.cdn(ZONE);
    let urls = (0..101).map(|n| format!("https://shop.example/{n}?q=%20"));
    cdn.purge(PurgeRequest::urls(urls)).await.unwrap();
    let prefix = PurgeRequest::prefixes(["https://WWW.shop.example/Assets/"]);
    cdn.purge(prefix).await.unwrap();
    cdn.purge_tags(vec!["a".to_owned()]).await.unwrap();
    cdn.purge_hosts(vec!["www.shop.example".to_owned()])
        .await
        .unwrap();
    cdn.purge(PurgeRequest::everything()).await.unwrap();
    let account = fake.account();
    let purges = &account.zones.values().next().unwrap().purges;
    let sizes: Vec<_> = purges
        .iter()
        .map(|it| it["files"].as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(sizes, [100, 1, 0, 0, 0, 0]);
    assert_eq!(purges[1]["files"][0], "https://shop.example/100?q=%20");
    assert_eq!(
        purges[2..],
        [
            json!({"prefixes": ["www.shop.example/Assets/"]}),
            json!({"tags": ["a"]}),
            json!({"hosts": ["www.shop.example"]}),
            json!({"purge_everything": true}),
        ]
    );
}
