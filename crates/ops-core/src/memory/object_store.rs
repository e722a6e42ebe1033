//! A bucket in memory.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{PROVIDER, error, lock};
use crate::error::{ErrorKind, Result};
use crate::id::ProviderId;
use crate::object_store::{
    BucketAdmin, ByteStream, DeleteOutcome, GetOptions, GetResult, ItemStream, Lifecycle,
    ListOptions, ObjectKey, ObjectLock, ObjectMeta, ObjectStore, ObjectStoreLimits, Presign,
    PutCondition, PutOptions, Versions,
};
use crate::secret::Secret;
use crate::stream;
use crate::time::{Clock, SystemClock};

mod abilities;
mod body;
mod checksum;
mod listing;
mod state;

use body::Chunks;
use listing::Listing;
use state::State;

/// A bucket in memory, with every ability.
///
/// Clones are the same bucket. The bucket is there from the beginning and keeps no old
/// versions until [`Versions::set_versioning`] says so.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::memory::MemoryObjectStore;
/// use ops_core::object_store::{ObjectKey, ObjectStore, PutOptions};
/// use ops_core::ErrorKind;
///
/// let store = MemoryObjectStore::new();
/// let key = ObjectKey::new("lease")?;
/// store.put(&key, "first".into(), PutOptions::if_none_match()).await?;
/// let err = store.put(&key, "second".into(), PutOptions::if_none_match()).await.unwrap_err();
/// assert_eq!(err.kind(), ErrorKind::AlreadyExists);
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryObjectStore(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    max_object_bytes: Option<u64>,
    capacity_bytes: Option<u64>,
    chunk_bytes: usize,
    state: Mutex<State>,
}

/// Sets up a [`MemoryObjectStore`].
#[derive(Debug)]
#[must_use]
pub struct MemoryObjectStoreBuilder {
    clock: Arc<dyn Clock>,
    max_object_bytes: Option<u64>,
    capacity_bytes: Option<u64>,
    chunk_bytes: usize,
}

impl MemoryObjectStoreBuilder {
    /// Where the time comes from. Defaults to the system's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The largest object, in bytes. Defaults to no limit.
    pub fn max_object_bytes(mut self, max_object_bytes: u64) -> Self {
        self.max_object_bytes = Some(max_object_bytes);
        self
    }

    /// How much fits the bucket, old versions included, in bytes. Defaults to no limit.
    pub fn capacity_bytes(mut self, capacity_bytes: u64) -> Self {
        self.capacity_bytes = Some(capacity_bytes);
        self
    }

    /// How many bytes a body yields at once; at least 1. Defaults to 64 KiB.
    pub fn chunk_bytes(mut self, chunk_bytes: usize) -> Self {
        self.chunk_bytes = chunk_bytes.max(1);
        self
    }

    /// An empty bucket.
    #[must_use]
    pub fn build(self) -> MemoryObjectStore {
        let Self {
            clock,
            max_object_bytes,
            capacity_bytes,
            chunk_bytes,
        } = self;
        MemoryObjectStore(Arc::new(Shared {
            clock,
            max_object_bytes,
            capacity_bytes,
            chunk_bytes,
            state: Mutex::new(State::new()),
        }))
    }
}

impl MemoryObjectStore {
    /// An empty bucket without limits.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets up a bucket.
    pub fn builder() -> MemoryObjectStoreBuilder {
        MemoryObjectStoreBuilder {
            clock: Arc::new(SystemClock),
            max_object_bytes: None,
            capacity_bytes: None,
            chunk_bytes: 64 * 1024,
        }
    }

    /// How many uploads have begun and neither ended nor been abandoned.
    #[must_use]
    pub fn pending_uploads(&self) -> usize {
        lock(&self.0.state).uploads.len()
    }

    /// Uses a URL that [`Presign::presign_get`] has made, as a browser would.
    ///
    /// # Errors
    /// `PermissionDenied` for a URL that this bucket has not made for reading, or that has
    /// ended; `NotFound` for the object.
    pub fn presigned_get(&self, url: &Secret) -> Result<Bytes> {
        abilities::presigned_get(&self.0, url)
    }

    /// Uses a URL that [`Presign::presign_put`] has made, as a browser would.
    ///
    /// # Errors
    /// `PermissionDenied` for a URL that this bucket has not made for writing, or that has
    /// ended; as [`put`](ObjectStore::put).
    pub fn presigned_put(&self, url: &Secret, data: Bytes) -> Result<ObjectMeta> {
        abilities::presigned_put(&self.0, url, data)
    }
}

