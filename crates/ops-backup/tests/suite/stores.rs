//! Stores that behave oddly.

use std::sync::{Arc, Mutex};

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
use tokio::sync::{Notify, OnceCell};

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
    /// A manifest is under way until it is told to go on, whether anybody waits for it or not.
    Late(Arc<Late>),
    /// It can be bounded, and notes to what it was.
    Bounded(Arc<Mutex<Vec<u64>>>),
}

/// A manifest that is under way.
#[derive(Debug, Default)]
pub(crate) struct Late {
    /// Whether the writer is told at once that nobody knows; it is never told else.
    pub(crate) gives_up: bool,
    pub(crate) sent: Notify,
    pub(crate) go: Notify,
    /// What came of it.
    pub(crate) arrived: OnceCell<Result<ObjectMeta>>,
}

fn lost() -> Error {
    let err = Error::new(ErrorKind::Unavailable, "the connection was lost");
    err.with_retry(Retry::OutcomeUnknown)
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
        // Not a tombstone that replaces one.
        let manifest = key.as_str().starts_with("manifests/")
            && options.condition == PutCondition::IfNoneMatch;
        if let Oddity::Slow { reached, go } = &self.oddity
            && manifest
        {
            reached.notify_one();
            go.notified().await;
        }
        if let Oddity::Late(late) = &self.oddity
            && manifest
        {
            let (late, store) = (Arc::clone(late), Arc::clone(&self.store));
            let (gives_up, key) = (late.gives_up, key.clone());
            tokio::spawn(async move {
                late.sent.notify_one();
                late.go.notified().await;
                let put = async || store.put(&key, data, options).await;
                late.arrived.get_or_init(put).await;
            });
            if !gives_up {
                std::future::pending::<()>().await;
            }
            return Err(lost());
        }
        let meta = self.store.put(key, data, options).await?;
        if manifest && matches!(self.oddity, Oddity::Mute) {
            return Err(lost());
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

    fn bounded(&self, memory_bytes: u64) -> Option<Arc<dyn ObjectStore>> {
        let Oddity::Bounded(bounds) = &self.oddity else {
            return None;
        };
        bounds.lock().unwrap().push(memory_bytes);
        Some(Arc::clone(&self.store))
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
