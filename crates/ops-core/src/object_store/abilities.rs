//! What only some object stores can do.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::{ItemStream, ObjectKey, ObjectMeta};
use crate::error::Result;
use crate::macros::setters;
use crate::secret::Secret;
use crate::time::Timestamp;

/// A URL that allows one operation on one object for a while. It is a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PresignedUrl {
    /// The URL with its signature.
    pub url: Secret,
    /// When it stops to work.
    pub expires_at: Timestamp,
}

impl PresignedUrl {
    /// A URL and its end.
    pub fn new(url: impl Into<Secret>, expires_at: Timestamp) -> Self {
        Self {
            url: url.into(),
            expires_at,
        }
    }
}

/// Signed URLs.
#[async_trait]
pub trait Presign: fmt::Debug + Send + Sync + 'static {
    /// A URL that reads one object.
    ///
    /// # Errors
    /// `InvalidInput` where the store does not allow so long a time.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    async fn presign_get(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl>;

    /// A URL that writes one object.
    ///
    /// # Errors
    /// `InvalidInput` where the store does not allow so long a time.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    async fn presign_put(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl>;
}

/// A rule by which the store itself removes objects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleRule {
    /// The rule's name, unique in the bucket.
    pub id: String,
    /// Which keys it is about.
    pub prefix: String,
    /// Days after which an object is removed.
    pub expire_after_days: Option<u32>,
    /// Days after which an unfinished multipart upload is removed.
    pub abort_uploads_after_days: Option<u32>,
}

impl LifecycleRule {
    /// A rule that does nothing yet.
    pub fn new(id: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            prefix: prefix.into(),
            expire_after_days: None,
            abort_uploads_after_days: None,
        }
    }
}

setters! { LifecycleRule {
    opt {
        with_expire_after_days(expire_after_days: u32),
        with_abort_uploads_after_days(abort_uploads_after_days: u32),
    }
} }

/// Rules by which the store itself removes objects.
#[async_trait]
pub trait Lifecycle: fmt::Debug + Send + Sync + 'static {
    /// The rules in force.
    ///
    /// # Errors
    /// `PermissionDenied`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn lifecycle_rules(&self) -> Result<Vec<LifecycleRule>>;

    /// Replaces all rules.
    ///
    /// # Errors
    /// `InvalidInput` where two rules have one name; `PermissionDenied`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the new rules in force.
    async fn set_lifecycle_rules(&self, rules: Vec<LifecycleRule>) -> Result<()>;
}

/// The name of one version of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionId(String);

impl VersionId {
    /// Wraps what the store sent.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectVersion {
    /// What the store knows of this version.
    pub meta: ObjectMeta,
    /// Its name.
    pub version: VersionId,
    /// Whether it is the version that a plain read gets.
    pub is_latest: bool,
    /// Whether it is the mark that a delete left, with no content.
    pub is_delete_marker: bool,
}

impl ObjectVersion {
    /// An older version with content.
    #[must_use]
    pub fn new(meta: ObjectMeta, version: VersionId) -> Self {
        Self {
            meta,
            version,
            is_latest: false,
            is_delete_marker: false,
        }
    }
}

/// Old versions of objects.
#[async_trait]
pub trait Versions: fmt::Debug + Send + Sync + 'static {
    /// Whether the store keeps old versions now.
    ///
    /// # Errors
    /// `PermissionDenied`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn versioning_enabled(&self) -> Result<bool>;

    /// Starts or stops to keep old versions. Those that are kept stay.
    ///
    /// # Errors
    /// `PermissionDenied`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the setting changed.
    async fn set_versioning(&self, enabled: bool) -> Result<()>;

    /// All versions of the keys with a prefix, by key, newest first.
    fn list_versions(&self, prefix: &str) -> ItemStream<ObjectVersion>;

    /// Makes an old version the latest again.
    ///
    /// # Errors
    /// `NotFound` for a version that is not there.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the version restored.
    async fn restore_version(&self, key: &ObjectKey, version: &VersionId) -> Result<ObjectMeta>;

    /// Removes one version for good.
    ///
    /// # Errors
    /// `PermissionDenied`, also for a version under lock.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the version removed.
    async fn delete_version(&self, key: &ObjectKey, version: &VersionId) -> Result<()>;
}

/// How strictly an object is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetentionMode {
    /// A privileged caller may lift it.
    Governance,
    /// Nobody may lift it.
    Compliance,
}

/// Until when an object cannot be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How strictly.
    pub mode: RetentionMode,
    /// Until when.
    pub until: Timestamp,
}

/// Write-once retention.
#[async_trait]
pub trait ObjectLock: fmt::Debug + Send + Sync + 'static {
    /// What keeps an object; `None` where nothing does.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn retention(&self, key: &ObjectKey) -> Result<Option<Retention>>;

    /// Keeps an object. A retention can be made longer, not shorter.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it would become shorter.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the retention set.
    async fn set_retention(&self, key: &ObjectKey, retention: Retention) -> Result<()>;
}

/// Making and removing the bucket itself.
#[async_trait]
pub trait BucketAdmin: fmt::Debug + Send + Sync + 'static {
    /// Makes the bucket. One that is there and ours is fine.
    ///
    /// # Errors
    /// `AlreadyExists` where it belongs to somebody else.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the bucket made.
    async fn create_bucket(&self) -> Result<()>;

    /// Removes the empty bucket. One that is not there is fine.
    ///
    /// # Errors
    /// `Conflict` where it is not empty.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the bucket removed.
    async fn delete_bucket(&self) -> Result<()>;
}

const _: fn(&dyn Presign) = |_| {};
const _: fn(&dyn Lifecycle) = |_| {};
const _: fn(&dyn Versions) = |_| {};
const _: fn(&dyn ObjectLock) = |_| {};
const _: fn(&dyn BucketAdmin) = |_| {};
