//! Zones in memory.

use std::time::Duration;

use ops_core::dns::{Dns, RecordQuery, RecordSet, RecordType, ZoneTlsChange};
use ops_core::hosting::DnsRecord;
use ops_core::memory::MemoryDns;
use ops_core::{DnsExt, EnsureOutcome, ErrorKind};

use crate::contract::dns as contract;
use crate::contract::dns::{find, name, set};
use crate::support::all;

macro_rules! contract {
    ($($case:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $case() {
            let dns = MemoryDns::new();
            let zone = dns.seed_zone("shop.example").unwrap();
            contract::$case(&dns, &zone).await;
        }
    )+};
}

contract!(
    a_zone_is_listed_and_described,
    every_type_of_record_comes_back_as_it_was_put,
    texts_come_back_as_they_were_put,
    putting_a_set_replaces_it_and_nothing_else,
    a_time_to_live_is_kept_and_one_beyond_the_limits_refused,
    a_name_outside_the_zone_is_refused,
    a_cname_has_its_name_for_itself,
    deleting_a_set_twice_succeeds,
    a_zone_that_is_missing_is_not_found,
    a_listing_is_filtered_by_name_and_type,
    ensuring_sets_sends_only_what_differs,
    a_change_of_tls_leaves_the_rest_as_it_is,
    every_tls_setting_is_kept,
    a_change_that_locks_visitors_out_changes_nothing,
    ensuring_tls_twice_changes_it_once,
);

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
