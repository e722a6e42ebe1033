//! The abilities of the bucket.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::listing::VersionListing;
use super::state::{Grant, Version, locked_error};
use super::{MemoryObjectStore, Shared};
use crate::error::{ErrorKind, Result};
use crate::memory::{error, lock, missing};
use crate::object_store::{
    BucketAdmin, ItemStream, Lifecycle, LifecycleRule, ObjectKey, ObjectLock, ObjectMeta,
    ObjectVersion, Presign, PresignedUrl, PutOptions, Retention, RetentionMode, VersionId,
    Versions,
};
use crate::secret::Secret;

/// As S3 allows.
const MAX_VALID_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn presign(
    shared: &Shared,
    operation: &'static str,
    key: &ObjectKey,
    valid_for: Duration,
    may_write: bool,
) -> Result<PresignedUrl> {
    if valid_for > MAX_VALID_FOR {
        let message = "a signed URL is valid for at most 7 days";
        return Err(error(ErrorKind::InvalidInput, operation, message));
    }
    let expires_at = shared.clock.now().saturating_add(valid_for);
    shared.with(operation, |state| {
        let number = state.sequence.next();
        let url = format!("memory://bucket/{key}?signature={number:08x}");
        state.grants.insert(
            url.clone(),
            Grant {
                key: key.clone(),
                may_write,
                expires_at,
            },
        );
        Ok(PresignedUrl::new(url, expires_at))
    })
}

/// The object that a signed URL is about.
fn redeem(
    shared: &Shared,
    operation: &'static str,
    url: &Secret,
    write: bool,
) -> Result<ObjectKey> {
    let now = shared.clock.now();
    shared.with(operation, |state| match state.grants.get(url.expose()) {
        Some(grant) if grant.may_write == write && now < grant.expires_at => Ok(grant.key.clone()),
        _ => Err(error(
            ErrorKind::PermissionDenied,
            operation,
            "the signed URL allows nothing",
        )),
    })
}

pub(super) fn presigned_get(shared: &Shared, url: &Secret) -> Result<Bytes> {
    let operation = "object_store.presigned_get";
    let key = redeem(shared, operation, url, false)?;
    shared.with(operation, |state| {
        state.get(operation, &key).map(|(_, data)| data)
    })
}

pub(super) fn presigned_put(shared: &Shared, url: &Secret, data: Bytes) -> Result<ObjectMeta> {
    let operation = "object_store.presigned_put";
    let key = redeem(shared, operation, url, true)?;
    shared.write(operation, &key, data, PutOptions::default())
}

#[async_trait]
impl Presign for MemoryObjectStore {
    async fn presign_get(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl> {
        presign(&self.0, "object_store.presign_get", key, valid_for, false)
    }

    async fn presign_put(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl> {
        presign(&self.0, "object_store.presign_put", key, valid_for, true)
    }
}

#[async_trait]
impl Lifecycle for MemoryObjectStore {
    async fn lifecycle_rules(&self) -> Result<Vec<LifecycleRule>> {
        self.0.with("object_store.lifecycle_rules", |state| {
            Ok(state.rules.clone())
        })
    }

    async fn set_lifecycle_rules(&self, rules: Vec<LifecycleRule>) -> Result<()> {
        let operation = "object_store.set_lifecycle_rules";
        let mut names = HashSet::new();
        if let Some(twice) = rules.iter().find(|rule| !names.insert(rule.id.as_str())) {
            let message = format!("two rules are named {}", twice.id);
            return Err(error(ErrorKind::InvalidInput, operation, message));
        }
        self.0.with(operation, |state| {
            state.rules = rules;
            Ok(())
        })
    }
}

#[async_trait]
impl Versions for MemoryObjectStore {
    async fn versioning_enabled(&self) -> Result<bool> {
        self.0.with("object_store.versioning_enabled", |state| {
            Ok(state.is_versioned)
        })
    }

    async fn set_versioning(&self, enabled: bool) -> Result<()> {
        self.0.with("object_store.set_versioning", |state| {
            state.is_versioned = enabled;
            Ok(())
        })
    }

    fn list_versions(&self, prefix: &str) -> ItemStream<ObjectVersion> {
        Box::pin(VersionListing::new(Arc::clone(&self.0), prefix.to_owned()))
    }

    async fn restore_version(&self, key: &ObjectKey, version: &VersionId) -> Result<ObjectMeta> {
        let operation = "object_store.restore_version";
        let now = self.0.clock.now();
        let capacity = self.0.capacity_bytes;
        self.0.with(operation, |state| {
            let versions = state
                .versions_mut(key)
                .map_or(&mut [][..], Vec::as_mut_slice);
            let old = versions
                .iter()
                .find(|known| known.id == *version)
                .and_then(Version::live);
            let (meta, data) =
                old.ok_or_else(|| missing(operation, format_args!("that version of {key}")))?;
            let options = PutOptions {
                checksum: meta.checksum,
                content_type: meta.content_type.clone(),
                ..PutOptions::default()
            };
            let data = data.clone();
            state.put(operation, key, data, options, now, capacity)
        })
    }

    async fn delete_version(&self, key: &ObjectKey, version: &VersionId) -> Result<()> {
        let operation = "object_store.delete_version";
        let now = self.0.clock.now();
        self.0.with(operation, |state| {
            let Some(versions) = state.versions_mut(key) else {
                return Ok(());
            };
            if versions
                .iter()
                .any(|known| known.id == *version && known.is_locked(now))
            {
                return Err(locked_error(operation, key));
            }
            versions.retain(|known| known.id != *version);
            if versions.is_empty() {
                state.objects.remove(key.as_str());
            }
            Ok(())
        })
    }
}

#[async_trait]
impl ObjectLock for MemoryObjectStore {
    async fn retention(&self, key: &ObjectKey) -> Result<Option<Retention>> {
        let operation = "object_store.retention";
        let now = self.0.clock.now();
        self.0.with(operation, |state| {
            state.get(operation, key)?;
            let latest = state.versions_mut(key).and_then(|versions| versions.last());
            Ok(latest.and_then(|version| version.retention.filter(|kept| kept.until > now)))
        })
    }

    async fn set_retention(&self, key: &ObjectKey, retention: Retention) -> Result<()> {
        let operation = "object_store.set_retention";
        let now = self.0.clock.now();
        self.0.with(operation, |state| {
            state.get(operation, key)?;
            let latest = state
                .versions_mut(key)
                .and_then(|versions| versions.last_mut());
            let version = latest.ok_or_else(|| missing(operation, key))?;
            let kept = version.retention.filter(|kept| kept.until > now);
            let weaker = kept.is_some_and(|kept| {
                retention.until < kept.until
                    || (kept.mode == RetentionMode::Compliance && retention.mode != kept.mode)
            });
            if weaker {
                let message = format!("{key} is kept longer or more strictly than that");
                return Err(error(ErrorKind::Conflict, operation, message));
            }
            version.retention = Some(retention);
            Ok(())
        })
    }
}

#[async_trait]
impl BucketAdmin for MemoryObjectStore {
    async fn create_bucket(&self) -> Result<()> {
        lock(&self.0.state).has_bucket = true;
        Ok(())
    }

    async fn delete_bucket(&self) -> Result<()> {
        let mut state = lock(&self.0.state);
        state.apply_rules(self.0.clock.now());
        if !state.objects.is_empty() {
            let message = "the bucket is not empty";
            return Err(error(
                ErrorKind::Conflict,
                "object_store.delete_bucket",
                message,
            ));
        }
        state.has_bucket = false;
        Ok(())
    }
}
