//! Objects of unknown length that have not ended.

use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};
use ops_core::object_store::PutOptions;
use ops_core::{ByteStream, Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::streams::chunks;
use super::{Folder, ObjectStoreFixture, noise};
use crate::case::Outcome;
use crate::support::eventually;

/// A body that never ends, and what tells that all it has was taken.
fn endless(chunks: Vec<Result<Bytes>>) -> (ByteStream, oneshot::Receiver<()>) {
    let (taken, is_taken) = oneshot::channel();
    let end = stream::once(async move {
        let _ = taken.send(());
        std::future::pending().await
    });
    (Box::pin(stream::iter(chunks).chain(end)), is_taken)
}

/// Uploads to `s` what never ends; once all of it was taken, looks whether something can
/// be seen, and drops the upload. Answers whether something could be seen before.
async fn drop_upload(folder: &Folder, chunks: Vec<Result<Bytes>>) -> bool {
    let (data, is_taken) = endless(chunks);
    let (key, options) = (folder.key("s"), PutOptions::default());
    let upload = pin!(folder.store.put_stream(&key, data, options));
    match select(upload, is_taken).await {
        Either::Left((ended, _)) => panic!("an endless stream has ended: {ended:?}"),
        Either::Right((_, upload)) => {
            let look = pin!(async { !folder.is_missing("s").await || folder.is_listed("s").await });
            // The upload goes on while somebody looks.
            match select(upload, look).await {
                Either::Left((ended, _)) => panic!("an endless stream has ended: {ended:?}"),
                Either::Right((is_seen, _)) => is_seen,
            }
        }
    }
}

pub(super) async fn o_098_nothing_is_visible_before_the_stream_has_ended(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    let is_seen = drop_upload(&folder, vec![Ok(Bytes::from("half"))]).await;
    assert!(!is_seen, "half an object can be seen");
}

pub(super) async fn o_099_a_dropped_upload_leaves_nothing_visible(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    drop_upload(&folder, vec![Ok(Bytes::from("half"))]).await;
    assert!(folder.is_missing("s").await && !folder.is_listed("s").await);
}

const UNSEEN: &str = "the fixture does not see uploads";

async fn wait_abandoned(fixture: &dyn ObjectStoreFixture) {
    eventually!(
        fixture,
        "nothing of the upload is left",
        fixture.pending_uploads().await.filter(|left| *left == 0)
    );
}

pub(super) async fn o_100_a_dropped_upload_of_several_parts_is_abandoned(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    if fixture.pending_uploads().await.is_none() {
        return Outcome::NotOffered(UNSEEN);
    }
    let folder = Folder::new(fixture);
    let data = noise(100, fixture.several_parts());
    drop_upload(&folder, chunks(&data)).await;
    wait_abandoned(fixture).await;
    Outcome::Passed
}

pub(super) async fn o_101_a_failing_upload_of_several_parts_is_abandoned(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    if fixture.pending_uploads().await.is_none() {
        return Outcome::NotOffered(UNSEEN);
    }
    let folder = Folder::new(fixture);
    let mut data = chunks(&noise(101, fixture.several_parts()));
    data.push(Err(Error::new(
        ErrorKind::Unavailable,
        "the dump ended early",
    )));
    let (key, options) = (folder.key("s"), PutOptions::default());
    let data = Box::pin(stream::iter(data));
    drop(folder.store.put_stream(&key, data, options).await);
    wait_abandoned(fixture).await;
    Outcome::Passed
}
