//! A bucket, or a folder that behaves like one.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::error::{Error, ErrorKind, Result};
use crate::id::ProviderId;
use crate::time::Timestamp;

mod abilities;

pub use abilities::{
    BucketAdmin, Lifecycle, LifecycleRule, ObjectLock, ObjectVersion, Presign, PresignedUrl,
    Retention, RetentionMode, VersionId, Versions,
};

/// A body: bytes in order, or the error that ended it.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + 'static>>;

/// A listing: items in order, or the error that ended it.
pub type ItemStream<T> = Pin<Box<dyn Stream<Item = Result<T>> + Send + 'static>>;

/// The name of an object in its store.
///
/// Between 1 and 1024 bytes of UTF-8 without NUL, as in S3. `/` separates nothing by
/// itself, but tools show it as a folder. A provider may refuse more: `local` refuses
/// what would leave its folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Checks and wraps a key.
    ///
    /// # Errors
    /// `InvalidInput` where the key is empty, longer than 1024 bytes or holds NUL.
    pub fn new(key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        let problem = if key.is_empty() {
            "is empty"
        } else if key.len() > 1024 {
            "is longer than 1024 bytes"
        } else if key.contains('\0') {
            "contains NUL"
        } else {
            return Ok(Self(key));
        };
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the object key {problem}"),
        ))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for ObjectKey {
    type Err = Error;

    fn from_str(key: &str) -> Result<Self> {
        Self::new(key)
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = Error;

    fn try_from(key: String) -> Result<Self> {
        Self::new(key)
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.0
    }
}

/// The version of an object's content, opaque, compared as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct ETag(String);

impl ETag {
    /// Wraps what the store sent, without surrounding quotes.
    pub fn new(etag: impl Into<String>) -> Self {
        let mut etag = etag.into();
        if etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"') {
            etag.pop();
            etag.remove(0);
        }
        Self(etag)
    }

    /// The value without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A checksum over the whole of an object.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-32C (Castagnoli).
    Crc32c(u32),
    /// CRC-64/NVME.
    Crc64Nvme(u64),
    /// MD5.
    Md5([u8; 16]),
    /// SHA-256.
    Sha256([u8; 32]),
    /// BLAKE3 with 256 bits of output.
    Blake3([u8; 32]),
}

impl Checksum {
    /// The name of the algorithm, lowercase.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Crc32c(_) => "crc32c",
            Self::Crc64Nvme(_) => "crc64nvme",
            Self::Md5(_) => "md5",
            Self::Sha256(_) => "sha256",
            Self::Blake3(_) => "blake3",
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm())?;
        let bytes: &[u8] = match self {
            Self::Crc32c(value) => return write!(f, "{value:08x}"),
            Self::Crc64Nvme(value) => return write!(f, "{value:016x}"),
            Self::Md5(bytes) => bytes,
            Self::Sha256(bytes) | Self::Blake3(bytes) => bytes,
        };
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

/// When a write may happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutCondition {
    /// Always: the object is made or replaced.
    #[default]
    Always,
    /// Only where no object has this key (`If-None-Match: *`). Of N racing writers one wins.
    IfNoneMatch,
    /// Only where the object still has this version (`If-Match`).
    IfMatch(ETag),
}

/// How to write an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PutOptions {
    /// When the write may happen. Defaults to always.
    pub condition: PutCondition,
    /// What the content must hash to; the write fails with `Integrity` where it does not.
    pub checksum: Option<Checksum>,
    /// The media type to store, where the store keeps one.
    pub content_type: Option<String>,
}

impl PutOptions {
    /// Writes only where no object has this key.
    #[must_use]
    pub fn if_none_match() -> Self {
        Self {
            condition: PutCondition::IfNoneMatch,
            ..Self::default()
        }
    }

    /// Writes only where the object still has this version.
    #[must_use]
    pub fn if_match(etag: ETag) -> Self {
        Self {
            condition: PutCondition::IfMatch(etag),
            ..Self::default()
        }
    }

