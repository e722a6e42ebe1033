//! Conditional writes and reads.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use ops_core::ErrorKind;
use ops_core::object_store::{ETag, GetOptions, ObjectKey, ObjectStore, PutOptions};

use super::streams::body;
use super::{Folder, ObjectStoreFixture};
use crate::case::Outcome;
use crate::support::{done, refused};

const NO_VERSIONS: &str = "the store names no versions";

pub(super) async fn o_030_a_create_loses_to_what_is_there_and_changes_nothing(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    folder.put("a", "first").await;
    let create = PutOptions::if_none_match();
    let lost = folder.put_with("a", "second".into(), create).await;
    refused(lost, &[ErrorKind::AlreadyExists]);
    assert_eq!(done(folder.read("a").await), "first");
}

/// A folder whose object `a` is at its second version, and the name of the first.
async fn stale(fixture: &dyn ObjectStoreFixture) -> Option<(Folder, ETag)> {
    let folder = Folder::new(fixture);
    let etag = folder.put("a", "first").await.etag?;
    folder.put("a", "second").await;
    Some((folder, etag))
}

pub(super) async fn o_033_a_swap_of_another_version_is_a_conflict(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some((folder, etag)) = stale(fixture).await else {
        return Outcome::NotOffered(NO_VERSIONS);
    };
    let swap = PutOptions::if_match(etag);
    let lost = folder.put_with("a", "third".into(), swap).await;
    refused(lost, &[ErrorKind::Conflict]);
    Outcome::Passed
}

pub(super) async fn o_034_a_swap_of_what_is_gone_is_a_conflict(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let folder = Folder::new(fixture);
    let Some(etag) = folder.put("a", "first").await.etag else {
        return Outcome::NotOffered(NO_VERSIONS);
    };
    done(folder.store.delete(&folder.key("a")).await);
    let swap = PutOptions::if_match(etag);
    let lost = folder.put_with("a", "second".into(), swap).await;
    refused(lost, &[ErrorKind::Conflict]);
    Outcome::Passed
}

pub(super) async fn o_035_of_racing_creates_one_wins(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let key = folder.key("lease");
    let writers = (0..20).map(|number| {
        let (store, key) = (Arc::clone(&folder.store), key.clone());
        tokio::spawn(async move {
            let data = Bytes::from(format!("writer {number}"));
            store.put(&key, data, PutOptions::if_none_match()).await
        })
    });
    let results = join_all(writers.collect::<Vec<_>>()).await;
    let mut winners = Vec::new();
    for (number, result) in results.into_iter().enumerate() {
        if result.unwrap().is_ok() {
            winners.push(format!("writer {number}"));
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(done(folder.read("lease").await), winners[0]);
}

async fn increment(store: &dyn ObjectStore, key: &ObjectKey, times: u32) {
    let mut left = times;
    for _ in 0..1_000 {
        if left == 0 {
            return;
        }
        let object = done(store.get(key, GetOptions::default()).await);
        let etag = object.meta.etag.clone().unwrap();
        let text: Vec<Bytes> = done(object.body.try_collect().await);
        let value: u32 = String::from_utf8(text.concat()).unwrap().parse().unwrap();
        let next = Bytes::from((value + 1).to_string());
        let swap = store.put(key, next, PutOptions::if_match(etag)).await;
        left -= u32::from(swap.is_ok());
    }
    panic!("a swap of the version that is there is never done");
}

pub(super) async fn o_036_racing_swaps_lose_no_update(fixture: &dyn ObjectStoreFixture) -> Outcome {
    let folder = Folder::new(fixture);
    if folder.put("counter", "0").await.etag.is_none() {
        return Outcome::NotOffered(NO_VERSIONS);
    }
    let key = folder.key("counter");
    let writers = (0..4).map(|_| {
        let (store, key) = (Arc::clone(&folder.store), key.clone());
        tokio::spawn(async move { increment(&*store, &key, 5).await })
    });
    for writer in join_all(writers.collect::<Vec<_>>()).await {
        writer.unwrap();
    }
    assert_eq!(done(folder.read("counter").await), "20");
    Outcome::Passed
}

pub(super) async fn o_037_a_streamed_create_loses_to_what_is_there(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    folder.put("a", "first").await;
    let (key, data) = (folder.key("a"), body(["second"]));
    let create = PutOptions::if_none_match();
    let lost = folder.store.put_stream(&key, data, create).await;
    refused(lost, &[ErrorKind::AlreadyExists]);
}

pub(super) async fn o_038_a_streamed_swap_of_another_version_is_a_conflict(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some((folder, etag)) = stale(fixture).await else {
        return Outcome::NotOffered(NO_VERSIONS);
    };
    let (key, data) = (folder.key("a"), body(["third"]));
    let swap = PutOptions::if_match(etag);
    let lost = folder.store.put_stream(&key, data, swap).await;
    refused(lost, &[ErrorKind::Conflict]);
    Outcome::Passed
}

pub(super) async fn o_039_what_was_deleted_can_be_created_again(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let key = folder.key("a");
    folder.put("a", "same").await;
    done(folder.store.delete(&key).await);
    let create = PutOptions::if_none_match();
    done(folder.store.put(&key, "same".into(), create).await);
}

pub(super) async fn o_040_reading_another_version_is_a_conflict(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some((folder, etag)) = stale(fixture).await else {
        return Outcome::NotOffered(NO_VERSIONS);
    };
    let options = GetOptions::default().with_if_match(etag);
    refused(folder.read_with("a", options).await, &[ErrorKind::Conflict]);
    Outcome::Passed
}

pub(super) async fn o_041_the_version_that_is_there_can_be_asked_for(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let folder = Folder::new(fixture);
    let Some(etag) = folder.put("a", "first").await.etag else {
        return Outcome::NotOffered(NO_VERSIONS);
    };
    let options = GetOptions::default().with_if_match(etag);
    assert_eq!(done(folder.read_with("a", options).await), "first");
    Outcome::Passed
}
