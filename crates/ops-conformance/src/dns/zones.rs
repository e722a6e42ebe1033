//! Zones.

use ops_core::dns::{DnsName, RecordQuery};

use super::{DnsFixture, Site, set_at};
use crate::support::{assert_abilities, done, drain, missing, missing_stream};

pub(super) async fn dns_001_the_abilities_are_those_that_are_declared(fixture: &dyn DnsFixture) {
    let dns = fixture.dns();
    let offered = [("as_zone_tls", dns.as_zone_tls().is_some())];
    assert_abilities(&offered, fixture.abilities());
}

pub(super) async fn dns_002_a_zone_is_described(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let zone = done(site.dns.zone(&site.zone).await);
    assert_eq!((zone.id, zone.name), (site.zone, site.apex));
}

pub(super) async fn dns_003_a_zone_is_listed_once(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let other = Site::new(fixture).await;
    let zones = drain(fixture.dns().list_zones()).await;
    for wanted in [site, other] {
        let listed = zones.iter().filter(|zone| zone.id == wanted.zone);
        let names: Vec<_> = listed.map(|zone| &zone.name).collect();
        assert_eq!(names, [&wanted.apex]);
    }
}

pub(super) async fn dns_004_a_missing_zone_is_not_found(fixture: &dyn DnsFixture) {
    missing(fixture.dns().zone(&fixture.missing_zone()).await);
}

pub(super) async fn dns_005_sets_of_a_missing_zone_are_not_found(fixture: &dyn DnsFixture) {
    let query = RecordQuery::default();
    let listed = fixture
        .dns()
        .list_record_sets(&fixture.missing_zone(), query);
    missing_stream(listed).await;
}

pub(super) async fn dns_006_putting_into_a_missing_zone_is_not_found(fixture: &dyn DnsFixture) {
    let set = set_at(DnsName::new("shop.example").unwrap(), "A", &["192.0.2.7"]);
    let zone = fixture.missing_zone();
    missing(fixture.dns().put_record_set(&zone, set).await);
}

pub(super) async fn dns_007_deleting_from_a_missing_zone_is_not_found(fixture: &dyn DnsFixture) {
    let set = set_at(DnsName::new("shop.example").unwrap(), "A", &["192.0.2.7"]);
    let zone = fixture.missing_zone();
    let dns = fixture.dns();
    missing(dns.delete_record_set(&zone, &set.name, &set.kind).await);
}
