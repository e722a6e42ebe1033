//! What is not purged.

use ops_core::ErrorKind;
use ops_core::cdn::PurgeRequest;

use super::{CdnFixture, Site, UNSEEN};
use crate::case::Outcome;
use crate::support::{keeps, printed, refused};

async fn refuses(site: &Site<'_>, request: PurgeRequest) {
    refused(site.cdn.purge(request).await, &[ErrorKind::InvalidInput]);
}

pub(super) async fn c_040_no_urls_are_not_everything(fixture: &dyn CdnFixture) {
    let none: [&str; 0] = [];
    refuses(&Site::new(fixture), PurgeRequest::urls(none)).await;
}

pub(super) async fn c_041_no_prefixes_are_not_everything(fixture: &dyn CdnFixture) {
    let none: [&str; 0] = [];
    refuses(&Site::new(fixture), PurgeRequest::prefixes(none)).await;
}

/// What cannot be cached, although it has to do with the zone.
fn nonsense(host: &str) -> [String; 9] {
    [
        String::new(),
        "/app.js".to_owned(),
        format!("{host}/app.js"),
        format!("//{host}/app.js"),
        format!("ftp://{host}/app.js"),
        format!("https://user:pw@{host}/app.js"),
        format!("https://{host}/app.js#top"),
        format!("https://{host}/a b"),
        format!("https://{host}/a\r\nb"),
    ]
}

pub(super) async fn c_042_what_is_no_url_is_refused(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    for url in nonsense(&site.host) {
        refuses(&site, PurgeRequest::urls([url])).await;
    }
}

pub(super) async fn c_043_what_is_no_prefix_is_refused(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    for prefix in nonsense(&site.host) {
        refuses(&site, PurgeRequest::prefixes([prefix])).await;
    }
}

/// Hosts that are easily taken for those of the zone.
pub(super) fn elsewhere(host: &str) -> [String; 3] {
    [
        "ops-test-elsewhere.invalid".to_owned(),
        format!("work{host}"),
        format!("{host}.elsewhere.invalid"),
    ]
}

pub(super) async fn c_044_a_url_outside_the_zone_is_refused(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    for host in elsewhere(&site.host) {
        refuses(&site, PurgeRequest::urls([format!("https://{host}/")])).await;
    }
}

pub(super) async fn c_045_a_prefix_outside_the_zone_is_refused(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    for host in elsewhere(&site.host) {
        refuses(&site, PurgeRequest::prefixes([format!("https://{host}/")])).await;
    }
}

pub(super) async fn c_046_a_prefix_with_a_query_is_refused(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    refuses(&site, PurgeRequest::prefixes([site.url("/a?b=c")])).await;
}

const OUTSIDE: &str = "https://ops-test-elsewhere.invalid/";

/// A request that is refused takes nothing with it.
async fn takes_nothing(
    fixture: &dyn CdnFixture,
    request: fn([String; 2]) -> PurgeRequest,
) -> Outcome {
    let site = Site::new(fixture);
    let app = site.url("/app.js");
    if !site.caches(&[&app]).await {
        return UNSEEN;
    }
    let purge = site.cdn.purge(request([app.clone(), OUTSIDE.to_owned()]));
    if let Err(err) = purge.await {
        assert!(fixture.is_cached(&app).await, "purged in spite of {err}");
    }
    Outcome::Passed
}

pub(super) async fn c_047_a_refused_purge_of_urls_purges_nothing(
    fixture: &dyn CdnFixture,
) -> Outcome {
    takes_nothing(fixture, PurgeRequest::urls).await
}

pub(super) async fn c_048_a_refused_purge_of_prefixes_purges_nothing(
    fixture: &dyn CdnFixture,
) -> Outcome {
    takes_nothing(fixture, PurgeRequest::prefixes).await
}

pub(super) async fn c_049_a_password_in_a_url_is_not_repeated(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    let canary = fixture.unique("canary");
    let url = format!("https://user:{canary}@{}/", site.host);
    for request in [PurgeRequest::urls([&url]), PurgeRequest::prefixes([&url])] {
        if let Err(err) = site.cdn.purge(request).await {
            keeps(&canary, &printed(&err));
        }
    }
}
