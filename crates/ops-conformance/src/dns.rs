//! The suite of [`Dns`].

#![expect(
    clippy::unwrap_used,
    reason = "a case is a test, in a function of its own"
)]

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::dns::{Dns, DnsName, RecordData, RecordQuery, RecordSet, RecordType};
use ops_core::id::ZoneId;

use crate::fixture::Fixture;
use crate::macros::suite;
use crate::support::{done, drain};

mod deletes;
mod lists;
mod puts;
mod records;
mod tls;
mod zones;

/// What the suite needs to know of a provider of [`Dns`].
#[async_trait]
pub trait DnsFixture: Fixture {
    /// The provider; the same account at each call.
    fn dns(&self) -> Arc<dyn Dns>;

    /// The accessors that answer `Some`, such as `as_zone_tls`, in any order. Written
    /// down, so that an ability that gets lost is seen.
    fn abilities(&self) -> &'static [&'static str];

    /// A zone of at least two labels with what the vendor puts into a new one and nothing
    /// else, and its apex. It is made at the vendor or its fake.
    async fn new_zone(&self) -> (ZoneId, DnsName);

    /// An id that could be a zone's and is none's.
    fn missing_zone(&self) -> ZoneId {
        ZoneId::new("ops-test-no-such-zone").unwrap()
    }

    /// How many record sets do not fit one page of the vendor's listing. A fake with small
    /// pages makes this small. Defaults to 5.
    fn more_than_a_page(&self) -> u32 {
        5
    }
}

/// A zone of its own for one case.
struct Site {
    dns: Arc<dyn Dns>,
    zone: ZoneId,
    apex: DnsName,
}

impl Site {
    async fn new(fixture: &dyn DnsFixture) -> Self {
        let (zone, apex) = fixture.new_zone().await;
        let dns = fixture.dns();
        Self { dns, zone, apex }
    }

    /// A set at a label of the zone; `@` is the apex.
    fn set(&self, label: &str, kind: &str, texts: &[&str]) -> RecordSet {
        set_at(DnsName::within(label, &self.apex).unwrap(), kind, texts)
    }

    async fn put(&self, set: &RecordSet) -> RecordSet {
        done(self.dns.put_record_set(&self.zone, set.clone()).await)
    }

    async fn list(&self, query: RecordQuery) -> Vec<RecordSet> {
        drain(self.dns.list_record_sets(&self.zone, query)).await
    }

    /// The set of the name and type of another one.
    async fn find(&self, like: &RecordSet) -> Option<RecordSet> {
        let query = RecordQuery::default()
            .with_name(like.name.clone())
            .with_kind(like.kind.clone());
        let mut found = self.list(query).await;
        found.retain(|set| set.name == like.name && set.kind == like.kind);
        assert!(found.len() <= 1, "one set in several items: {found:?}");
        found.pop()
    }

    /// The zone has exactly the records of this set at its name and type.
    async fn assert_has(&self, wanted: &RecordSet) {
        let found = self.find(wanted).await;
        let is_there = found.as_ref().is_some_and(|set| set.satisfies(wanted));
        assert!(is_there, "{found:?} and not {wanted:?}");
    }
}

fn set_at(name: DnsName, kind: &str, texts: &[&str]) -> RecordSet {
    let kind = RecordType::from_name(kind);
    let parse = |text: &&str| RecordData::parse(&kind, text).unwrap();
    RecordSet::new(name, texts.iter().map(parse).collect()).unwrap()
}

