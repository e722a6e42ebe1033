//! Putting sets.

use std::time::Duration;

use futures_util::future::join_all;
use ops_core::ErrorKind;
use ops_core::dns::{DnsName, RecordSet};

use super::{DnsFixture, Site, set_at};
use crate::case::Outcome;
use crate::support::refused;

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) async fn dns_020_putting_replaces_all_records_of_the_set(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    for addresses in [
        &["192.0.2.7", "192.0.2.8"][..],
        &["192.0.2.8", "192.0.2.9"],
        &["192.0.2.9"],
    ] {
        let wanted = site.set("a", "A", addresses);
        site.put(&wanted).await;
        site.assert_has(&wanted).await;
    }
}

/// Replaces a set next to another one, which must stay.
async fn leaves(site: &Site, other: RecordSet) {
    site.put(&other).await;
    for address in ["192.0.2.7", "192.0.2.8"] {
        site.put(&site.set("a", "A", &[address])).await;
    }
    site.assert_has(&other).await;
}

pub(super) async fn dns_021_putting_leaves_other_names(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    leaves(&site, site.set("b.a", "A", &["192.0.2.1"])).await;
}

pub(super) async fn dns_022_putting_leaves_other_types(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    leaves(&site, site.set("a", "TXT", &["x"])).await;
}

pub(super) async fn dns_023_putting_the_same_again_is_success(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let wanted = site.set("a", "A", &["192.0.2.7", "192.0.2.8"]);
    site.put(&wanted).await;
    site.put(&wanted).await;
    site.assert_has(&wanted).await;
}

pub(super) async fn dns_024_putting_answers_the_set(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let wanted = site.set("a", "A", &["192.0.2.7", "192.0.2.8"]);
    let put = site.put(&wanted).await;
    assert!(put.satisfies(&wanted), "{put:?}");
}

pub(super) async fn dns_025_a_time_to_live_is_kept(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let wanted = site.set("a", "A", &["192.0.2.7"]).with_ttl(HOUR);
    site.put(&wanted).await;
    site.assert_has(&wanted).await;
}

async fn refuses_ttl(site: &Site, ttl: Option<Duration>) -> Outcome {
    let Some(ttl) = ttl else {
        return Outcome::NotOffered("the limits do not tell it");
    };
    let set = site.set("a", "A", &["192.0.2.7"]).with_ttl(ttl);
    let put = site.dns.put_record_set(&site.zone, set).await;
    refused(put, &[ErrorKind::InvalidInput]);
    Outcome::Passed
}

pub(super) async fn dns_026_a_time_to_live_below_the_limit_is_refused(
    fixture: &dyn DnsFixture,
) -> Outcome {
    let site = Site::new(fixture).await;
    let shortest = site.dns.limits().min_ttl;
    let short = shortest.and_then(|min| min.checked_sub(Duration::from_secs(1)));
    refuses_ttl(&site, short).await
}

pub(super) async fn dns_027_a_time_to_live_above_the_limit_is_refused(
    fixture: &dyn DnsFixture,
) -> Outcome {
    let site = Site::new(fixture).await;
    let longest = site.dns.limits().max_ttl;
    let long = longest.map(|max| max.saturating_add(Duration::from_secs(1)));
    refuses_ttl(&site, long).await
}

pub(super) async fn dns_028_a_refused_set_changes_nothing(fixture: &dyn DnsFixture) -> Outcome {
    let site = Site::new(fixture).await;
    let Some(longest) = site.dns.limits().max_ttl else {
        return Outcome::NotOffered("the limits do not tell a longest time to live");
    };
    let kept = site.set("a", "A", &["192.0.2.7"]);
    site.put(&kept).await;
    let long = longest.saturating_add(Duration::from_secs(1));
    let bad = site.set("a", "A", &["192.0.2.8"]).with_ttl(long);
    let put = site.dns.put_record_set(&site.zone, bad).await;
    if put.is_err() {
        site.assert_has(&kept).await;
    }
    Outcome::Passed
}

pub(super) async fn dns_029_a_name_outside_the_zone_is_refused(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let apex = site.apex.as_str();
    let above = apex.split_once('.').map_or(apex, |(_, above)| above);
    let outside = [
        format!("other.{above}"),
        format!("work{apex}"),
        above.to_owned(),
    ];
    for name in outside {
        let set = set_at(DnsName::new(name).unwrap(), "A", &["192.0.2.7"]);
        let put = site.dns.put_record_set(&site.zone, set).await;
        refused(put, &[ErrorKind::InvalidInput]);
    }
}

/// The second of two sets of one name is refused.
async fn clashes(site: &Site, first: RecordSet, second: RecordSet) {
    site.put(&first).await;
    let put = site.dns.put_record_set(&site.zone, second).await;
    refused(put, &[ErrorKind::Conflict]);
}

pub(super) async fn dns_030_an_alias_beside_an_address_is_a_conflict(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let address = site.set("a", "A", &["192.0.2.7"]);
    clashes(&site, address, site.set("a", "CNAME", &["b.example"])).await;
}

pub(super) async fn dns_031_an_address_beside_an_alias_is_a_conflict(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let address = site.set("a", "A", &["192.0.2.7"]);
    clashes(&site, site.set("a", "CNAME", &["b.example"]), address).await;
}

pub(super) async fn dns_032_concurrent_puts_do_not_mix(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let wanted = |n| site.set(&format!("n{n}"), "A", &[&format!("192.0.2.{n}")]);
    let sets: Vec<_> = (1..=4).map(wanted).collect();
    join_all(sets.iter().map(|set| site.put(set))).await;
    for set in &sets {
        site.assert_has(set).await;
    }
}
