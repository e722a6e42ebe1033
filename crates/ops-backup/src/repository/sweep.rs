//! Removing what a job left that never committed.
//!
//! A manifest that was sent may arrive late: after its job gave up, and after a sweep. So
//! before anything of a backup is removed, a tombstone takes the place of its manifest. Both
//! are created only where nothing is, so the store lets exactly one of them in: the backup
//! is committed and stays whole, or is buried and a late manifest is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ops_core::object_store::{ObjectMeta, PutOptions};
use ops_core::{ErrorKind as CoreKind, ObjectKey, Timestamp};

use super::{BackupId, Lease, Repository};
use crate::error::{Error, Result};

/// What stands in the place of a manifest that must not come any more.
pub(crate) const TOMBSTONE: &[u8] = b"{\"format\":1,\"swept\":true}\n";
/// How long a tombstone is kept, by the store's clock. A request is under way for minutes,
/// and its signature is refused when it is a quarter of an hour old.
const TOMBSTONE_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

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
    /// How many uploads were abandoned that nobody will end, which no listing shows: those of
    /// the removed backups, and those whose beginning their jobs never heard of.
    pub uploads: u64,
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
        let (committed, buried) = self.committed_and_buried().await?;
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
            // What was buried was fenced before: a sweep did not come to its end.
            if !buried.contains_key(&id) {
                if age < grace || !self.fence(&id, &objects).await? {
                    report.in_progress.push(id);
                    continue;
                }
                if !self.bury(&id).await? {
                    // Its job was quicker.
                    self.remove_lease(&id, &objects).await?;
                    continue;
                }
            }
            report.objects += objects.len();
            report.bytes += objects.iter().map(|meta| meta.size_bytes).sum::<u64>();
            let folder = self.layout.folder(&id);
            report.uploads += self.abandon_uploads(&folder, store_now).await;
            self.remove(&id, objects).await?;
            report.removed.push(id);
        }
        // An upload whose beginning was asked for twice, since an answer was lost, belongs to
        // no backup that is removed. Where no job is under way, none has a use for it; one that
        // began meanwhile began later.
        if report.in_progress.is_empty() {
            let begun_before = store_now.saturating_sub(grace);
            let all = self.layout.backups();
            report.uploads += self.abandon_uploads(&all, begun_before).await;
        }
        self.remove_old_tombstones(store_now, &buried).await?;
        Ok(report)
    }

    /// Abandons uploads that nobody will end. A store that does not allow it keeps what it has.
    async fn abandon_uploads(&self, prefix: &str, begun_before: Timestamp) -> u64 {
        let abandoned = self.store.abandon_uploads(prefix, begun_before).await;
        abandoned.unwrap_or_else(|err| {
            tracing::warn!(error = %ops_core::Report(&err), prefix, "unfinished uploads stay behind");
            0
        })
    }

    /// The backups that have a manifest, and those that have a tombstone instead, with the
    /// time when they were buried.
    async fn committed_and_buried(
        &self,
    ) -> Result<(BTreeSet<BackupId>, BTreeMap<BackupId, Timestamp>)> {
        let (mut committed, mut buried) = (BTreeSet::new(), BTreeMap::new());
        for meta in self.list("sweep", self.layout.manifests()).await? {
            let Some(id) = self.layout.manifest_id(&meta.key) else {
                continue;
            };
            if self.is_tombstone("sweep", &meta).await? {
                buried.insert(id, meta.last_modified);
            } else {
                committed.insert(id);
            }
        }
        Ok((committed, buried))
    }

    /// Whether what has the key of a manifest is a tombstone. A manifest is larger.
    pub(crate) async fn is_tombstone(
        &self,
        operation: &'static str,
        meta: &ObjectMeta,
    ) -> Result<bool> {
        if meta.size_bytes != TOMBSTONE.len() as u64 {
            return Ok(false);
        }
        let content = self.read(operation, &meta.key, meta.size_bytes).await?;
        Ok(content == TOMBSTONE)
    }

    /// Puts a tombstone where the manifest would come; `false` where the manifest is there.
    async fn bury(&self, id: &BackupId) -> Result<bool> {
        let manifest = self.layout.manifest(id)?;
        let tombstone = Bytes::from_static(TOMBSTONE);
        let store = |err| Error::store("sweep", err);
        let options = PutOptions::if_none_match();
        match self.store.put(&manifest, tombstone, options).await {
            Ok(_) => Ok(true),
            Err(err) if err.kind() == CoreKind::AlreadyExists => {
                let meta = self.store.head(&manifest).await.map_err(store)?;
                self.is_tombstone("sweep", &meta).await
            }
            Err(err) => Err(store(err)),
        }
    }

    /// Removes the tombstones that no manifest can be under way for any more. What they had
    /// buried was removed before, by this sweep at the latest.
    async fn remove_old_tombstones(
        &self,
        store_now: Timestamp,
        buried: &BTreeMap<BackupId, Timestamp>,
    ) -> Result<()> {
        for (id, buried_at) in buried {
            if store_now.saturating_since(*buried_at) >= TOMBSTONE_KEPT {
                let manifest = self.layout.manifest(id)?;
                let deleted = self.store.delete(&manifest).await;
                deleted.map_err(|err| Error::store("sweep", err))?;
            }
        }
        Ok(())
    }

    /// Removes what this job itself has stored. Where it has sent its manifest, a tombstone
    /// takes its place first: a commit whose answer was lost may have made it visible, or
    /// may still do so.
    pub(crate) async fn discard(&self, id: &BackupId, manifest_was_sent: bool) -> Result<()> {
        if manifest_was_sent {
            let manifest = self.layout.manifest(id)?;
            let tombstone = Bytes::from_static(TOMBSTONE);
            let buried = self.store.put(&manifest, tombstone, PutOptions::default());
            buried.await.map_err(|err| Error::store("dump", err))?;
        }
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
