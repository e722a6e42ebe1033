//! Versions and locks, with their faults.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::object_store::{
    ObjectKey, ObjectLock, ObjectMeta, ObjectVersion, Retention, RetentionMode, VersionId, Versions,
};
use ops_core::{ErrorKind, ItemStream, Result, Timestamp};

use super::sabotage::Sabotaged;
use crate::saboteur::wrong;

#[async_trait]
impl Versions for Sabotaged {
    async fn versioning_enabled(&self) -> Result<bool> {
        Ok(self.is("O-140") || self.memory().versioning_enabled().await?)
    }

    async fn set_versioning(&self, enabled: bool) -> Result<()> {
        if self.is("O-147") && !enabled {
            let versions: Vec<ObjectVersion> =
                self.memory().list_versions("").try_collect().await?;
            for old in versions.into_iter().filter(|version| !version.is_latest) {
                self.memory()
                    .delete_version(&old.meta.key, &old.version)
                    .await?;
            }
        }
        self.memory().set_versioning(enabled).await
    }

    fn list_versions(&self, prefix: &str) -> ItemStream<ObjectVersion> {
        let this = self.clone();
        let listed = self.memory().list_versions(prefix);
        let listed = async move {
            let mut listed: Vec<ObjectVersion> = listed.try_collect().await.unwrap();
            if this.is("O-141") {
                listed.reverse();
            }
            if this.is("O-144") {
                listed.retain(|version| !version.is_delete_marker);
            }
            if this.is("O-146") {
                for version in &mut listed {
                    version.is_latest = true;
                }
            }
            stream::iter(listed.into_iter().map(Ok))
        };
        Box::pin(stream::once(listed).flatten())
    }

    async fn restore_version(&self, key: &ObjectKey, version: &VersionId) -> Result<ObjectMeta> {
        match self.memory().restore_version(key, version).await {
            Err(err) if self.is("O-143") && err.is_not_found() => wrong(),
            restored => restored,
        }
    }

    async fn delete_version(&self, key: &ObjectKey, version: &VersionId) -> Result<()> {
        let is_locked = matches!(self.memory().retention(key).await, Ok(Some(_)));
        if (self.is("O-145") && !is_locked) || (self.is("O-155") && is_locked) {
            return Ok(());
        }
        self.memory().delete_version(key, version).await
    }
}

#[async_trait]
impl ObjectLock for Sabotaged {
    async fn retention(&self, key: &ObjectKey) -> Result<Option<Retention>> {
        let kept = match self.memory().retention(key).await {
            Err(err) if self.is("O-154") && err.is_not_found() => return Ok(None),
            kept => kept?,
        };
        let second = Duration::from_secs(1);
        Ok(match kept {
            None if self.is("O-150") => Some(Retention {
                mode: RetentionMode::Governance,
                until: Timestamp::UNIX_EPOCH,
            }),
            Some(kept) if self.is("O-151") => Some(Retention {
                until: kept.until.saturating_add(second),
                ..kept
            }),
            kept => kept,
        })
    }

    async fn set_retention(&self, key: &ObjectKey, retention: Retention) -> Result<()> {
        let kept = self.memory().retention(key).await?;
        let set = self.memory().set_retention(key, retention).await;
        if self.is("O-152") && kept.is_some_and(|kept| kept.until < retention.until) {
            return wrong();
        }
        match set {
            Err(err) if self.is("O-153") && err.kind() == ErrorKind::Conflict => Ok(()),
            set => set,
        }
    }
}
