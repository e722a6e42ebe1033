//! The provider.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use ops_core::object_store::{
    DeleteOutcome, GetOptions, GetResult, ListOptions, ObjectMeta, ObjectStoreLimits, PutCondition,
    PutOptions,
};
use ops_core::{ByteStream, ItemStream, ObjectKey, ObjectStore, ProviderId, Result, async_trait};
use tracing::Instrument;

use crate::commit;
use crate::config::LocalBuilder;
use crate::copy::reflink;
use crate::error::{self, PROVIDER};
use crate::key::KeyPath;
use crate::list;
use crate::read::{self, Reader};
use crate::receive::{Failure, receive};
use crate::store::{Operation, SharedStore, Store, blocking};
use crate::upload::Upload;
use crate::version::find;

/// How many objects `delete_many` deletes at the same time.
const PARALLEL_DELETES: usize = 8;

/// An object store in a folder of the local file system.
///
/// Clones are the same store. Several may be open on one folder, in one process or in many.
#[derive(Clone, Debug)]
pub struct Local {
    store: SharedStore,
}

impl Local {
    pub(crate) fn new(store: SharedStore) -> Self {
        Self { store }
    }

    /// Configures a store in a folder. A relative path is resolved when the store is built.
    pub fn builder(path: impl Into<PathBuf>) -> LocalBuilder {
        LocalBuilder::new(path.into())
    }

    /// Opens a store in a folder that exists, for reading and writing, with full durability.
    ///
    /// # Errors
    /// As [`LocalBuilder::build`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(path).build()
    }

    /// The folder, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.store.root().path()
    }

    /// Runs blocking work on a key.
    async fn on<T: Send + 'static>(
        &self,
        operation: &Operation,
        key: &ObjectKey,
        work: impl FnOnce(&Store, &KeyPath) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        let done = async {
            let key = KeyPath::new(key)?;
            blocking(move || work(&store, &key)).await
        };
        done.instrument(operation.span())
            .await
            .map_err(|err| operation.decorate(err))
    }

    async fn write_stream(
        &self,
        operation: &Operation,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let key = KeyPath::new(key).map_err(|err| operation.decorate(err))?;
        let receiving = receive(Arc::clone(&self.store), Arc::new(key), data, options);
        receiving
            .instrument(operation.span())
            .await
            .map_err(|failure| match failure {
                Failure::Source(err) => err,
                Failure::Store(err) => operation.decorate(err),
            })
    }
}

#[async_trait]
impl ObjectStore for Local {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    /// The file system's own limits are not known beforehand.
    fn limits(&self) -> ObjectStoreLimits {
        ObjectStoreLimits::default()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let operation = Operation::on("object_store.put", key);
        self.on(&operation, key, |store, key| {
            let mut upload = Upload::begin(store, key, options)?;
            upload.write(&[data])?;
            upload.commit(store, key)
        })
        .await
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let operation = Operation::on("object_store.put_stream", key);
        self.write_stream(&operation, key, data, options).await
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        let operation = Operation::on("object_store.get", key);
        let (meta, range, reader) = self
            .on(&operation, key, move |store, key| {
                let found = find(store.root(), key)?;
                let meta = found.describe(key);
                if options.if_match.is_some() && options.if_match != meta.etag {
                    return Err(error::version_conflict());
                }
                let range = read::resolve(options.range, meta.size_bytes)?;
                Ok((meta, range.clone(), Reader::new(found, range)))
            })
            .await?;
        let body = reader.into_stream(move |err| operation.decorate(err));
        Ok(GetResult::new(meta, range, body))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        let operation = Operation::on("object_store.head", key);
        self.on(&operation, key, |store, key| {
            Ok(find(store.root(), key)?.describe(key))
        })
        .await
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        list::list(Arc::clone(&self.store), options)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        let operation = Operation::on("object_store.delete", key);
        self.on(&operation, key, commit::delete).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        let deleting = keys.into_iter().map(|key| async move {
            let operation = Operation::on("object_store.delete_many", &key);
            self.on(&operation, &key, commit::delete).await
        });
        Ok(futures_util::stream::iter(deleting)
            .buffered(PARALLEL_DELETES)
            .collect()
            .await)
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        let operation = Operation::on("object_store.copy", to);
        let source = KeyPath::new(from).map_err(|err| operation.decorate(err))?;
        let shared = {
            let condition = condition.clone();
            self.on(&operation, to, move |store, to| {
                reflink(store, &source, to, &condition)
            })
            .await?
        };
        if let Some(meta) = shared {
            return Ok(meta);
        }
        let found = self.get(from, GetOptions::default()).await;
        let body = found
            .map_err(|err| err.with_operation("object_store.copy"))?
            .body;
        let mut options = PutOptions::default();
        options.condition = condition;
        self.write_stream(&operation, to, body, options).await
    }
}
