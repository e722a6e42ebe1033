//! The contract of `Cdn`, as far as a caller can see it. Each case is given a cache of
//! `shop.example`. What is cached afterwards is for the tests of each provider.

use ops_core::cdn::{Cdn, Purge, PurgeRequest, PurgeState};
use ops_core::id::PurgeId;
use ops_core::{CdnExt, ErrorKind, WaitOptions};

async fn purge(cdn: &dyn Cdn, request: PurgeRequest) -> Purge {
    let wait = WaitOptions::default();
    cdn.purge_and_wait(request, wait, tokio::time::sleep)
        .await
        .unwrap()
}

pub(crate) async fn everything_urls_and_prefixes_are_purged(cdn: &dyn Cdn) {
    for request in [
        PurgeRequest::everything(),
        PurgeRequest::urls([
            "https://shop.example/app.js?v=2&w=%20",
            "http://shop.example/",
        ]),
        PurgeRequest::prefixes(["https://www.shop.example/assets/"]),
    ] {
        assert_eq!(purge(cdn, request).await.state, PurgeState::Done);
    }
}

pub(crate) async fn purging_what_is_not_cached_succeeds(cdn: &dyn Cdn) {
    let never = PurgeRequest::urls(["https://shop.example/never-asked-for"]);
    for _ in 0..2 {
        assert_eq!(purge(cdn, never.clone()).await.state, PurgeState::Done);
    }
}

pub(crate) async fn nothing_named_is_never_taken_for_everything(cdn: &dyn Cdn) {
    let none: [&str; 0] = [];
    for request in [PurgeRequest::urls(none), PurgeRequest::prefixes(none)] {
        let refused = cdn.purge(request).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    if let Some(tags) = cdn.as_purge_tags() {
        let refused = tags.purge_tags(Vec::new()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    if let Some(hosts) = cdn.as_purge_hosts() {
        let refused = hosts.purge_hosts(Vec::new()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

pub(crate) async fn what_is_no_url_of_the_zone_is_refused(cdn: &dyn Cdn) {
    for url in [
        "",
        "/app.js",
        "shop.example/app.js",
        "ftp://shop.example/app.js",
        "https://other.example/app.js",
        "https://workshop.example/app.js",
        "https://user:pw@shop.example/app.js",
        "https://shop.example/app.js#top",
        "https://shop.example/a b",
    ] {
        let both = [PurgeRequest::urls([url]), PurgeRequest::prefixes([url])];
        for request in both {
            let refused = cdn.purge(request).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{url}");
        }
    }
    let with_query = PurgeRequest::prefixes(["https://shop.example/a?b=c"]);
    let refused = cdn.purge(with_query).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

pub(crate) async fn more_than_fits_one_request_is_purged(cdn: &dyn Cdn) {
    let many = cdn.limits().max_per_request.unwrap_or(30) * 2 + 1;
    let urls = (0..many).map(|n| format!("https://shop.example/{n}"));
    assert_eq!(
        purge(cdn, PurgeRequest::urls(urls)).await.state,
        PurgeState::Done
    );
}

pub(crate) async fn tags_are_purged_and_bad_ones_refused(cdn: &dyn Cdn) {
    let tags = cdn.require_purge_tags().unwrap();
    tags.purge_tags(vec!["assets".to_owned()]).await.unwrap();
    for bad in ["", "a b", "a,b"] {
        let refused = tags.purge_tags(vec![bad.to_owned()]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{bad}");
    }
}

pub(crate) async fn hosts_are_purged_and_those_of_others_refused(cdn: &dyn Cdn) {
    let hosts = cdn.require_purge_hosts().unwrap();
    hosts
        .purge_hosts(vec!["www.shop.example".to_owned()])
        .await
        .unwrap();
    for bad in [
        "",
        "other.example",
        "https://shop.example",
        "shop.example/a",
    ] {
        let refused = hosts.purge_hosts(vec![bad.to_owned()]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{bad}");
    }
}

pub(crate) async fn a_purge_is_followed_to_its_end(cdn: &dyn Cdn) {
    let status = cdn.require_purge_status().unwrap();
    let started = cdn.purge(PurgeRequest::everything()).await.unwrap();
    if let Some(id) = started.id {
        let mut looks = 0;
        while status.purge_status(&id).await.unwrap().state != PurgeState::Done {
            looks += 1;
            assert!(looks < 10, "the purge does not end");
        }
    }
    let nothing = PurgeId::new("no-such-purge").unwrap();
    assert!(
        status
            .purge_status(&nothing)
            .await
            .unwrap_err()
            .is_not_found()
    );
}
