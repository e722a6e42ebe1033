//! Removing what a job left that never committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ops_core::object_store::ObjectMeta;
use ops_core::{ObjectKey, Timestamp};

use super::{BackupId, Lease, Repository};
use crate::error::{Error, Result};

/// What a sweep removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SweepReport {
    /// The backups that were begun and never committed.
    pub removed: Vec<BackupId>,
    /// How many objects they had.
    pub objects: usize,
    /// How many bytes those had.
    pub bytes: u64,
    /// Uncommitted backups that are too young to be taken for abandoned.
    pub in_progress: Vec<BackupId>,
}

impl Repository {
    /// Removes uncommitted backups whose last sign of life is older than `grace`, by the
    /// store's clock: `store_now` is a time that the store itself has given.
    pub(crate) async fn sweep(
        &self,
        store_now: Timestamp,
        grace: Duration,
        own: Option<&BackupId>,
    ) -> Result<SweepReport> {
        let mut report = SweepReport::default();
        let mut leftovers: BTreeMap<BackupId, Vec<ObjectMeta>> = BTreeMap::new();
        for meta in self.list("sweep", self.layout.backups()).await? {
            if let Some(id) = self.layout.owner(&meta.key) {
                leftovers.entry(id).or_default().push(meta);
            }
        }
        // Listed after the objects: a backup that commits in between is seen as committed.
        let committed: BTreeSet<_> = self
            .list("sweep", self.layout.manifests())
            .await?
            .iter()
            .filter_map(|meta| self.layout.manifest_id(&meta.key))
            .collect();
        for (id, objects) in leftovers {
            if own == Some(&id) {
                continue;
            }
            if committed.contains(&id) {
                self.remove_lease(&id, &objects).await?;
                continue;
            }
            let newest = objects.iter().map(|meta| meta.last_modified).max();
            let age = newest.map_or(Duration::ZERO, |newest| store_now.saturating_since(newest));
            if age < grace || !self.fence(&id, &objects).await? {
                report.in_progress.push(id);
                continue;
            }
            report.objects += objects.len();
            report.bytes += objects.iter().map(|meta| meta.size_bytes).sum::<u64>();
            self.remove(&id, objects).await?;
            report.removed.push(id);
        }
        Ok(report)
    }

    /// Removes what this job itself has stored, and its manifest first: a commit whose
    /// answer was lost may have made it visible.
    pub(crate) async fn discard(&self, id: &BackupId) -> Result<()> {
        let manifest = self.layout.manifest(id)?;
        self.store
            .delete(&manifest)
            .await
            .map_err(|err| Error::store("dump", err))?;
        let objects = self.list("dump", self.layout.folder(id)).await?;
        self.remove(id, objects).await
    }

    async fn fence(&self, id: &BackupId, objects: &[ObjectMeta]) -> Result<bool> {
        let key = self.layout.lease(id)?;
        let lease = objects
            .iter()
            .find(|meta| meta.key == key)
            .and_then(|meta| meta.etag.clone());
        match lease {
            Some(etag) => Lease::fence(&*self.store, &key, etag).await,
            None => Ok(true),
        }
    }

    /// Removes the lease of a committed backup, whose job died before it gave it up.
    async fn remove_lease(&self, id: &BackupId, objects: &[ObjectMeta]) -> Result<()> {
        let lease = self.layout.lease(id)?;
        if objects.iter().any(|meta| meta.key == lease) {
            let deleted = self.store.delete(&lease).await;
            deleted.map_err(|err| Error::store("sweep", err))?;
        }
        Ok(())
    }

    /// Removes all objects of a backup, the lease last: while it is there it fences.
    async fn remove(&self, id: &BackupId, objects: Vec<ObjectMeta>) -> Result<()> {
        let lease = self.layout.lease(id)?;
        let keys: Vec<ObjectKey> = objects
            .into_iter()
            .map(|meta| meta.key)
            .filter(|key| *key != lease)
            .collect();
        let store = |err| Error::store("sweep", err);
        for outcome in self.store.delete_many(keys).await.map_err(store)? {
            outcome.map_err(store)?;
        }
        self.store.delete(&lease).await.map(drop).map_err(store)
    }
}