suite! {
    ($)
    /// One test per case of [`Dns`](ops_core::Dns).
    dns(DnsFixture, dns, dns_quirks_are_justified)

    "DNS-001" zones::dns_001_the_abilities_are_those_that_are_declared [];
    "DNS-002" zones::dns_002_a_zone_is_described [];
    "DNS-003" zones::dns_003_a_zone_is_listed_once [];
    "DNS-004" zones::dns_004_a_missing_zone_is_not_found [];
    "DNS-005" zones::dns_005_sets_of_a_missing_zone_are_not_found [];
    "DNS-006" zones::dns_006_putting_into_a_missing_zone_is_not_found [];
    "DNS-007" zones::dns_007_deleting_from_a_missing_zone_is_not_found [];

    "DNS-010" records::dns_010_addresses_are_read_as_they_were_put [];
    "DNS-011" records::dns_011_addresses_of_ipv6_are_read_as_they_were_put [];
    "DNS-012" records::dns_012_an_alias_is_read_as_it_was_put [];
    "DNS-013" records::dns_013_mail_servers_are_read_as_they_were_put [];
    "DNS-014" records::dns_014_a_service_is_read_as_it_was_put [];
    "DNS-015" records::dns_015_an_authority_is_read_as_it_was_put [];
    "DNS-016" records::dns_016_a_delegation_is_read_as_it_was_put [];
    "DNS-017" records::dns_017_a_wildcard_is_read_as_it_was_put [];
    "DNS-018" records::dns_018_a_text_with_quotes_is_read_as_it_was_put [];
    "DNS-019" records::dns_019_a_long_text_is_read_as_it_was_put [];

    "DNS-020" puts::dns_020_putting_replaces_all_records_of_the_set [];
    "DNS-021" puts::dns_021_putting_leaves_other_names [];
    "DNS-022" puts::dns_022_putting_leaves_other_types [];
    "DNS-023" puts::dns_023_putting_the_same_again_is_success [];
    "DNS-024" puts::dns_024_putting_answers_the_set [];
    "DNS-025" puts::dns_025_a_time_to_live_is_kept [];
    "DNS-026" puts::dns_026_a_time_to_live_below_the_limit_is_refused [];
    "DNS-027" puts::dns_027_a_time_to_live_above_the_limit_is_refused [];
    "DNS-028" puts::dns_028_a_refused_set_changes_nothing [];
    "DNS-029" puts::dns_029_a_name_outside_the_zone_is_refused [];
    "DNS-030" puts::dns_030_an_alias_beside_an_address_is_a_conflict [];
    "DNS-031" puts::dns_031_an_address_beside_an_alias_is_a_conflict [];
    "DNS-032" puts::dns_032_concurrent_puts_do_not_mix [];

    "DNS-040" deletes::dns_040_a_deleted_set_is_not_listed [];
    "DNS-041" deletes::dns_041_deleting_leaves_other_types [];
    "DNS-042" deletes::dns_042_deleting_leaves_other_names [];
    "DNS-043" deletes::dns_043_deleting_twice_is_success [];

    "DNS-050" lists::dns_050_sets_of_one_name_are_listed [];
    "DNS-051" lists::dns_051_sets_of_one_type_are_listed [];
    "DNS-052" lists::dns_052_a_long_listing_comes_whole_and_once [];
    "DNS-053" lists::dns_053_a_set_of_several_records_is_one_item [];
    "DNS-054" lists::dns_054_ensuring_the_same_again_is_unchanged [];
    "DNS-055" lists::dns_055_one_bad_set_does_not_stop_the_others [];

    "DNS-060" tls::dns_060_a_change_is_read_as_it_was_set [as_zone_tls];
    "DNS-061" tls::dns_061_a_change_leaves_the_rest [as_zone_tls];
    "DNS-062" tls::dns_062_every_mode_is_kept [as_zone_tls];
    "DNS-063" tls::dns_063_what_browsers_are_told_is_kept [as_zone_tls];
    "DNS-064" tls::dns_064_what_browsers_are_told_is_turned_off [as_zone_tls];
    "DNS-065" tls::dns_065_a_change_that_locks_visitors_out_is_refused [as_zone_tls];
    "DNS-066" tls::dns_066_a_preload_of_one_name_is_refused [as_zone_tls];
    "DNS-067" tls::dns_067_a_refused_change_changes_nothing [as_zone_tls];
    "DNS-068" tls::dns_068_ensuring_tls_twice_changes_it_once [as_zone_tls];
    "DNS-069" tls::dns_069_settings_of_a_missing_zone_are_not_found [as_zone_tls];
    "DNS-070" tls::dns_070_changing_a_missing_zone_is_not_found [as_zone_tls];
}
