//! An object store that fails at a chosen call, and that can end the process there.
//!
//! ```
//! use std::sync::Arc;
//!
//! use ops_core::ObjectStore;
//! use ops_core::memory::MemoryObjectStore;
//! use ops_core::object_store::PutOptions;
//! use ops_testkit::store::{FaultStore, StoreFault};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let store = FaultStore::new(Arc::new(MemoryObjectStore::new()));
//! store.inject(2, 1, StoreFault::Refuse);
//! let key = "k".parse().unwrap();
//! let put = || store.put(&key, "hello".into(), PutOptions::default());
//! assert!(put().await.is_ok());
//! assert!(put().await.is_err());
//! assert_eq!((store.calls(), store.happened()), (2, 1));
//! # }
//! ```

mod body;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use ops_core::object_store::{
    ByteStream, DeleteOutcome, GetOptions, GetResult, ItemStream, ListOptions, ObjectMeta,
    ObjectStoreLimits, PutCondition, PutOptions,
};
use ops_core::{Error, ErrorKind, ObjectKey, ObjectStore, ProviderId, Result, Retry, Timestamp};

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// Nothing happens, and the store says that it is busy: 503.
    Refuse,
    /// It happens, and the answer never arrives: a timeout.
    LoseAnswer,
    /// A body that is read ends in the middle as if that were its end; one that is written
    /// is cut off by a lost connection.
    Truncate,
    /// One bit of a body that is read is another one. One that is written arrives altered,
    /// which the store notices by its checksum.
    Corrupt,
    /// The call takes so much longer, and the second half of a body that is read.
    Slow(Duration),
    /// This process ends by SIGKILL.
    Kill(Moment),
}

/// When in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moment {
    /// Before anything happens.
    Before,
    /// In the middle of the body, where there is one, else before.
    Within,
    /// After it has happened, before the caller knows.
    After,
}

/// A store in which calls fail. Calls are counted from 1 in the order in which they begin.
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    faults: Mutex<Vec<Injected>>,
    calls: AtomicU64,
    happened: AtomicU64,
    traffic: Arc<Traffic>,
}

/// The bytes of all bodies.
#[derive(Debug)]
struct Traffic {
    bytes: AtomicU64,
    kill_after: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Injected {
    first: u64,
    count: u64,
    fault: StoreFault,
}

impl FaultStore {
    /// A store in which nothing fails so far.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            faults: Mutex::new(Vec::new()),
            calls: AtomicU64::new(0),
            happened: AtomicU64::new(0),
            traffic: Arc::new(Traffic {
                bytes: AtomicU64::new(0),
                kill_after: AtomicU64::new(u64::MAX),
            }),
        }
    }

    /// Makes `count` calls fail, the `first` one of them counted from 1 since the start.
    pub fn inject(&self, first: u64, count: u64, fault: StoreFault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(Injected {
            first,
            count,
            fault,
        });
    }

    /// Makes no more calls fail.
    pub fn mend(&self) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.clear();
    }

    /// Ends this process by SIGKILL as soon as so many bytes of bodies have passed.
    pub fn kill_after_bytes(&self, bytes: u64) {
        self.traffic.kill_after.store(bytes, Ordering::Relaxed);
    }

    /// How many calls have begun.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How many of them have met a fault.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.happened.load(Ordering::Relaxed)
    }

    /// How many bytes of bodies have passed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.traffic.bytes.load(Ordering::Relaxed)
    }

    fn begin(&self, operation: &'static str) -> Call {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let meets = |it: &&Injected| number >= it.first && number - it.first < it.count;
        let fault = faults.iter().find(meets).map(|it| it.fault);
        if fault.is_some() {
            self.happened.fetch_add(1, Ordering::Relaxed);
        }
        Call { operation, fault }
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore")
            .field("inner", &self.inner)
            .field("calls", &self.calls())
            .field("happened", &self.happened())
            .finish_non_exhaustive()
    }
}

/// One call, and what goes wrong in it.
#[derive(Clone, Copy, Debug)]
struct Call {
    operation: &'static str,
    fault: Option<StoreFault>,
}

impl Call {
    fn error(self, kind: ErrorKind, message: &'static str) -> Error {
        Error::new(kind, message).with_operation(self.operation)
    }

    fn refused(self) -> Error {
        let error = self.error(ErrorKind::Unavailable, "the store is busy (injected)");
        error.with_status(503)
    }

    /// What goes wrong before anything happens.
    async fn before(self) -> Result<()> {
        match self.fault {
            Some(StoreFault::Refuse) => Err(self.refused()),
            Some(StoreFault::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(StoreFault::Kill(Moment::Before)) => die(),
            _ => Ok(()),
        }
    }

    /// A call without a body.
    async fn bare<T>(self, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.fault {
            Some(StoreFault::Truncate | StoreFault::Corrupt) => Err(self.refused()),
            Some(StoreFault::Kill(Moment::Within)) => die(),
            _ => {
                self.before().await?;
                self.after(call.await)
            }
        }
    }

    /// What goes wrong after it has happened.
    fn after<T>(self, outcome: Result<T>) -> Result<T> {
        match self.fault {
            Some(StoreFault::LoseAnswer) => {
                let error = self.error(ErrorKind::Timeout, "no answer came (injected)");
                Err(error.with_retry(Retry::OutcomeUnknown))
            }
            Some(StoreFault::Kill(Moment::After)) => die(),
            _ => outcome,
        }
    }
}

/// Ends this process as a power failure would: nothing is flushed, nothing is dropped.
fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    fn provider(&self) -> ProviderId {
        self.inner.provider()
    }

    fn limits(&self) -> ObjectStoreLimits {
        self.inner.limits()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let call = self.begin("put");
        call.before().await?;
        match call.fault {
            Some(StoreFault::Truncate) => return Err(call.refused()),
            Some(StoreFault::Corrupt) => {
                return Err(call.error(ErrorKind::Integrity, "the checksum differs (injected)"));
            }
            Some(StoreFault::Kill(Moment::Within)) => die(),
            _ => {}
        }
        self.traffic.passed(data.len());
        call.after(self.inner.put(key, data, options).await)
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let call = self.begin("put");
        call.before().await?;
        let data = body::written(call, data, Arc::clone(&self.traffic));
        call.after(self.inner.put_stream(key, data, options).await)
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        let call = self.begin("get");
        call.before().await?;
        let mut got = call.after(self.inner.get(key, options).await)?;
        let length = got.range.end.saturating_sub(got.range.start);
        got.body = body::read(call, length, got.body, Arc::clone(&self.traffic));
        Ok(got)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        self.begin("head").bare(self.inner.head(key)).await
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        let call = self.begin("list");
        let items = self.inner.list(options);
        let begun = async move {
            match call.bare(std::future::ready(Ok(()))).await {
                Ok(()) => items,
                Err(error) => stream::once(std::future::ready(Err(error))).boxed(),
            }
        };
        begun.into_stream().flatten().boxed()
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        self.begin("delete").bare(self.inner.delete(key)).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        let call = self.begin("delete");
        call.bare(self.inner.delete_many(keys)).await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        let call = self.begin("copy");
        call.bare(self.inner.copy(from, to, condition)).await
    }

    async fn abandon_uploads(&self, prefix: &str, begun_before: Timestamp) -> Result<u64> {
        let call = self.begin("delete");
        call.bare(self.inner.abandon_uploads(prefix, begun_before))
            .await
    }
}