impl Default for MemoryObjectStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryObjectStore")
            .field("objects", &lock(&self.0.state).objects.len())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Runs something on the bucket as it is now: what a rule has expired is gone.
    fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.require_bucket(operation)?;
        state.apply_rules(now);
        work(&mut state)
    }

    fn write(
        &self,
        operation: &'static str,
        key: &ObjectKey,
        data: Bytes,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        self.check_size(operation, key, data.len())?;
        checksum::verify(operation, key, &data, options.checksum)?;
        let now = self.clock.now();
        let capacity = self.capacity_bytes;
        self.with(operation, |state| {
            state.put(operation, key, data, options, now, capacity)
        })
    }

    fn check_size(&self, operation: &'static str, key: &ObjectKey, length: usize) -> Result<()> {
        match self.max_object_bytes {
            Some(max) if length as u64 > max => {
                let message = format!("{key} is larger than {max} bytes");
                Err(error(ErrorKind::QuotaExceeded, operation, message).with_resource(key.as_str()))
            }
            _ => Ok(()),
        }
    }
}

/// An upload that has begun. Dropping it abandons it.
struct Upload {
    shared: Arc<Shared>,
    id: u64,
}

impl Upload {
    fn begin(shared: &Arc<Shared>) -> Result<Self> {
        let now = shared.clock.now();
        let id = shared.with("object_store.put_stream", |state| {
            Ok(state.begin_upload(now))
        })?;
        Ok(Self {
            shared: Arc::clone(shared),
            id,
        })
    }

    /// Fails where a rule has abandoned the upload meanwhile.
    fn check(&self) -> Result<()> {
        let operation = "object_store.put_stream";
        self.shared.with(operation, |state| {
            if state.uploads.contains_key(&self.id) {
                return Ok(());
            }
            Err(error(
                ErrorKind::Conflict,
                operation,
                "the upload was abandoned by a lifecycle rule",
            ))
        })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        lock(&self.shared.state).uploads.remove(&self.id);
    }
}

#[async_trait]
impl ObjectStore for MemoryObjectStore {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> ObjectStoreLimits {
        ObjectStoreLimits {
            max_object_bytes: self.0.max_object_bytes,
            ..ObjectStoreLimits::default()
        }
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.0.write("object_store.put", key, data, options)
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        mut data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let operation = "object_store.put_stream";
        let upload = Upload::begin(&self.0)?;
        let mut whole = BytesMut::new();
        while let Some(chunk) = stream::next(&mut data).await {
            whole.extend_from_slice(&chunk?);
            self.0.check_size(operation, key, whole.len())?;
        }
        upload.check()?;
        self.0.write(operation, key, whole.freeze(), options)
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        let operation = "object_store.get";
        let (meta, data) = self.0.with(operation, |state| state.get(operation, key))?;
        if options.if_match.is_some() && options.if_match != meta.etag {
            let message = format!("{key} has another version");
            return Err(error(ErrorKind::Conflict, operation, message).with_resource(key.as_str()));
        }
        let range = match options.range {
            Some(range) => range.resolve(meta.size_bytes).map_err(|err| {
                err.with_provider(PROVIDER)
                    .with_operation(operation)
                    .with_resource(key.as_str())
            })?,
            None => 0..meta.size_bytes,
        };
        // Both ends are at most the length of `data`, which is a `usize`.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "not more than the length in memory"
        )]
        let part = data.slice(range.start as usize..range.end as usize);
        Ok(GetResult::new(
            meta,
            range,
            Box::pin(Chunks::new(part, self.0.chunk_bytes)),
        ))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        let operation = "object_store.head";
        self.0.with(operation, |state| {
            state.get(operation, key).map(|(meta, _)| meta)
        })
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        Box::pin(Listing::new(Arc::clone(&self.0), options))
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        let operation = "object_store.delete";
        let now = self.0.clock.now();
        self.0
            .with(operation, |state| state.delete(operation, key, now))
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        let operation = "object_store.delete_many";
        let now = self.0.clock.now();
        self.0.with(operation, |state| {
            Ok(keys
                .iter()
                .map(|key| state.delete(operation, key, now))
                .collect())
        })
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        let operation = "object_store.copy";
        let now = self.0.clock.now();
        let capacity = self.0.capacity_bytes;
        self.0.with(operation, |state| {
            let (meta, data) = state.get(operation, from)?;
            let options = PutOptions {
                condition,
                checksum: meta.checksum,
                content_type: meta.content_type,
            };
            state.put(operation, to, data, options, now, capacity)
        })
    }

    fn as_presign(&self) -> Option<&dyn Presign> {
        Some(self)
    }

    fn as_lifecycle(&self) -> Option<&dyn Lifecycle> {
        Some(self)
    }

    fn as_versions(&self) -> Option<&dyn Versions> {
        Some(self)
    }

    fn as_object_lock(&self) -> Option<&dyn ObjectLock> {
        Some(self)
    }

    fn as_bucket_admin(&self) -> Option<&dyn BucketAdmin> {
        Some(self)
    }
}
