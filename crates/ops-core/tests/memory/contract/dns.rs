//! The contract of `Dns`. Each case is given an account with the zone `shop.example`,
//! which has what the vendor puts into a new zone and nothing else.

use std::time::Duration;

use futures_util::StreamExt;
use ops_core::dns::{
    Dns, DnsName, EdgeTlsMode, EdgeTlsVersion, Hsts, RecordData, RecordQuery, RecordSet,
    RecordType, ZoneTlsChange,
};
use ops_core::id::ZoneId;
use ops_core::object_store::DeleteOutcome;
use ops_core::{DnsExt, EnsureOutcome, Error, ErrorKind};

use crate::support::all;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(crate) fn name(text: &str) -> DnsName {
    DnsName::new(text).unwrap()
}

pub(crate) fn set(at: &str, kind: &str, texts: &[&str]) -> RecordSet {
    let kind = RecordType::from_name(kind);
    let parse = |text: &&str| RecordData::parse(&kind, text).unwrap();
    RecordSet::new(name(at), texts.iter().map(parse).collect()).unwrap()
}

pub(crate) async fn find(dns: &dyn Dns, zone: &ZoneId, like: &RecordSet) -> Option<RecordSet> {
    let query = RecordQuery::default()
        .with_name(like.name.clone())
        .with_kind(like.kind.clone());
    let mut found = all(dns.list_record_sets(zone, query)).await;
    assert!(found.len() <= 1, "one set in several items: {found:?}");
    found.pop()
}

pub(crate) async fn a_zone_is_listed_and_described(dns: &dyn Dns, zone: &ZoneId) {
    let described = dns.zone(zone).await.unwrap();
    assert_eq!(described.name, name("shop.example"));
    let listed = all(dns.list_zones()).await;
    assert!(listed.contains(&described), "{listed:?}");
}

pub(crate) async fn every_type_of_record_comes_back_as_it_was_put(dns: &dyn Dns, zone: &ZoneId) {
    let sets = [
        set("shop.example", "A", &["192.0.2.7", "192.0.2.8"]),
        set("shop.example", "AAAA", &["2001:db8::7"]),
        set("www.shop.example", "CNAME", &["shop.fly.example"]),
        set(
            "shop.example",
            "MX",
            &["10 mx1.mail.example", "20 mx2.mail.example"],
        ),
        set(
            "_sip._tcp.shop.example",
            "SRV",
            &["10 5 5061 sip.shop.example"],
        ),
        set("shop.example", "CAA", &["0 issue authority.example"]),
        set(
            "sub.shop.example",
            "NS",
            &["ns1.other.example", "ns2.other.example"],
        ),
        set("*.shop.example", "TXT", &["any"]),
    ];
    for wanted in sets {
        let put = dns.put_record_set(zone, wanted.clone()).await.unwrap();
        assert!(put.satisfies(&wanted), "{put:?}");
        let found = find(dns, zone, &wanted).await.unwrap();
        assert!(found.satisfies(&wanted), "{found:?}");
    }
}

pub(crate) async fn texts_come_back_as_they_were_put(dns: &dyn Dns, zone: &ZoneId) {
    let long = "k=v; ".repeat(100);
    let texts = [
        "v=spf1 include:_spf.mail.example -all",
        "say \"a\\b\"",
        &long,
    ];
    for text in texts {
        let wanted = set("txt.shop.example", "TXT", &[text]);
        dns.put_record_set(zone, wanted.clone()).await.unwrap();
        let found = find(dns, zone, &wanted).await.unwrap();
        assert_eq!(found.records, wanted.records);
    }
}

pub(crate) async fn putting_a_set_replaces_it_and_nothing_else(dns: &dyn Dns, zone: &ZoneId) {
    let other = set("other.shop.example", "A", &["192.0.2.1"]);
    let text = set("shop.example", "TXT", &["x"]);
    for first in [&other, &text] {
        dns.put_record_set(zone, first.clone()).await.unwrap();
    }
    for addresses in [
        &["192.0.2.7", "192.0.2.8"][..],
        &["192.0.2.8", "192.0.2.9"],
        &["192.0.2.9"],
    ] {
        let wanted = set("shop.example", "A", addresses);
        dns.put_record_set(zone, wanted.clone()).await.unwrap();
        dns.put_record_set(zone, wanted.clone()).await.unwrap();
        let found = find(dns, zone, &wanted).await.unwrap();
        assert!(found.satisfies(&wanted), "{found:?}");
    }
    for untouched in [&other, &text] {
        let found = find(dns, zone, untouched).await.unwrap();
        assert!(found.satisfies(untouched), "{found:?}");
    }
}

