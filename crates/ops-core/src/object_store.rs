//! A bucket, or a folder that behaves like one.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::error::Result;
use crate::id::ProviderId;
use crate::time::Timestamp;

mod abilities;
mod checksum;
mod types;

pub use crate::outcome::DeleteOutcome;
pub use abilities::{
    BucketAdmin, Lifecycle, LifecycleRule, ObjectLock, ObjectVersion, Presign, PresignedUrl,
    Retention, RetentionMode, VersionId, Versions,
};
pub use checksum::Checksum;
pub use types::{
    ByteRange, ETag, GetOptions, GetResult, ListOptions, ObjectKey, ObjectMeta, ObjectStoreLimits,
    PutCondition, PutOptions,
};

/// A body: bytes in order, or the error that ended it.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + 'static>>;

/// A listing: items in order, or the error that ended it.
pub type ItemStream<T> = Pin<Box<dyn Stream<Item = Result<T>> + Send + 'static>>;

/// A bucket: objects with keys, written whole and read in ranges.
///
/// Implemented by each vendor that has one; called by the engines and by applications
/// that hold an `Arc<dyn ObjectStore>`.
///
/// # Contract
/// 1. A write is visible whole or not at all, and a reader sees one version.
/// 2. When a write has returned, a following read, head or list sees it, and it is
///    durable by the store's own standard.
/// 3. What the store acknowledged is what was sent: a provider compares checksums
///    wherever the store offers them.
/// 4. Methods may be called concurrently. Clones of a provider are the same store.
/// 5. Listing is in lexicographic order of the keys' bytes.
/// 6. Deleting what is not there succeeds.
/// 7. Memory is bounded by configuration, whatever the size of an object.
///
/// # Abilities
/// | accessor | ability |
/// | --- | --- |
/// | [`as_presign`](Self::as_presign) | [`Presign`] |
/// | [`as_lifecycle`](Self::as_lifecycle) | [`Lifecycle`] |
/// | [`as_versions`](Self::as_versions) | [`Versions`] |
/// | [`as_object_lock`](Self::as_object_lock) | [`ObjectLock`] |
/// | [`as_bucket_admin`](Self::as_bucket_admin) | [`BucketAdmin`] |
///
/// # Errors
/// `NotFound` for a missing object, `AlreadyExists` where `IfNoneMatch` lost,
/// `Conflict` where `IfMatch` lost, `QuotaExceeded` for a full store, `PermissionDenied`
/// for a read-only one, `Integrity` for content that is not what was written. After a
/// timeout of a write the outcome is unknown: [`head`](Self::head) tells.
///
/// # Implementing
/// Implement the base methods, return `Some(self)` from the accessor of each ability
/// that the vendor has, and run the conformance suite. A wrapper wraps the abilities too.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ObjectStore: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `local`.
    fn provider(&self) -> ProviderId;

    /// What the store can carry.
    fn limits(&self) -> ObjectStoreLimits;

    /// Writes an object from memory.
    ///
    /// # Behavior
    /// 1. The object is visible whole or not at all.
    /// 2. With `IfNoneMatch`, one of N racing writers wins.
    /// 3. The returned size and checksum are the store's, and were compared with what was sent.
    ///
    /// # Errors
    /// `AlreadyExists`, `Conflict`, `Integrity`, `QuotaExceeded`, `PermissionDenied`.
    /// After a timeout the outcome is unknown: [`head`](Self::head) tells.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the object written whole, never in part.
    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta>;

    /// Writes an object of unknown length from a stream.
    ///
    /// # Behavior
    /// 1. Memory is bounded by the provider's part size and concurrency.
    /// 2. An `Err` item of the stream abandons the write and is returned as it is.
    /// 3. Nothing is visible before the stream has ended and the store has acknowledged.
    ///
    /// # Errors
    /// As [`put`](Self::put), and whatever the stream yields.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the write; what was uploaded is removed, by the
    /// provider at once where it can and by the store's own clean-up otherwise.
    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta>;

    /// Reads an object, whole or in part, as a stream.
    ///
    /// # Behavior
    /// 1. A range that starts at or after the end is `InvalidInput`; one that ends after it is cut.
    /// 2. A body that is shorter than promised, or not what was written, ends with an error.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where `if_match` names another version; `Integrity`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult>;

    /// What the store knows of an object.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta>;

    /// Lists objects in lexicographic order, page by page as the stream is polled.
    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta>;

    /// Deletes an object.
    ///
    /// # Behavior
    /// 1. Deleting what is not there succeeds.
    /// 2. A store that keeps versions leaves a mark and keeps the content, also of an
    ///    object under lock: the lock is on the version.
    ///
    /// # Errors
    /// `PermissionDenied`, also for an object under lock in a store that keeps no versions.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the object deleted.
    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome>;

    /// Deletes many objects, in as few requests as the store allows.
    ///
    /// One result per key, in the order of the keys; one that fails does not stop the others.
    ///
    /// # Errors
    /// Only where nothing could be tried at all.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the objects deleted.
    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>>;

    /// Copies an object within the store, without sending its content through this process
    /// where the store can.
    ///
    /// # Errors
    /// `NotFound` for the source; as [`put`](Self::put) for the destination.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the copy made whole, never in part.
    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta>;

    /// Abandons uploads that began before a time, by the store's clock, of objects whose keys
    /// begin with the prefix, and says how many. Processes that died leave them; they are in no
    /// listing, and a store keeps their parts, and bills for them, until somebody removes them.
    ///
    /// 0 where a store has no such uploads, or cannot list them.
    ///
    /// # Errors
    /// `PermissionDenied`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the uploads.
    async fn abandon_uploads(&self, prefix: &str, begun_before: Timestamp) -> Result<u64> {
        let _ = (prefix, begun_before);
        Ok(0)
    }

    /// The same store, of which all transfers through this handle together hold at most about
    /// so many bytes in memory: that, and one part of each transfer. `None` where a store
    /// holds next to nothing, or cannot be told; it is then used as it is.
    ///
    /// The bound of the store itself is not raised by it. Smaller parts make the largest
    /// object smaller: see the [`limits`](Self::limits) of the handle.
    fn bounded(&self, memory_bytes: u64) -> Option<Arc<dyn ObjectStore>> {
        let _ = memory_bytes;
        None
    }

    /// Signed URLs, where the store has them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_presign<'a>(&'a self) -> Option<&'a dyn Presign> {
        None
    }

    /// Rules that expire objects, where the store has them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_lifecycle<'a>(&'a self) -> Option<&'a dyn Lifecycle> {
        None
    }

    /// Old versions of objects, where the store keeps them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_versions<'a>(&'a self) -> Option<&'a dyn Versions> {
        None
    }

    /// Write-once retention, where the store has it.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_object_lock<'a>(&'a self) -> Option<&'a dyn ObjectLock> {
        None
    }

    /// Making and removing the bucket itself, where the provider may.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_bucket_admin<'a>(&'a self) -> Option<&'a dyn BucketAdmin> {
        None
    }
}

const _: fn(&dyn ObjectStore) = |_| {};
