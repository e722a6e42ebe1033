//! Objects, whole.

use futures_util::future::join_all;
use ops_core::object_store::{GetOptions, PutOptions};

use super::{Folder, ObjectStoreFixture, noise};
use crate::case::Outcome;
use crate::support::{done, missing};

/// Names that get lost where they are not encoded, or encoded twice.
pub(super) const NAMES: [&str; 16] = [
    "plain", "a b", "a+b", "a%20b", "a%2Fb", "a?x=1", "a#x", "a&b=c", "a'\"b", "a<b>", "a:b;c@d",
    "a\\b|c", "{a}*~$", "é", "日本", "🦀",
];

pub(super) async fn o_001_the_abilities_are_those_that_are_declared(
    fixture: &dyn ObjectStoreFixture,
) {
    let store = fixture.store();
    let offered = [
        ("as_presign", store.as_presign().is_some()),
        ("as_lifecycle", store.as_lifecycle().is_some()),
        ("as_versions", store.as_versions().is_some()),
        ("as_object_lock", store.as_object_lock().is_some()),
        ("as_bucket_admin", store.as_bucket_admin().is_some()),
    ];
    crate::support::assert_abilities(&offered, fixture.abilities());
}

pub(super) async fn o_002_bytes_of_every_value_are_read_as_they_were_put(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    let data: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    folder.put("a", data.clone()).await;
    assert!(done(folder.read("a").await) == data, "other bytes");
}

pub(super) async fn o_003_an_empty_object_is_an_object(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    folder.put("empty", "").await;
    assert!(done(folder.read("empty").await).is_empty());
    let head = done(folder.store.head(&folder.key("empty")).await);
    assert_eq!(head.size_bytes, 0);
}

pub(super) async fn o_004_a_write_answers_the_key_and_the_size(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let written = folder.put("a", "content").await;
    assert_eq!((written.key, written.size_bytes), (folder.key("a"), 7));
}

pub(super) async fn o_005_head_tells_the_size_and_the_version(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let written = folder.put("a", "content").await;
    let head = done(folder.store.head(&folder.key("a")).await);
    assert_eq!((head.size_bytes, head.etag), (7, written.etag));
}

pub(super) async fn o_006_a_later_write_takes_the_place_of_an_earlier_one(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    folder.put("a", "a long first text").await;
    folder.put("a", "second").await;
    assert_eq!(done(folder.read("a").await), "second");
}

pub(super) async fn o_007_the_head_of_a_missing_object_is_not_found(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    missing(folder.store.head(&folder.key("no")).await);
}

pub(super) async fn o_008_reading_a_missing_object_is_not_found(fixture: &dyn ObjectStoreFixture) {
    missing(Folder::new(fixture).read("no").await);
}

pub(super) async fn o_009_a_media_type_that_is_kept_is_the_one_that_was_set(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let folder = Folder::new(fixture);
    let options = PutOptions::default().with_content_type("text/csv; charset=utf-8");
    let key = folder.key("a");
    done(folder.store.put(&key, "a,b".into(), options).await);
    match done(folder.store.head(&key).await).content_type {
        None => Outcome::NotOffered("the store keeps no media type"),
        Some(kept) => {
            assert_eq!(kept, "text/csv; charset=utf-8");
            Outcome::Passed
        }
    }
}

pub(super) async fn o_010_awkward_keys_are_kept_apart(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    for name in NAMES {
        folder.put(name, name).await;
    }
    for name in NAMES {
        assert_eq!(done(folder.read(name).await), name);
    }
}

pub(super) async fn o_011_a_long_key_is_kept_whole(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    // 900 bytes, no part of which is longer than a file's name may be.
    let long = ["x".repeat(179), "y".repeat(179), "é".repeat(89)].join("/");
    let (one, other) = (format!("{long}/1"), format!("{long}/2"));
    folder.put(&one, "1").await;
    folder.put(&other, "2").await;
    assert_eq!(done(folder.read(&one).await), "1");
    assert_eq!(folder.names("", None).await, [one, other]);
}

pub(super) async fn o_012_a_reader_sees_one_version(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let (old, new) = (noise(1, 300_000), noise(2, 300_000));
    folder.put("a", old.clone()).await;
    let options = GetOptions::default();
    let object = done(folder.store.get(&folder.key("a"), options).await);
    folder.put("a", new).await;
    // An error is fine: the version that was being read is gone.
    let body = futures_util::TryStreamExt::try_collect::<Vec<_>>(object.body).await;
    assert!(body.is_err() || body.unwrap().concat() == old, "a mixture");
}

pub(super) async fn o_013_concurrent_calls_do_not_mix(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let names: Vec<String> = (0..12).map(|number| format!("object-{number}")).collect();
    let writes: Vec<_> = names
        .iter()
        .map(|name| folder.put(name, name.clone()))
        .collect();
    join_all(writes).await;
    let reads: Vec<_> = names.iter().map(|name| folder.read(name)).collect();
    let reads = join_all(reads).await;
    for (name, read) in names.iter().zip(reads) {
        assert_eq!(done(read), name.as_str());
    }
}
