//! Listings.

use futures_util::{StreamExt, stream};
use ops_core::object_store::ObjectMeta;

use super::{Folder, ObjectStoreFixture};
use crate::case::Outcome;

const NAMES: [&str; 12] = [
    "a/b", "a-b", "Z", "b c", "é", "z", "日本", "🦀", "a+b", "a%20b", "~", "b?c#d",
];

async fn filled(fixture: &dyn ObjectStoreFixture) -> Folder {
    let folder = Folder::new(fixture);
    for name in NAMES {
        folder.put(name, name).await;
    }
    folder
}

pub(super) async fn o_060_objects_are_listed_in_the_order_of_their_bytes(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = filled(fixture).await;
    let mut sorted = NAMES;
    sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let listed = folder.list("", None).await;
    let name = |meta: &ObjectMeta| meta.key.as_str()[folder.prefix.len()..].to_owned();
    let listed: Vec<_> = listed.iter().map(name).collect();
    assert_eq!(listed, sorted);
}

pub(super) async fn o_061_a_prefix_chooses_what_begins_with_it(fixture: &dyn ObjectStoreFixture) {
    let folder = filled(fixture).await;
    let expected = ["a%20b", "a+b", "a-b", "a/b"];
    assert_eq!(folder.names("a", None).await, expected);
    assert_eq!(folder.names("z", None).await, ["z"]);
}

pub(super) async fn o_062_a_listing_starts_after_a_key(fixture: &dyn ObjectStoreFixture) {
    let folder = filled(fixture).await;
    let expected = ["~", "é", "日本", "🦀"];
    assert_eq!(folder.names("", Some("z")).await, expected);
}

pub(super) async fn o_063_prefix_and_start_hold_together(fixture: &dyn ObjectStoreFixture) {
    let folder = filled(fixture).await;
    assert_eq!(folder.names("a", Some("a+b")).await, ["a-b", "a/b"]);
    assert_eq!(folder.names("b", Some("a")).await, ["b c", "b?c#d"]);
}

pub(super) async fn o_064_a_prefix_of_nothing_lists_nothing(fixture: &dyn ObjectStoreFixture) {
    let folder = filled(fixture).await;
    assert!(folder.names("none/", None).await.is_empty());
}

pub(super) async fn o_065_a_long_listing_comes_whole_and_once(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let names: Vec<String> = (0..fixture.more_than_a_page())
        .map(|number| format!("n/{number:05}"))
        .collect();
    let writes: Vec<_> = names.iter().map(|name| folder.put(name, "")).collect();
    let written = stream::iter(writes).buffer_unordered(32).count().await;
    assert_eq!(written, names.len());
    assert!(
        folder.names("n/", None).await == names,
        "some are missing, twice or astray"
    );
}

pub(super) async fn o_066_a_listing_tells_the_sizes(fixture: &dyn ObjectStoreFixture) {
    let folder = filled(fixture).await;
    for meta in folder.list("", None).await {
        let name = &meta.key.as_str()[folder.prefix.len()..];
        assert_eq!(meta.size_bytes, name.len() as u64, "{name}");
    }
}

pub(super) async fn o_067_a_listing_tells_the_versions(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let folder = Folder::new(fixture);
    let written = folder.put("a", "content").await;
    if written.etag.is_none() {
        return Outcome::NotOffered("the store names no versions");
    }
    let etags: Vec<_> = folder.list("", None).await;
    let etags: Vec<_> = etags.into_iter().map(|meta| meta.etag).collect();
    assert_eq!(etags, [written.etag]);
    Outcome::Passed
}

pub(super) async fn o_068_an_awkward_prefix_is_taken_as_it_is(fixture: &dyn ObjectStoreFixture) {
    let folder = filled(fixture).await;
    for name in ["a+b", "a%20b", "b c", "b?c#d", "日本"] {
        assert_eq!(folder.names(name, None).await, [name]);
    }
}
