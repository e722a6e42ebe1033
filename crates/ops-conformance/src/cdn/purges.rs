//! What a purge takes, and what it leaves.

use ops_core::cdn::PurgeRequest;

use super::{CdnFixture, Site};
use crate::case::Outcome;

pub(super) async fn c_010_everything_is_purged(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let [root, deep, asked] = ["/", "/assets/a/b.css", "/search?q=x"].map(|path| site.url(path));
    let below = format!("https://www.{}/", site.host);
    site.leaves(
        &[&root, &deep, &asked, &below],
        PurgeRequest::everything(),
        &[],
    )
    .await
}

pub(super) async fn c_011_urls_are_purged(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let [root, app] = ["/", "/app.js"].map(|path| site.url(path));
    site.leaves(&[&root, &app], PurgeRequest::urls([&root, &app]), &[])
        .await
}

pub(super) async fn c_012_a_longer_path_is_another_url(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let [app, map, deep] = ["/app.js", "/app.js.map", "/app.js/b"].map(|path| site.url(path));
    site.leaves(
        &[&app, &map, &deep],
        PurgeRequest::urls([&app]),
        &[&map, &deep],
    )
    .await
}

pub(super) async fn c_013_a_query_is_part_of_a_url(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let [plain, one, two] = ["/app.js", "/app.js?v=1", "/app.js?v=2"].map(|path| site.url(path));
    site.leaves(
        &[&plain, &one, &two],
        PurgeRequest::urls([&one]),
        &[&plain, &two],
    )
    .await
}

pub(super) async fn c_014_a_scheme_is_part_of_a_url(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let secure = site.url("/app.js");
    let plain = format!("http://{}/app.js", site.host);
    site.leaves(&[&plain, &secure], PurgeRequest::urls([&plain]), &[&secure])
        .await
}

pub(super) async fn c_015_a_host_is_part_of_a_url(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let app = site.url("/app.js");
    let below = format!("https://www.{}/app.js", site.host);
    site.leaves(&[&app, &below], PurgeRequest::urls([&app]), &[&below])
        .await
}

pub(super) async fn c_016_an_awkward_url_is_purged_alone(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    // Each next to what it would be where somebody encodes or decodes it once more.
    for (path, other) in [
        ("/a%2Fb", "/a/b"),
        ("/a%20b", "/a%2520b"),
        ("/a+b", "/a%2Bb"),
        ("/%C3%A9", "/%25C3%25A9"),
        ("/?q=a%26b", "/?q=a&b"),
    ] {
        let [url, other] = [path, other].map(|path| site.url(path));
        let request = PurgeRequest::urls([&url]);
        let outcome = site.leaves(&[&url, &other], request, &[&other]).await;
        if outcome != Outcome::Passed {
            return outcome;
        }
    }
    Outcome::Passed
}

pub(super) async fn c_017_what_begins_with_a_prefix_is_purged(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let [css, deep, asked] =
        ["/assets/a.css", "/assets/b/c.css", "/assets/a.css?v=2"].map(|path| site.url(path));
    let request = PurgeRequest::prefixes([site.url("/assets/")]);
    site.leaves(&[&css, &deep, &asked], request, &[]).await
}

pub(super) async fn c_018_what_does_not_begin_with_a_prefix_stays(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let [css, root, other, inside] =
        ["/assets/a.css", "/", "/asset", "/b/assets/a.css"].map(|path| site.url(path));
    let request = PurgeRequest::prefixes([site.url("/assets/")]);
    site.leaves(
        &[&css, &root, &other, &inside],
        request,
        &[&root, &other, &inside],
    )
    .await
}

pub(super) async fn c_019_the_scheme_of_a_prefix_does_not_matter(
    fixture: &dyn CdnFixture,
) -> Outcome {
    let site = Site::new(fixture);
    let plain = format!("http://{}/plain/a.css", site.host);
    let request = PurgeRequest::prefixes([site.url("/plain/")]);
    site.leaves(&[&plain], request, &[]).await
}

pub(super) async fn c_020_a_prefix_is_of_one_host(fixture: &dyn CdnFixture) -> Outcome {
    let site = Site::new(fixture);
    let css = site.url("/assets/a.css");
    let below = format!("https://www.{}/assets/a.css", site.host);
    let request = PurgeRequest::prefixes([site.url("/assets/")]);
    site.leaves(&[&css, &below], request, &[&below]).await
}
