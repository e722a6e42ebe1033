//! Objects of unknown length that end, well or not.

use bytes::Bytes;
use futures_util::stream;
use ops_core::object_store::PutOptions;
use ops_core::{ByteStream, Error, ErrorKind, Result};

use super::{Folder, ObjectStoreFixture, noise};
use crate::support::done;

/// A body of texts.
pub(super) fn body<const N: usize>(chunks: [&'static str; N]) -> ByteStream {
    Box::pin(stream::iter(chunks.map(|chunk| Ok(Bytes::from(chunk)))))
}

/// A body in chunks of an odd size.
pub(super) fn chunks(data: &Bytes) -> Vec<Result<Bytes>> {
    const CHUNK: usize = 100_003;
    let starts = (0..data.len()).step_by(CHUNK);
    let chunk = |start| Ok(data.slice(start..data.len().min(start + CHUNK)));
    starts.map(chunk).collect()
}

async fn put_stream(folder: &Folder, name: &str, data: ByteStream) -> u64 {
    let (key, options) = (folder.key(name), PutOptions::default());
    done(folder.store.put_stream(&key, data, options).await).size_bytes
}

pub(super) async fn o_090_an_empty_stream_is_an_empty_object(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    put_stream(&folder, "s", body([])).await;
    assert!(done(folder.read("s").await).is_empty());
}

pub(super) async fn o_091_a_small_stream_is_put_whole(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    put_stream(&folder, "s", body(["one ", "", "two ", "three"])).await;
    assert_eq!(done(folder.read("s").await), "one two three");
}

async fn large(fixture: &dyn ObjectStoreFixture, length: usize) {
    let folder = Folder::new(fixture);
    let data = noise(length as u64, length);
    put_stream(&folder, "s", Box::pin(stream::iter(chunks(&data)))).await;
    assert!(done(folder.read("s").await) == data, "other bytes");
}

pub(super) async fn o_092_a_stream_of_several_parts_is_put_whole(fixture: &dyn ObjectStoreFixture) {
    large(fixture, fixture.several_parts()).await;
}

pub(super) async fn o_093_a_stream_of_full_parts_is_put_whole(fixture: &dyn ObjectStoreFixture) {
    for length in fixture.full_parts() {
        large(fixture, length).await;
    }
}

pub(super) async fn o_094_a_streamed_write_answers_the_size(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    assert_eq!(put_stream(&folder, "s", body(["one", "two"])).await, 6);
}

/// Puts a stream that fails in the middle.
async fn put_failing(folder: &Folder) -> Result<()> {
    let err = Error::new(ErrorKind::QuotaExceeded, "the dump ended early").with_code("42");
    let data = stream::iter([Ok(Bytes::from("half")), Err(err)]);
    let (key, options) = (folder.key("s"), PutOptions::default());
    let put = folder.store.put_stream(&key, Box::pin(data), options);
    put.await.map(drop)
}

pub(super) async fn o_095_a_failing_stream_gives_back_its_error(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let Err(err) = put_failing(&folder).await else {
        panic!("half a stream was taken for a whole one");
    };
    assert_eq!(
        (err.kind(), err.message(), err.code()),
        (ErrorKind::QuotaExceeded, "the dump ended early", Some("42"))
    );
}

pub(super) async fn o_096_a_failing_stream_leaves_nothing(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    drop(put_failing(&folder).await);
    assert!(folder.is_missing("s").await && !folder.is_listed("s").await);
}

pub(super) async fn o_097_a_failing_stream_leaves_the_old_version(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    folder.put("s", "old").await;
    drop(put_failing(&folder).await);
    assert_eq!(done(folder.read("s").await), "old");
}
