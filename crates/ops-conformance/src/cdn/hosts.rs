//! `PurgeHosts`.

use ops_core::cdn::Cdn;
use ops_core::{CdnExt, ErrorKind};

use super::refusals::elsewhere;
use super::{CdnFixture, Site, UNSEEN};
use crate::case::Outcome;
use crate::support::{done, refused, unsupported};

pub(super) async fn c_060_hosts_are_purged_or_unsupported_by_name(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let Some(hosts) = site.cdn.as_purge_hosts() else {
        unsupported(
            site.cdn.require_purge_hosts(),
            &site.cdn.provider(),
            "purging hosts",
        );
        return Outcome::Passed;
    };
    let [root, app] = ["/", "/app.js?v=2"].map(|path| site.url(path));
    let is_seen = site.caches(&[&root, &app]).await;
    let purge = done(hosts.purge_hosts(vec![site.host.clone()]).await);
    if is_seen {
        site.comes_to(&[&root, &app], purge, &[]).await;
    }
    Outcome::Passed
}

pub(super) async fn c_061_what_is_of_another_host_stays(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let named = format!("www.{}", site.host);
    let gone = format!("https://{named}/");
    let kept = [site.url("/"), format!("https://a.{named}/")];
    let kept: Vec<_> = kept.iter().map(String::as_str).collect();
    let cached: Vec<_> = kept.iter().copied().chain([gone.as_str()]).collect();
    if !site.caches(&cached).await {
        return UNSEEN;
    }
    let hosts = site.cdn.as_purge_hosts().unwrap();
    let purge = done(hosts.purge_hosts(vec![named]).await);
    site.comes_to(&cached, purge, &kept).await;
    Outcome::Passed
}

async fn refuses(cdn: &dyn Cdn, names: Vec<String>) {
    let purge = cdn.as_purge_hosts().unwrap().purge_hosts(names).await;
    refused(purge, &[ErrorKind::InvalidInput]);
}

pub(super) async fn c_062_no_hosts_are_not_everything(fixture: &dyn CdnFixture) {
    refuses(&*fixture.cdn(), Vec::new()).await;
}

pub(super) async fn c_063_what_is_no_host_is_refused(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    let host = &site.host;
    for bad in [
        String::new(),
        format!("https://{host}"),
        format!("{host}/a"),
        format!("user@{host}"),
        format!("a b.{host}"),
    ] {
        refuses(&*site.cdn, vec![bad]).await;
    }
}

pub(super) async fn c_064_a_host_outside_the_zone_is_refused(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    for host in elsewhere(&site.host) {
        refuses(&*site.cdn, vec![host]).await;
    }
}

pub(super) async fn c_065_a_refused_purge_of_hosts_purges_nothing(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let root = site.url("/");
    if !site.caches(&[&root]).await {
        return UNSEEN;
    }
    let hosts = site.cdn.as_purge_hosts().unwrap();
    let names = vec![site.host.clone(), "elsewhere.invalid".to_owned()];
    if let Err(err) = hosts.purge_hosts(names).await {
        assert!(fixture.is_cached(&root).await, "purged in spite of {err}");
    }
    Outcome::Passed
}

pub(super) async fn c_066_more_hosts_than_fit_one_request_are_purged(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let names: Vec<_> = (0..site.too_many())
        .map(|n| format!("n{n:05}.{}", site.host))
        .collect();
    let urls: Vec<_> = names
        .iter()
        .map(|name| format!("https://{name}/"))
        .collect();
    let cached: Vec<_> = urls.iter().map(String::as_str).collect();
    if !site.caches(&cached).await {
        return UNSEEN;
    }
    let hosts = site.cdn.as_purge_hosts().unwrap();
    let purge = done(hosts.purge_hosts(names).await);
    site.comes_to(&cached, purge, &[]).await;
    Outcome::Passed
}
