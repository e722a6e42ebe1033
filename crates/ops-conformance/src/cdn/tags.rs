//! `PurgeTags`.

use ops_core::cdn::Cdn;
use ops_core::{CdnExt, ErrorKind};

use super::{CdnFixture, Site, UNSEEN};
use crate::case::Outcome;
use crate::support::{done, refused, unsupported};

pub(super) async fn c_050_tags_are_purged_or_unsupported_by_name(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let Some(tags) = site.cdn.as_purge_tags() else {
        unsupported(
            site.cdn.require_purge_tags(),
            &site.cdn.provider(),
            "purging tags",
        );
        return Outcome::Passed;
    };
    let app = site.url("/app.js");
    let is_seen = fixture.cache(&app, &["assets", "front"]).await;
    let purge = done(tags.purge_tags(vec!["assets".to_owned()]).await);
    if is_seen {
        site.comes_to(&[&app], purge, &[]).await;
    }
    Outcome::Passed
}

pub(super) async fn c_051_what_has_another_tag_stays(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let [app, longer, plain] = ["/app.js", "/longer.js", "/plain.js"].map(|path| site.url(path));
    for (url, tags) in [
        (&app, &["assets"][..]),
        (&longer, &["assets-2"]),
        (&plain, &[]),
    ] {
        if !fixture.cache(url, tags).await {
            return UNSEEN;
        }
    }
    let tags = site.cdn.as_purge_tags().unwrap();
    let purge = done(tags.purge_tags(vec!["assets".to_owned()]).await);
    site.comes_to(&[&app, &longer, &plain], purge, &[&longer, &plain])
        .await;
    Outcome::Passed
}

async fn refuses(cdn: &dyn Cdn, tags: &[&str]) {
    let names = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let purge = cdn.as_purge_tags().unwrap().purge_tags(names).await;
    refused(purge, &[ErrorKind::InvalidInput]);
}

pub(super) async fn c_052_no_tags_are_not_everything(fixture: &dyn CdnFixture) {
    refuses(&*fixture.cdn(), &[]).await;
}

pub(super) async fn c_053_what_is_no_tag_is_refused(fixture: &dyn CdnFixture) {
    let cdn = fixture.cdn();
    for bad in ["", "a b", "a,b"] {
        refuses(&*cdn, &[bad]).await;
    }
}

pub(super) async fn c_054_a_refused_purge_of_tags_purges_nothing(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let app = site.url("/app.js");
    if !fixture.cache(&app, &["assets"]).await {
        return UNSEEN;
    }
    let tags = site.cdn.as_purge_tags().unwrap();
    let purge = tags.purge_tags(vec!["assets".to_owned(), "a,b".to_owned()]);
    if let Err(err) = purge.await {
        assert!(fixture.is_cached(&app).await, "purged in spite of {err}");
    }
    Outcome::Passed
}

pub(super) async fn c_055_more_tags_than_fit_one_request_are_purged(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let names: Vec<_> = (0..site.too_many())
        .map(|n| format!("tag-{n:05}"))
        .collect();
    let app = site.url("/app.js");
    let last = names.last().map(String::as_str);
    if !fixture.cache(&app, last.as_slice()).await {
        return UNSEEN;
    }
    let tags = site.cdn.as_purge_tags().unwrap();
    let purge = done(tags.purge_tags(names).await);
    site.comes_to(&[&app], purge, &[]).await;
    Outcome::Passed
}
