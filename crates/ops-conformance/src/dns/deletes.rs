//! Deleting sets.

use ops_core::DeleteOutcome;
use ops_core::dns::RecordSet;

use super::{DnsFixture, Site};
use crate::support::done;

async fn delete(site: &Site, set: &RecordSet) -> DeleteOutcome {
    let deleted = site
        .dns
        .delete_record_set(&site.zone, &set.name, &set.kind)
        .await;
    done(deleted)
}

/// A set of several records that is there.
async fn given(site: &Site) -> RecordSet {
    let set = site.set("a", "A", &["192.0.2.7", "192.0.2.8"]);
    site.put(&set).await;
    set
}

pub(super) async fn dns_040_a_deleted_set_is_not_listed(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let gone = given(&site).await;
    delete(&site, &gone).await;
    assert_eq!(site.find(&gone).await, None);
}

pub(super) async fn dns_041_deleting_leaves_other_types(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let gone = given(&site).await;
    let kept = site.set("a", "TXT", &["x"]);
    site.put(&kept).await;
    delete(&site, &gone).await;
    site.assert_has(&kept).await;
}

pub(super) async fn dns_042_deleting_leaves_other_names(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let gone = given(&site).await;
    let kept = site.set("b.a", "A", &["192.0.2.9"]);
    site.put(&kept).await;
    delete(&site, &gone).await;
    site.assert_has(&kept).await;
}

pub(super) async fn dns_043_deleting_twice_is_success(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let gone = given(&site).await;
    assert_ne!(delete(&site, &gone).await, DeleteOutcome::AlreadyGone);
    assert_ne!(delete(&site, &gone).await, DeleteOutcome::Deleted);
}
