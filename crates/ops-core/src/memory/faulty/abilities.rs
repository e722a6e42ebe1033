//! The abilities of the store inside, which fail as told.

use std::time::Duration;

use async_trait::async_trait;

use super::{FaultyObjectStore, Operation};
use crate::error::Result;
use crate::ext::ObjectStoreExt;
use crate::memory::items;
use crate::object_store::{
    BucketAdmin, ItemStream, Lifecycle, LifecycleRule, ObjectKey, ObjectLock, ObjectMeta,
    ObjectVersion, Presign, PresignedUrl, Retention, VersionId, Versions,
};

#[async_trait]
impl Presign for FaultyObjectStore {
    async fn presign_get(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl> {
        let inner = self.inner.require_presign()?;
        self.run(Operation::Presign, inner.presign_get(key, valid_for))
            .await
    }

    async fn presign_put(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl> {
        let inner = self.inner.require_presign()?;
        self.run(Operation::Presign, inner.presign_put(key, valid_for))
            .await
    }
}

#[async_trait]
impl Lifecycle for FaultyObjectStore {
    async fn lifecycle_rules(&self) -> Result<Vec<LifecycleRule>> {
        let inner = self.inner.require_lifecycle()?;
        self.run(Operation::Lifecycle, inner.lifecycle_rules())
            .await
    }

    async fn set_lifecycle_rules(&self, rules: Vec<LifecycleRule>) -> Result<()> {
        let inner = self.inner.require_lifecycle()?;
        self.run(Operation::Lifecycle, inner.set_lifecycle_rules(rules))
            .await
    }
}

#[async_trait]
impl Versions for FaultyObjectStore {
    async fn versioning_enabled(&self) -> Result<bool> {
        let inner = self.inner.require_versions()?;
        self.run(Operation::Versions, inner.versioning_enabled())
            .await
    }

    async fn set_versioning(&self, enabled: bool) -> Result<()> {
        let inner = self.inner.require_versions()?;
        self.run(Operation::Versions, inner.set_versioning(enabled))
            .await
    }

    fn list_versions(&self, prefix: &str) -> ItemStream<ObjectVersion> {
        let inner = match self.inner.require_versions() {
            Ok(inner) => inner.list_versions(prefix),
            Err(err) => items::iter([Err(err)]),
        };
        self.stream(Operation::Versions, inner)
    }

    async fn restore_version(&self, key: &ObjectKey, version: &VersionId) -> Result<ObjectMeta> {
        let inner = self.inner.require_versions()?;
        self.run(Operation::Versions, inner.restore_version(key, version))
            .await
    }

    async fn delete_version(&self, key: &ObjectKey, version: &VersionId) -> Result<()> {
        let inner = self.inner.require_versions()?;
        self.run(Operation::Versions, inner.delete_version(key, version))
            .await
    }
}

#[async_trait]
impl ObjectLock for FaultyObjectStore {
    async fn retention(&self, key: &ObjectKey) -> Result<Option<Retention>> {
        let inner = self.inner.require_object_lock()?;
        self.run(Operation::ObjectLock, inner.retention(key)).await
    }

    async fn set_retention(&self, key: &ObjectKey, retention: Retention) -> Result<()> {
        let inner = self.inner.require_object_lock()?;
        self.run(Operation::ObjectLock, inner.set_retention(key, retention))
            .await
    }
}

#[async_trait]
impl BucketAdmin for FaultyObjectStore {
    async fn create_bucket(&self) -> Result<()> {
        let inner = self.inner.require_bucket_admin()?;
        self.run(Operation::BucketAdmin, inner.create_bucket())
            .await
    }

    async fn delete_bucket(&self) -> Result<()> {
        let inner = self.inner.require_bucket_admin()?;
        self.run(Operation::BucketAdmin, inner.delete_bucket())
            .await
    }
}
