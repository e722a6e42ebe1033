//! Stores that behave oddly.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use ops_core::object_store::{
    DeleteOutcome, GetOptions, GetResult, ListOptions, ObjectMeta, ObjectStoreLimits, PutCondition,
    PutOptions,
};
use ops_core::{
    ByteStream, Error, ErrorKind, ItemStream, ObjectKey, ObjectStore, ProviderId, Result, Retry,
    async_trait,
};
use tokio::sync::Notify;

/// What is odd about a store.
#[derive(Debug)]
pub(crate) enum Oddity {
    /// It keeps no checksums, and sends in pieces of 1 KiB.
    Forgetful,
    /// It waits before it writes a manifest: tells that it has been reached, and goes on
    /// when it is told to.
    Slow { reached: Notify, go: Notify },
    /// It writes a manifest, and its answer is lost.
    Mute,
}

fn in_small_pieces(body: ByteStream) -> ByteStream {
    Box::pin(body.flat_map(|chunk| {
        let pieces: Vec<Result<Bytes>> = match chunk {
            Ok(chunk) => chunk
                .chunks(1024)
                .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                .collect(),
            Err(err) => vec![Err(err)],
        };
        stream::iter(pieces)
    }))
}

/// A store with an oddity.
#[derive(Debug)]
pub(crate) struct Odd {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) oddity: Oddity,
}

#[async_trait]
impl ObjectStore for Odd {
    fn provider(&self) -> ProviderId {
        self.store.provider()
    }

    fn limits(&self) -> ObjectStoreLimits {
        self.store.limits()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let manifest = key.as_str().starts_with("manifests/");
        if let Oddity::Slow { reached, go } = &self.oddity
            && manifest
        {
            reached.notify_one();
            go.notified().await;
        }
        let meta = self.store.put(key, data, options).await?;
        if manifest && matches!(self.oddity, Oddity::Mute) {
            let err = Error::new(ErrorKind::Unavailable, "the connection was lost");
            return Err(err.with_retry(Retry::OutcomeUnknown));
        }
        Ok(meta)
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        self.store.put_stream(key, data, options).await
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        let mut answer = self.store.get(key, options).await?;
        if matches!(self.oddity, Oddity::Forgetful) {
            answer.body = in_small_pieces(answer.body);
        }
        Ok(answer)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        let mut meta = self.store.head(key).await?;
        if matches!(self.oddity, Oddity::Forgetful) {
            meta.checksum = None;
        }
        Ok(meta)
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        self.store.list(options)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        self.store.delete(key).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        self.store.delete_many(keys).await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        self.store.copy(from, to, condition).await
    }
}
