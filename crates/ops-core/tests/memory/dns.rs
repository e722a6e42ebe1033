//! Zones in memory.

use std::time::Duration;

use ops_core::dns::{Dns, DnsName, RecordData, RecordQuery, RecordSet, RecordType, ZoneTlsChange};
use ops_core::hosting::DnsRecord;
use ops_core::id::ZoneId;
use ops_core::memory::MemoryDns;
use ops_core::{DnsExt, EnsureOutcome, ErrorKind};

use crate::support::all;

mod suite {
    use ops_conformance::memory::MemoryDnsFixture;

    ops_conformance::dns!(MemoryDnsFixture::new());
}

fn name(text: &str) -> DnsName {
    DnsName::new(text).unwrap()
}

fn set(at: &str, kind: &str, texts: &[&str]) -> RecordSet {
    let kind = RecordType::from_name(kind);
    let parse = |text: &&str| RecordData::parse(&kind, text).unwrap();
    RecordSet::new(name(at), texts.iter().map(parse).collect()).unwrap()
}

async fn find(dns: &dyn Dns, zone: &ZoneId, like: &RecordSet) -> Option<RecordSet> {
    let query = RecordQuery::default()
        .with_name(like.name.clone())
        .with_kind(like.kind.clone());
    all(dns.list_record_sets(zone, query)).await.pop()
}

#[tokio::test]
async fn ensuring_many_sets_lists_once_and_puts_what_differs() {
    let dns = MemoryDns::new();
    let zone = dns.seed_zone("shop.example").unwrap();
    let wanted: Vec<_> = (1..=5)
        .map(|n| set(&format!("n{n}.shop.example"), "A", &["192.0.2.7"]))
        .collect();
    dns.ensure_record_sets(&zone, wanted.clone()).await.unwrap();
    assert_eq!((dns.listings(), dns.changes()), (1, 5));
    let answers = dns.ensure_record_sets(&zone, wanted).await.unwrap();
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().outcome == EnsureOutcome::Unchanged)
    );
    assert_eq!((dns.listings(), dns.changes()), (2, 5));
    dns.ensure_record_sets(&zone, Vec::new()).await.unwrap();
    assert_eq!(dns.listings(), 2);
}

#[tokio::test]
async fn ensuring_tls_that_is_as_wanted_sends_nothing() {
    let dns = MemoryDns::new();
    let zone = dns.seed_zone("shop.example").unwrap();
    for _ in 0..2 {
        dns.ensure_tls_settings(&zone, ZoneTlsChange::hardened())
            .await
            .unwrap();
    }
    assert_eq!(dns.changes(), 1);
}

#[tokio::test]
async fn what_a_hosting_vendor_asks_for_is_ensured() {
    let dns = MemoryDns::new();
    dns.seed_zone("example").unwrap();
    let inner = dns.seed_zone("shop.example").unwrap();
    let wanted = DnsRecord::new("CNAME", "www.shop.example", "shop.fly.example.");
    let wanted = RecordSet::try_from(&wanted).unwrap();
    let zone = dns.zone_of(&wanted.name).await.unwrap();
    let elsewhere = dns.zone_of(&name("elsewhere.invalid")).await;
    assert!(elsewhere.unwrap_err().is_not_found());
    assert_eq!(zone.id, inner);
    dns.ensure_record_sets(&zone.id, vec![wanted.clone()])
        .await
        .unwrap();
    let found = find(&dns, &inner, &wanted).await.unwrap();
    assert_eq!(found.records[0].to_string(), "shop.fly.example");
}

#[tokio::test]
async fn a_set_that_cannot_be_said_whole_is_listed_and_not_overwritten() {
    let dns = MemoryDns::new();
    let zone = dns.seed_zone("shop.example").unwrap();
    let apex = name("shop.example");
    let alias = RecordSet::foreign(apex.clone(), RecordType::A, Vec::new(), "alias");
    dns.seed_record_set(&zone, alias.clone()).unwrap();
    let wanted = set("shop.example", "A", &["192.0.2.7"]);
    let refused = dns.put_record_set(&zone, wanted.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(find(&dns, &zone, &wanted).await, Some(alias));
    let kept = dns.delete_record_set(&zone, &apex, &RecordType::Ns).await;
    assert_eq!(kept.unwrap_err().kind(), ErrorKind::Conflict);
    let listed = all(dns.list_record_sets(&zone, RecordQuery::default())).await;
    assert_eq!(listed.len(), 2);
}

#[tokio::test]
async fn proxying_stays_as_it_is_unless_it_is_asked_for() {
    let dns = MemoryDns::new();
    let zone = dns.seed_zone("shop.example").unwrap();
    let wanted = set("shop.example", "A", &["192.0.2.7"]);
    let fresh = dns.put_record_set(&zone, wanted.clone()).await.unwrap();
    assert_eq!(fresh.proxied, Some(false));
    let proxied = wanted.clone().with_proxied(true);
    dns.put_record_set(&zone, proxied).await.unwrap();
    let again = wanted.with_ttl(Duration::from_secs(60));
    let again = dns.put_record_set(&zone, again).await.unwrap();
    assert_eq!(again.proxied, Some(true));
    let text = set("shop.example", "TXT", &["x"]).with_proxied(true);
    let refused = dns.put_record_set(&zone, text).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}
