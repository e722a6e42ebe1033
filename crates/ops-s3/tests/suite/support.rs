//! Servers whose answers can be broken, and little helpers.

mod server;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use ops_core::object_store::{GetOptions, ListOptions, PutOptions};
use ops_core::{ByteStream, ItemStream, ObjectKey, ObjectStore, Result};

pub(crate) use server::{Fault, SECRET, Server, error, profile};

/// The same tests against every server whose answers can be broken.
macro_rules! on_every_server {
    ($($test:ident),+ $(,)?) => {
        mod s3s_fs {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::support::Server::start().await).await;
            })+
        }

        mod fake {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::support::Server::fake().await).await;
            })+
        }

        mod localstack {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if let Some(server) = crate::support::Server::localstack().await {
                    super::$test(server).await;
                }
            })+
        }
    };
}
pub(crate) use on_every_server;

/// Content that is nowhere the same.
pub(crate) fn noise(bytes: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut data = Vec::with_capacity(bytes + 8);
    while data.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend_from_slice(&state.to_le_bytes());
    }
    data.truncate(bytes);
    data.into()
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

/// A stream of pieces of this size.
pub(crate) fn pieces(data: Bytes, size: usize) -> ByteStream {
    let count = data.len().div_ceil(size);
    Box::pin(stream::iter((0..count).map(move |index| {
        Ok(data.slice(index * size..data.len().min((index + 1) * size)))
    })))
}

pub(crate) async fn all<T>(stream: ItemStream<T>) -> Vec<T> {
    stream.try_collect().await.unwrap()
}

pub(crate) async fn put(store: &dyn ObjectStore, name: &str, data: &'static str) {
    store
        .put(&key(name), data.into(), PutOptions::default())
        .await
        .unwrap();
}

pub(crate) async fn read(store: &dyn ObjectStore, name: &str) -> Result<Bytes> {
    read_with(store, name, GetOptions::default()).await
}

pub(crate) async fn read_with(
    store: &dyn ObjectStore,
    name: &str,
    options: GetOptions,
) -> Result<Bytes> {
    let object = store.get(&key(name), options).await?;
    let chunks: Vec<Bytes> = object.body.try_collect().await?;
    Ok(chunks.concat().into())
}

pub(crate) async fn keys(store: &dyn ObjectStore, options: ListOptions) -> Vec<String> {
    all(store.list(options))
        .await
        .into_iter()
        .map(|meta| meta.key.into())
        .collect()
}
