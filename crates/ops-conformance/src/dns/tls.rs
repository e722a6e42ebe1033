//! How the edge speaks TLS.

use std::time::Duration;

use ops_core::dns::{EdgeTlsMode, EdgeTlsVersion, Hsts, ZoneTlsChange, ZoneTlsSettings};
use ops_core::{DnsExt, EnsureOutcome, ErrorKind, Result};

use super::{DnsFixture, Site};
use crate::support::{done, missing, refused};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

async fn set(site: &Site, change: ZoneTlsChange) -> Result<ZoneTlsSettings> {
    let tls = site.dns.require_zone_tls()?;
    tls.set_tls_settings(&site.zone, change).await
}

async fn read(site: &Site) -> ZoneTlsSettings {
    let tls = done(site.dns.require_zone_tls());
    done(tls.tls_settings(&site.zone).await)
}

/// A zone that tells browsers not to come without TLS.
async fn given(fixture: &dyn DnsFixture) -> Site {
    let site = Site::new(fixture).await;
    let change = ZoneTlsChange::hardened().with_hsts(Hsts::new(YEAR));
    done(set(&site, change).await);
    site
}

pub(super) async fn dns_060_a_change_is_read_as_it_was_set(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let change = ZoneTlsChange::default().with_min_version(EdgeTlsVersion::V1_3);
    let answered = done(set(&site, change).await);
    for settings in [answered, read(&site).await] {
        assert_eq!(settings.min_version, Some(EdgeTlsVersion::V1_3));
    }
}

pub(super) async fn dns_061_a_change_leaves_the_rest(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let before = read(&site).await;
    let change = ZoneTlsChange::default().with_mode(EdgeTlsMode::Strict);
    done(set(&site, change).await);
    let after = read(&site).await;
    let mut wanted = before;
    wanted.mode.clone_from(&after.mode);
    assert_eq!(after, wanted);
}

pub(super) async fn dns_062_every_mode_is_kept(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    for mode in [
        EdgeTlsMode::Flexible,
        EdgeTlsMode::Full,
        EdgeTlsMode::Strict,
        EdgeTlsMode::Off,
    ] {
        let change = ZoneTlsChange::default().with_mode(mode.clone());
        done(set(&site, change).await);
        assert_eq!(read(&site).await.mode, Some(mode));
    }
}

pub(super) async fn dns_063_what_browsers_are_told_is_kept(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    let hsts = Hsts::new(YEAR)
        .with_include_subdomains(true)
        .with_preload(true);
    done(set(&site, ZoneTlsChange::hardened().with_hsts(hsts)).await);
    assert_eq!(read(&site).await.hsts, Some(hsts));
}

pub(super) async fn dns_064_what_browsers_are_told_is_turned_off(fixture: &dyn DnsFixture) {
    let site = given(fixture).await;
    let off = ZoneTlsChange::default().with_hsts(Hsts::OFF);
    done(set(&site, off).await);
    let hsts = read(&site).await.hsts;
    assert!(hsts.is_none_or(|hsts| !hsts.is_on()), "{hsts:?}");
}

/// Turns TLS off where browsers were told not to come without it.
fn without_tls() -> ZoneTlsChange {
    ZoneTlsChange::default()
        .with_mode(EdgeTlsMode::Off)
        .with_http3(false)
}

pub(super) async fn dns_065_a_change_that_locks_visitors_out_is_refused(fixture: &dyn DnsFixture) {
    let site = given(fixture).await;
    refused(set(&site, without_tls()).await, &[ErrorKind::InvalidInput]);
}

pub(super) async fn dns_066_a_preload_of_one_name_is_refused(fixture: &dyn DnsFixture) {
    let site = given(fixture).await;
    let preload = ZoneTlsChange::default().with_hsts(Hsts::new(YEAR).with_preload(true));
    refused(set(&site, preload).await, &[ErrorKind::InvalidInput]);
}

pub(super) async fn dns_067_a_refused_change_changes_nothing(fixture: &dyn DnsFixture) {
    let site = given(fixture).await;
    let before = read(&site).await;
    if set(&site, without_tls()).await.is_err() {
        assert_eq!(read(&site).await, before);
    }
}

pub(super) async fn dns_068_ensuring_tls_twice_changes_it_once(fixture: &dyn DnsFixture) {
    let site = Site::new(fixture).await;
    for outcome in [EnsureOutcome::Updated, EnsureOutcome::Unchanged] {
        let wanted = ZoneTlsChange::hardened();
        let ensured = site.dns.ensure_tls_settings(&site.zone, wanted).await;
        assert_eq!(done(ensured).outcome, outcome);
    }
}

pub(super) async fn dns_069_settings_of_a_missing_zone_are_not_found(fixture: &dyn DnsFixture) {
    let dns = fixture.dns();
    let tls = done(dns.require_zone_tls());
    missing(tls.tls_settings(&fixture.missing_zone()).await);
}

pub(super) async fn dns_070_changing_a_missing_zone_is_not_found(fixture: &dyn DnsFixture) {
    let dns = fixture.dns();
    let tls = done(dns.require_zone_tls());
    let change = ZoneTlsChange::hardened();
    missing(tls.set_tls_settings(&fixture.missing_zone(), change).await);
}