    /// Sets what the content must hash to.
    #[must_use]
    pub fn with_checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }
}

/// Which bytes of an object to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From `offset`, at most `length` bytes.
    Bounded {
        /// The first byte.
        offset: u64,
        /// How many bytes; at least 1.
        length: u64,
    },
    /// From `offset` to the end.
    From(u64),
    /// The last so many bytes.
    Suffix(u64),
}

/// How to read an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GetOptions {
    /// Which bytes. Defaults to all.
    pub range: Option<ByteRange>,
    /// Fails with `Conflict` where the object has another version.
    pub if_match: Option<ETag>,
}

impl GetOptions {
    /// Reads a range.
    #[must_use]
    pub fn range(range: ByteRange) -> Self {
        Self {
            range: Some(range),
            ..Self::default()
        }
    }

    /// Reads only this version.
    #[must_use]
    pub fn with_if_match(mut self, etag: ETag) -> Self {
        self.if_match = Some(etag);
        self
    }
}

/// What a store knows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectMeta {
    /// The key.
    pub key: ObjectKey,
    /// The size of the whole object.
    pub size_bytes: u64,
    /// The version, where the store has one.
    pub etag: Option<ETag>,
    /// When this version was written, by the store's clock.
    pub last_modified: Timestamp,
    /// The checksum that the store keeps over the whole object, where it keeps one.
    pub checksum: Option<Checksum>,
}

impl ObjectMeta {
    /// What is known of every object.
    #[must_use]
    pub fn new(key: ObjectKey, size_bytes: u64, last_modified: Timestamp) -> Self {
        Self {
            key,
            size_bytes,
            etag: None,
            last_modified,
            checksum: None,
        }
    }

    /// Sets the version.
    #[must_use]
    pub fn with_etag(mut self, etag: ETag) -> Self {
        self.etag = Some(etag);
        self
    }

    /// Sets the checksum.
    #[must_use]
    pub fn with_checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }
}

/// An object that is being read.
#[non_exhaustive]
pub struct GetResult {
    /// What the store knows of the whole object.
    pub meta: ObjectMeta,
    /// The bytes that are sent: first and one past the last.
    pub range: std::ops::Range<u64>,
    /// The bytes. Ends with `Integrity` where the content is not what was written.
    pub body: ByteStream,
}

impl GetResult {
    /// An answer to a read.
    #[must_use]
    pub fn new(meta: ObjectMeta, range: std::ops::Range<u64>, body: ByteStream) -> Self {
        Self { meta, range, body }
    }
}

impl fmt::Debug for GetResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetResult")
            .field("meta", &self.meta)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// Which objects to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListOptions {
    /// Only keys that start with this text. Defaults to all.
    pub prefix: String,
    /// Only keys that sort after this one.
    pub start_after: Option<ObjectKey>,
}

impl ListOptions {
    /// Keys that start with a text.
    #[must_use]
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            start_after: None,
        }
    }

    /// Keys that sort after this one.
    #[must_use]
    pub fn with_start_after(mut self, key: ObjectKey) -> Self {
        self.start_after = Some(key);
        self
    }
}

/// What a delete found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeleteOutcome {
    /// The object was there and is gone.
    Deleted,
    /// There was no such object.
    AlreadyGone,
    /// It is gone; the store does not say whether it was there.
    Gone,
}

/// What a store can carry. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectStoreLimits {
    /// The largest object, in bytes.
    pub max_object_bytes: Option<u64>,
    /// The most parts of one upload.
    pub max_parts: Option<u32>,
    /// The smallest part of an upload other than the last, in bytes.
    pub min_part_bytes: Option<u64>,
    /// The most keys of one `delete_many` request.
    pub max_delete_keys: Option<u32>,
}

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
    /// Deleting what is not there succeeds.
    ///
    /// # Errors
    /// `PermissionDenied`, also for an object under lock.
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
