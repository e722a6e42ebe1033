//! The cache in memory.

use std::time::Duration;

use ops_core::cdn::{Cdn, PurgeRequest, PurgeState};
use ops_core::id::IdempotencyKey;
use ops_core::memory::MemoryCdn;
use ops_core::{CdnExt, ErrorKind, WaitOptions};

mod suite {
    use ops_conformance::memory::MemoryCdnFixture;

    ops_conformance::cdn!(MemoryCdnFixture::new());
}

mod slow {
    use ops_conformance::memory::MemoryCdnFixture;

    ops_conformance::cdn!(MemoryCdnFixture::slow());
}

const URLS: [&str; 5] = [
    "http://shop.example/app.js",
    "https://shop.example/",
    "https://shop.example/app.js",
    "https://shop.example/app.js?v=2",
    "https://www.shop.example/app.js",
];

fn filled() -> MemoryCdn {
    let cdn = MemoryCdn::new(["shop.example"]);
    for url in URLS {
        let tags: &[&str] = if url.contains("app") {
            &["assets"]
        } else {
            &[]
        };
        cdn.cache(url, tags).unwrap();
    }
    cdn
}

/// Those of [`URLS`] that are left.
async fn left(request: PurgeRequest) -> Vec<usize> {
    let cdn = filled();
    cdn.purge(request).await.unwrap();
    indices(&cdn)
}

fn indices(cdn: &MemoryCdn) -> Vec<usize> {
    let cached = cdn.cached();
    let is_cached = |n: &usize| cached.iter().any(|url| url == URLS[*n]);
    (0..URLS.len()).filter(is_cached).collect()
}

#[tokio::test]
async fn a_purge_takes_what_is_named_and_nothing_else() {
    assert!(left(PurgeRequest::everything()).await.is_empty());
    let exact = PurgeRequest::urls(["https://SHOP.example/app.js", "https://shop.example"]);
    assert_eq!(left(exact).await, [0, 3, 4]);
    let prefix = PurgeRequest::prefixes(["https://shop.example/app"]);
    assert_eq!(left(prefix).await, [1, 4]);

    let cdn = filled();
    let tags = cdn.require_purge_tags().unwrap();
    tags.purge_tags(vec!["assets".to_owned()]).await.unwrap();
    assert_eq!(indices(&cdn), [1]);
    let cdn = filled();
    let hosts = cdn.require_purge_hosts().unwrap();
    hosts
        .purge_hosts(vec!["www.shop.example".to_owned()])
        .await
        .unwrap();
    assert_eq!(indices(&cdn), [0, 1, 2, 3]);
}

#[tokio::test]
async fn what_is_refused_purges_nothing() {
    let cdn = filled();
    let mixed = PurgeRequest::urls([URLS[1], "https://other.example/"]);
    let refused = cdn.purge(mixed).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!((cdn.cached().len(), cdn.requests()), (5, 0));
}

#[tokio::test]
async fn more_than_the_limit_takes_several_requests() {
    let cdn = filled();
    let urls = |n: u32| PurgeRequest::urls((0..n).map(|n| format!("https://shop.example/{n}")));
    cdn.purge(urls(30)).await.unwrap();
    assert_eq!(cdn.requests(), 1);
    cdn.purge(urls(61)).await.unwrap();
    assert_eq!(cdn.requests(), 1 + 3);
}

#[tokio::test]
async fn one_idempotency_key_makes_one_purge() {
    let cdn = filled();
    let key = IdempotencyKey::new("release-7").unwrap();
    let request = PurgeRequest::everything().with_idempotency_key(key.clone());
    let first = cdn.purge(request.clone()).await.unwrap();
    cdn.cache(URLS[1], &[]).unwrap();
    assert_eq!(cdn.purge(request).await.unwrap().id, first.id);
    assert_eq!(indices(&cdn), [1]);
    let other = PurgeRequest::urls([URLS[1]]).with_idempotency_key(key);
    let err = cdn.purge(other).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_takes_time_is_waited_for() {
    let cdn = filled().slow();
    let started = cdn.purge(PurgeRequest::everything()).await.unwrap();
    assert_eq!(
        (started.state, cdn.cached().len()),
        (PurgeState::InProgress, 5)
    );
    let wait = WaitOptions::default();
    let all = PurgeRequest::everything();
    let ended = cdn
        .purge_and_wait(all.clone(), wait, tokio::time::sleep)
        .await;
    assert_eq!(ended.unwrap().state, PurgeState::Done);
    assert!(cdn.cached().is_empty());

    let short = wait.with_timeout(Duration::from_secs(1));
    let late = cdn.purge_and_wait(all, short, tokio::time::sleep).await;
    let err = late.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Timeout);
    assert!(
        err.message().ends_with("was not seen done within 1 s"),
        "{err}"
    );
}
