//! Listing sets, and ensuring them.

use ops_core::dns::{DnsName, RecordQuery, RecordType};
use ops_core::{DnsExt, EnsureOutcome, ErrorKind};

use super::{DnsFixture, Site, set_at};
use crate::support::{done, refused};

/// A zone with `a A`, `b.a A` and `a TXT`.
async fn given(fixture: &dyn DnsFixture) -> Site {
    let site = Site::new(fixture).await;
    for (label, kind, text) in [
        ("a", "A", "192.0.2.7"),
        ("b.a", "A", "192.0.2.8"),
        ("a", "TXT", "x"),
    ] {
        site.put(&site.set(label, kind, &[text])).await;
    }
    site
}

pub(super) async fn dns_050_sets_of_one_name_are_listed(fixture: &dyn DnsFixture) {
    let site = given(fixture).await;
    let name = DnsName::within("a", &site.apex).unwrap();
    let listed = site.list(RecordQuery::default().with_name(name)).await;
    let mut kinds: Vec<_> = listed.iter().map(|set| set.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["A", "TXT"]);
}

pub(super) async fn dns_051_sets_of_one_type_are_listed(fixture: &dyn DnsFixture) {
    let site = given(fixture).await;
    let listed = site
        .list(RecordQuery::default().with_kind(RecordType::A))
        .await;
    let mut labels: Vec<_> = listed
        .iter()
        .filter_map(|set| set.name.label_in(&site.apex))
        .collect();
    labels.sort_unstable();
    assert_eq!(labels, ["a", "b.a"]);
}

pub(super) async fn dns_052_a_long_listing_comes_whole_and_once(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let labels: Vec<_> = (0..fixture.more_than_a_page())
        .map(|n| format!("n{n:05}"))
        .collect();
    for label in &labels {
        site.put(&site.set(label, "A", &["192.0.2.7"])).await;
    }
    let listed = site.list(RecordQuery::default()).await;
    let mut seen: Vec<_> = listed
        .iter()
        .filter(|set| set.kind == RecordType::A)
        .filter_map(|set| set.name.label_in(&site.apex))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, labels);
}

pub(super) async fn dns_053_a_set_of_several_records_is_one_item(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let wanted = site.set("a", "A", &["192.0.2.7", "192.0.2.8"]);
    site.put(&wanted).await;
    let mut listed = site.list(RecordQuery::default()).await;
    listed.retain(|set| set.name == wanted.name);
    assert_eq!(listed.len(), 1, "{listed:?}");
}

pub(super) async fn dns_054_ensuring_the_same_again_is_unchanged(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let wanted = vec![
        site.set("a", "A", &["192.0.2.7"]),
        site.set("a", "TXT", &["x"]),
    ];
    for outcome in [EnsureOutcome::Created, EnsureOutcome::Unchanged] {
        let ensured = site.dns.ensure_record_sets(&site.zone, wanted.clone());
        for answer in done(ensured.await) {
            assert_eq!(done(answer).outcome, outcome);
        }
    }
}

pub(super) async fn dns_055_one_bad_set_does_not_stop_the_others(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let outside = DnsName::new("outside.invalid").unwrap();
    site.put(&site.set("b", "A", &["192.0.2.7"])).await;
    let wanted = vec![
        set_at(outside, "A", &["192.0.2.7"]),
        site.set("b", "A", &["192.0.2.9"]),
        site.set("c", "A", &["192.0.2.7"]),
    ];
    let answers = done(site.dns.ensure_record_sets(&site.zone, wanted).await);
    let mut answers = answers.into_iter();
    refused(answers.next().unwrap(), &[ErrorKind::InvalidInput]);
    let outcomes: Vec<_> = answers.map(|answer| done(answer).outcome).collect();
    assert_eq!(outcomes, [EnsureOutcome::Updated, EnsureOutcome::Created]);
}
