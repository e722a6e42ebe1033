//! An object store whose calls fail as told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use super::lock;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::id::ProviderId;
use crate::object_store::{
    BucketAdmin, ByteStream, DeleteOutcome, GetOptions, GetResult, ItemStream, Lifecycle,
    ListOptions, ObjectKey, ObjectLock, ObjectMeta, ObjectStore, ObjectStoreLimits, Presign,
    PutCondition, PutOptions, Versions,
};
use crate::time::Timestamp;

mod abilities;
mod body;

use body::{Cut, Flip, items};

/// A kind of call to an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`ObjectStore::put`].
    Put,
    /// [`ObjectStore::put_stream`].
    PutStream,
    /// [`ObjectStore::get`].
    Get,
    /// [`ObjectStore::head`].
    Head,
    /// [`ObjectStore::list`].
    List,
    /// [`ObjectStore::delete`].
    Delete,
    /// [`ObjectStore::delete_many`].
    DeleteMany,
    /// [`ObjectStore::copy`].
    Copy,
    /// Both methods of [`Presign`].
    Presign,
    /// Both methods of [`Lifecycle`].
    Lifecycle,
    /// All methods of [`Versions`].
    Versions,
    /// Both methods of [`ObjectLock`].
    ObjectLock,
    /// Both methods of [`BucketAdmin`].
    BucketAdmin,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Fail(ErrorKind),
    FailAfter(ErrorKind),
    CutBody(u64),
    TruncateBody(u64),
    FlipBit(u64),
}

#[derive(Debug, Default)]
struct Plan {
    calls: HashMap<Operation, u64>,
    /// The number of the call, and what happens to it.
    faults: Vec<(Operation, u64, Fault)>,
}

/// An object store whose calls fail as told; everything else goes to the store inside,
/// abilities included.
///
/// A fault is for the Nth call of a kind from now on: 1 is the next one. It happens once.
/// Clones share the plan.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use std::sync::Arc;
///
/// use ops_core::memory::{FaultyObjectStore, MemoryObjectStore, Operation};
/// use ops_core::object_store::{ObjectKey, PutOptions};
/// use ops_core::{ErrorKind, ObjectStore};
///
/// let store = FaultyObjectStore::new(Arc::new(MemoryObjectStore::new()));
/// store.fail(Operation::Put, 2, ErrorKind::Unavailable);
/// let key = ObjectKey::new("a")?;
/// store.put(&key, "1".into(), PutOptions::default()).await?;
/// let err = store.put(&key, "2".into(), PutOptions::default()).await.unwrap_err();
/// assert_eq!(err.kind(), ErrorKind::Unavailable);
/// store.put(&key, "3".into(), PutOptions::default()).await?;
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultyObjectStore {
    inner: Arc<dyn ObjectStore>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultyObjectStore {
    /// Wraps a store. Nothing fails yet.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            plan: Arc::default(),
        }
    }

    /// Makes the `nth` call fail before anything was done.
    pub fn fail(&self, operation: Operation, nth: u64, kind: ErrorKind) {
        self.inject(operation, nth, Fault::Fail(kind));
    }

    /// Makes the `nth` call fail after everything was done, as when the answer is lost on
    /// its way: [`Error::retry`] is [`Retry::OutcomeUnknown`].
    pub fn fail_after(&self, operation: Operation, nth: u64, kind: ErrorKind) {
        self.inject(operation, nth, Fault::FailAfter(kind));
    }

    /// Makes the body of the `nth` get end with `Unavailable` after so many bytes.
    pub fn cut_body(&self, nth: u64, after_bytes: u64) {
        self.inject(Operation::Get, nth, Fault::CutBody(after_bytes));
    }

    /// Makes the body of the `nth` get end in silence after so many bytes, as no store
    /// should: what reads it must notice.
    pub fn truncate_body(&self, nth: u64, after_bytes: u64) {
        self.inject(Operation::Get, nth, Fault::TruncateBody(after_bytes));
    }

    /// Flips the lowest bit of the byte at this place of what the `nth` get sends.
    pub fn flip_bit(&self, nth: u64, offset: u64) {
        self.inject(Operation::Get, nth, Fault::FlipBit(offset));
    }

    /// Makes the store inside see the stream of the `nth` `put_stream` break after so many
    /// bytes, as when this process loses its connection.
    pub fn cut_upload(&self, nth: u64, after_bytes: u64) {
        self.inject(Operation::PutStream, nth, Fault::CutBody(after_bytes));
    }

    /// How many calls of a kind there were so far.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        lock(&self.plan).calls.get(&operation).copied().unwrap_or(0)
    }

    /// How many faults have not happened yet. A test that ends with some has not tested
    /// what it meant to.
    #[must_use]
    pub fn pending_faults(&self) -> usize {
        lock(&self.plan).faults.len()
    }

    fn inject(&self, operation: Operation, nth: u64, fault: Fault) {
        let mut plan = lock(&self.plan);
        let number = plan.calls.get(&operation).copied().unwrap_or(0) + nth.max(1);
        plan.faults.push((operation, number, fault));
    }

    /// Counts a call, and takes its fault.
    fn count(&self, operation: Operation) -> Option<Fault> {
        let mut plan = lock(&self.plan);
        let number = plan.calls.entry(operation).or_default();
        *number += 1;
        let number = *number;
        let at = plan
            .faults
            .iter()
            .position(|(of, nth, _)| (*of, *nth) == (operation, number))?;
        Some(plan.faults.swap_remove(at).2)
    }

    async fn run<T: Send>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match self.count(operation) {
            Some(Fault::Fail(kind)) => Err(injected(kind, operation)),
            Some(Fault::FailAfter(kind)) => {
                work.await?;
                Err(lost(kind, operation))
            }
            _ => work.await,
        }
    }

    fn stream<T: Send + 'static>(
        &self,
        operation: Operation,
        inner: ItemStream<T>,
    ) -> ItemStream<T> {
        match self.count(operation) {
            Some(Fault::Fail(kind)) => items(None, Some(injected(kind, operation))),
            Some(Fault::FailAfter(kind)) => items(Some(inner), Some(lost(kind, operation))),
            _ => inner,
        }
    }
}