pub(crate) async fn a_time_to_live_is_kept_and_one_beyond_the_limits_refused(
    dns: &dyn Dns,
    zone: &ZoneId,
) {
    let hour = Duration::from_secs(3600);
    let wanted = set("a.shop.example", "A", &["192.0.2.7"]).with_ttl(hour);
    dns.put_record_set(zone, wanted.clone()).await.unwrap();
    assert_eq!(find(dns, zone, &wanted).await.unwrap().ttl, Some(hour));
    let limits = dns.limits();
    let short = limits
        .min_ttl
        .map(|min| min.saturating_sub(Duration::from_secs(1)));
    let long = limits.max_ttl.map(|max| max + Duration::from_secs(1));
    for ttl in [short, long].into_iter().flatten() {
        let refused = dns.put_record_set(zone, wanted.clone().with_ttl(ttl)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(find(dns, zone, &wanted).await.unwrap().ttl, Some(hour));
}

pub(crate) async fn a_name_outside_the_zone_is_refused(dns: &dyn Dns, zone: &ZoneId) {
    for outside in ["shop.other.example", "workshop.example", "example"] {
        let refused = dns
            .put_record_set(zone, set(outside, "A", &["192.0.2.7"]))
            .await;
        assert_eq!(
            refused.unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{outside}"
        );
    }
}

pub(crate) async fn a_cname_has_its_name_for_itself(dns: &dyn Dns, zone: &ZoneId) {
    let address = set("a.shop.example", "A", &["192.0.2.7"]);
    let alias = set("a.shop.example", "CNAME", &["b.example"]);
    for (first, second) in [(&address, &alias), (&alias, &address)] {
        dns.put_record_set(zone, first.clone()).await.unwrap();
        let refused = dns.put_record_set(zone, second.clone()).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
        dns.delete_record_set(zone, &first.name, &first.kind)
            .await
            .unwrap();
    }
}

pub(crate) async fn deleting_a_set_twice_succeeds(dns: &dyn Dns, zone: &ZoneId) {
    let gone = set("shop.example", "A", &["192.0.2.7", "192.0.2.8"]);
    let kept = set("shop.example", "AAAA", &["2001:db8::7"]);
    for both in [&gone, &kept] {
        dns.put_record_set(zone, both.clone()).await.unwrap();
    }
    let first = dns.delete_record_set(zone, &gone.name, &gone.kind).await;
    assert_ne!(first.unwrap(), DeleteOutcome::AlreadyGone);
    let second = dns.delete_record_set(zone, &gone.name, &gone.kind).await;
    assert_ne!(second.unwrap(), DeleteOutcome::Deleted);
    assert_eq!(find(dns, zone, &gone).await, None);
    assert!(find(dns, zone, &kept).await.is_some());
}

pub(crate) async fn a_zone_that_is_missing_is_not_found(dns: &dyn Dns, _: &ZoneId) {
    let nothing = ZoneId::new("no-such-zone").unwrap();
    let record = set("shop.example", "A", &["192.0.2.7"]);
    assert!(dns.zone(&nothing).await.unwrap_err().is_not_found());
    let mut listed = dns.list_record_sets(&nothing, RecordQuery::default());
    assert!(listed.next().await.unwrap().unwrap_err().is_not_found());
    let put = dns.put_record_set(&nothing, record.clone()).await;
    assert!(put.unwrap_err().is_not_found());
    let deleted = dns
        .delete_record_set(&nothing, &record.name, &record.kind)
        .await;
    assert!(deleted.unwrap_err().is_not_found());
    if let Some(tls) = dns.as_zone_tls() {
        assert!(tls.tls_settings(&nothing).await.unwrap_err().is_not_found());
    }
    assert!(
        dns.zone_of(&name("elsewhere.example"))
            .await
            .unwrap_err()
            .is_not_found()
    );
}

pub(crate) async fn a_listing_is_filtered_by_name_and_type(dns: &dyn Dns, zone: &ZoneId) {
    let a = set("a.shop.example", "A", &["192.0.2.7"]);
    let b = set("b.a.shop.example", "A", &["192.0.2.8"]);
    let text = set("a.shop.example", "TXT", &["x"]);
    for wanted in [&a, &b, &text] {
        dns.put_record_set(zone, wanted.clone()).await.unwrap();
    }
    let by_name = RecordQuery::default().with_name(a.name.clone());
    let found = all(dns.list_record_sets(zone, by_name)).await;
    let mut kinds: Vec<_> = found.iter().map(|set| set.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["A", "TXT"]);
    let by_kind = RecordQuery::default().with_kind(RecordType::A);
    assert_eq!(all(dns.list_record_sets(zone, by_kind)).await.len(), 2);
}

pub(crate) async fn ensuring_sets_sends_only_what_differs(dns: &dyn Dns, zone: &ZoneId) {
    let kept = set("a.shop.example", "A", &["192.0.2.7"]);
    let changed = set("b.shop.example", "A", &["192.0.2.7"]);
    for wanted in [&kept, &changed] {
        dns.put_record_set(zone, wanted.clone()).await.unwrap();
    }
    let wanted = vec![
        set("b.shop.example", "A", &["192.0.2.9"]),
        set("c.shop.example", "A", &["192.0.2.7"]),
        set("outside.example", "A", &["192.0.2.7"]),
        kept,
    ];
    let answers = dns.ensure_record_sets(zone, wanted).await.unwrap();
    let outcomes: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map(|e| e.outcome).map_err(Error::kind))
        .collect();
    let expected = [
        Ok(EnsureOutcome::Updated),
        Ok(EnsureOutcome::Created),
        Err(ErrorKind::InvalidInput),
        Ok(EnsureOutcome::Unchanged),
    ];
    assert_eq!(outcomes, expected);
}

pub(crate) async fn a_change_of_tls_leaves_the_rest_as_it_is(dns: &dyn Dns, zone: &ZoneId) {
    let tls = dns.require_zone_tls().unwrap();
    let before = tls.tls_settings(zone).await.unwrap();
    let change = ZoneTlsChange::default()
        .with_mode(EdgeTlsMode::Strict)
        .with_min_version(EdgeTlsVersion::V1_2);
    let answered = tls.set_tls_settings(zone, change).await.unwrap();
    assert_eq!(answered.mode, Some(EdgeTlsMode::Strict));
    assert_eq!(answered.min_version, Some(EdgeTlsVersion::V1_2));
    assert_eq!((answered.http3, answered.hsts), (before.http3, before.hsts));
    assert_eq!(tls.tls_settings(zone).await.unwrap(), answered);
}

pub(crate) async fn every_tls_setting_is_kept(dns: &dyn Dns, zone: &ZoneId) {
    let tls = dns.require_zone_tls().unwrap();
    let hsts = Hsts::new(YEAR)
        .with_include_subdomains(true)
        .with_preload(true);
    for mode in [
        EdgeTlsMode::Flexible,
        EdgeTlsMode::Full,
        EdgeTlsMode::Strict,
    ] {
        let change = ZoneTlsChange::hardened()
            .with_mode(mode.clone())
            .with_hsts(hsts);
        let answered = tls.set_tls_settings(zone, change).await.unwrap();
        assert_eq!((answered.mode, answered.hsts), (Some(mode), Some(hsts)));
        assert_eq!(
            (answered.http3, answered.always_https),
            (Some(true), Some(true))
        );
    }
    let off = ZoneTlsChange::default()
        .with_hsts(Hsts::OFF)
        .with_mode(EdgeTlsMode::Off);
    let answered = tls.set_tls_settings(zone, off).await.unwrap();
    assert_eq!(answered.mode, Some(EdgeTlsMode::Off));
    assert!(!answered.hsts.unwrap().is_on());
}

pub(crate) async fn a_change_that_locks_visitors_out_changes_nothing(dns: &dyn Dns, zone: &ZoneId) {
    let tls = dns.require_zone_tls().unwrap();
    let on = ZoneTlsChange::hardened().with_hsts(Hsts::new(YEAR));
    let before = tls.set_tls_settings(zone, on).await.unwrap();
    let without_tls = ZoneTlsChange::default()
        .with_mode(EdgeTlsMode::Off)
        .with_http3(false);
    let preload = ZoneTlsChange::default().with_hsts(Hsts::new(YEAR).with_preload(true));
    for change in [without_tls, preload] {
        let refused = tls.set_tls_settings(zone, change).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(tls.tls_settings(zone).await.unwrap(), before);
}

pub(crate) async fn ensuring_tls_twice_changes_it_once(dns: &dyn Dns, zone: &ZoneId) {
    for outcome in [EnsureOutcome::Updated, EnsureOutcome::Unchanged] {
        let wanted = ZoneTlsChange::hardened();
        let ensured = dns.ensure_tls_settings(zone, wanted).await.unwrap();
        assert_eq!(ensured.outcome, outcome);
    }
}
