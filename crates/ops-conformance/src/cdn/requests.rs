//! How often and how much at once.

use futures_util::future::join_all;
use ops_core::ErrorKind;
use ops_core::cdn::PurgeRequest;
use ops_core::id::IdempotencyKey;

use super::{CdnFixture, Site, UNSEEN};
use crate::case::Outcome;
use crate::support::{done, give_up, refused};

pub(super) async fn c_030_purging_what_is_not_cached_succeeds(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    let never = site.url("/never-asked-for");
    done(site.cdn.purge(PurgeRequest::urls([never])).await);
}

pub(super) async fn c_031_purging_twice_succeeds(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    for _ in 0..2 {
        done(site.cdn.purge(PurgeRequest::everything()).await);
    }
}

/// So many URLs, each with a folder of its own.
fn urls(site: &Site<'_>, many: u32) -> Vec<String> {
    let paths = (0..many).map(|n| format!("/{n:05}/a.css"));
    paths.map(|path| site.url(&path)).collect()
}

pub(super) async fn c_032_more_urls_than_fit_one_request_are_purged(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let urls = urls(&site, site.too_many());
    let cached: Vec<_> = urls.iter().map(String::as_str).collect();
    site.leaves(&cached, PurgeRequest::urls(cached.clone()), &[])
        .await
}

pub(super) async fn c_033_more_prefixes_than_fit_one_request_are_purged(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let urls = urls(&site, site.too_many());
    let cached: Vec<_> = urls.iter().map(String::as_str).collect();
    let prefixes = cached.iter().filter_map(|url| url.strip_suffix("a.css"));
    site.leaves(&cached, PurgeRequest::prefixes(prefixes), &[])
        .await
}

pub(super) async fn c_034_a_url_that_is_named_twice_is_purged(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let app = site.url("/app.js");
    site.leaves(&[&app], PurgeRequest::urls([&app, &app]), &[])
        .await
}

pub(super) async fn c_035_concurrent_purges_do_not_mix(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let urls = urls(&site, 6);
    let (kept, gone): (Vec<_>, Vec<_>) = urls.iter().enumerate().partition(|(n, _)| n % 3 == 0);
    let text = |urls: Vec<(usize, &'_ String)>| -> Vec<String> {
        urls.into_iter().map(|(_, url)| url.clone()).collect()
    };
    let (kept, gone) = (text(kept), text(gone));
    let cached: Vec<_> = urls.iter().map(String::as_str).collect();
    if !site.caches(&cached).await {
        return UNSEEN;
    }
    let purges = gone
        .iter()
        .map(|url| site.cdn.purge(PurgeRequest::urls([url])));
    for (url, purge) in gone.iter().zip(join_all(purges).await) {
        site.comes_to(&[url], done(purge), &[]).await;
    }
    for url in &kept {
        assert!(fixture.is_cached(url).await, "{url} is gone");
    }
    Outcome::Passed
}

pub(super) async fn c_036_a_purge_that_is_given_up_does_not_stop_the_next(
    fixture: &dyn CdnFixture,
) {
    let site = Site::new(fixture);
    let request = PurgeRequest::urls([site.url("/app.js")]);
    for _ in 0..20 {
        give_up(site.cdn.purge(request.clone()));
    }
    done(site.cdn.purge(request).await);
}

/// A key of this call alone.
fn key(fixture: &dyn CdnFixture) -> Option<IdempotencyKey> {
    let key = IdempotencyKey::new(fixture.unique("key")).unwrap();
    fixture.knows_keys().then_some(key)
}

const NO_KEYS: Outcome = Outcome::NotOffered("the vendor knows no idempotency keys");

pub(super) async fn c_037_one_key_makes_one_purge(fixture: &dyn CdnFixture) -> Outcome {
    let Some(key) = key(fixture) else {
        return NO_KEYS;
    };
    let site = Site::new(fixture);
    let urls = PurgeRequest::urls([site.url("/app.js")]);
    let request = urls.with_idempotency_key(key);
    let first = done(site.cdn.purge(request.clone()).await);
    assert_eq!(done(site.cdn.purge(request).await).id, first.id);
    Outcome::Passed
}

pub(super) async fn c_038_the_key_of_another_purge_is_a_conflict(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let Some(key) = key(fixture) else {
        return NO_KEYS;
    };
    let site = Site::new(fixture);
    let request = |path| PurgeRequest::urls([site.url(path)]).with_idempotency_key(key.clone());
    done(site.cdn.purge(request("/a.css")).await);
    let other = site.cdn.purge(request("/b.css")).await;
    refused(other, &[ErrorKind::Conflict]);
    Outcome::Passed
}