#[cold]
fn injected(kind: ErrorKind, operation: Operation) -> Error {
    Error::new(kind, format!("injected failure of {operation:?}"))
}

#[cold]
fn lost(kind: ErrorKind, operation: Operation) -> Error {
    Error::new(
        kind,
        format!("injected loss of the answer to {operation:?}"),
    )
    .with_retry(Retry::OutcomeUnknown)
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for FaultyObjectStore {
    fn provider(&self) -> ProviderId {
        self.inner.provider()
    }

    fn limits(&self) -> ObjectStoreLimits {
        self.inner.limits()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.run(Operation::Put, self.inner.put(key, data, options))
            .await
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let operation = Operation::PutStream;
        match self.count(operation) {
            Some(Fault::Fail(kind)) => Err(injected(kind, operation)),
            Some(Fault::FailAfter(kind)) => {
                self.inner.put_stream(key, data, options).await?;
                Err(lost(kind, operation))
            }
            Some(Fault::CutBody(after)) => {
                let end = injected(ErrorKind::Unavailable, operation);
                self.inner
                    .put_stream(key, Cut::body(data, after, Some(end)), options)
                    .await
            }
            _ => self.inner.put_stream(key, data, options).await,
        }
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        let operation = Operation::Get;
        let fault = self.count(operation);
        if let Some(Fault::Fail(kind)) = fault {
            return Err(injected(kind, operation));
        }
        let mut object = self.inner.get(key, options).await?;
        object.body = match fault {
            Some(Fault::FailAfter(kind)) => return Err(lost(kind, operation)),
            Some(Fault::CutBody(after)) => {
                let end = injected(ErrorKind::Unavailable, operation);
                Cut::body(object.body, after, Some(end))
            }
            Some(Fault::TruncateBody(after)) => Cut::body(object.body, after, None),
            Some(Fault::FlipBit(offset)) => Flip::body(object.body, offset),
            _ => object.body,
        };
        Ok(object)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        self.run(Operation::Head, self.inner.head(key)).await
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        self.stream(Operation::List, self.inner.list(options))
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        self.run(Operation::Delete, self.inner.delete(key)).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        self.run(Operation::DeleteMany, self.inner.delete_many(keys))
            .await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        self.run(Operation::Copy, self.inner.copy(from, to, condition))
            .await
    }

    async fn abandon_uploads(&self, prefix: &str, begun_before: Timestamp) -> Result<u64> {
        self.inner.abandon_uploads(prefix, begun_before).await
    }

    /// Another handle would not share what is injected here.
    fn bounded(&self, _: u64) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn as_presign(&self) -> Option<&dyn Presign> {
        self.inner.as_presign().map(|_| self as &dyn Presign)
    }

    fn as_lifecycle(&self) -> Option<&dyn Lifecycle> {
        self.inner.as_lifecycle().map(|_| self as &dyn Lifecycle)
    }

    fn as_versions(&self) -> Option<&dyn Versions> {
        self.inner.as_versions().map(|_| self as &dyn Versions)
    }

    fn as_object_lock(&self) -> Option<&dyn ObjectLock> {
        self.inner.as_object_lock().map(|_| self as &dyn ObjectLock)
    }

    fn as_bucket_admin(&self) -> Option<&dyn BucketAdmin> {
        self.inner
            .as_bucket_admin()
            .map(|_| self as &dyn BucketAdmin)
    }
}
