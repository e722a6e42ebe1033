//! One list of all backups that there are.

use futures_util::TryStreamExt;
use ops_core::Timestamp;
use ops_core::database::NativeBackup;

use super::{is_degraded, kind_of};
use crate::backup::{Backup, Inner};
use crate::error::Result;
use crate::physical::PhysicalInfo;
use crate::repository::{BackupId, CatalogueEntry};

/// The longest chain that is followed.
const MAX_CHAIN: usize = 1000;

/// What a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackupKind {
    /// A dump of one database.
    Dump,
    /// A base backup that holds every file of the cluster.
    Full,
    /// A base backup that builds upon another one.
    Incremental,
    /// What the vendor of the database keeps.
    Managed,
}

/// Where a backup is, and all that is known of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// In the object store: made by this engine.
    Stored(Box<CatalogueEntry>),
    /// With the vendor of the database, who makes it, keeps it and restores it.
    Managed(NativeBackup),
}

/// A backup in a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListedBackup {
    /// What it is.
    pub kind: BackupKind,
    /// What had been committed by then is in it.
    pub snapshot_at: Timestamp,
    /// How much it takes, in bytes, where that is known.
    pub bytes_stored: Option<u64>,
    /// What it takes to restore it, the full backup first and itself last. Empty for what
    /// is not in the object store.
    pub chain: Vec<BackupId>,
    /// The backups of the chain that are not there any more. Where there is one, this backup
    /// cannot be restored.
    pub missing: Vec<BackupId>,
    /// Whether it holds damaged pages.
    pub degraded: bool,
    /// Where it is.
    pub source: Source,
}

impl ListedBackup {
    /// Its name: our id, or the vendor's.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.source {
            Source::Stored(entry) => entry.manifest.id.as_str(),
            Source::Managed(backup) => backup.id.as_str(),
        }
    }
}

/// What came of asking the vendor for its backups.
#[derive(Debug)]
#[non_exhaustive]
pub enum Managed {
    /// The database's vendor keeps none that one could ask for.
    NotOffered,
    /// They are in the list.
    Listed,
    /// It could not be asked: there may be some that are not in the list.
    Failed(ops_core::Error),
}

/// All backups that there are.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listing {
    /// The backups, oldest first.
    pub backups: Vec<ListedBackup>,
    /// Whether those of the vendor are among them.
    pub managed: Managed,
}

impl Backup {
    /// All backups of the database, oldest first: dumps, base backups with what they build
    /// upon, and those that the vendor keeps, where the database has the ability
    /// [`NativeBackups`](ops_core::database::NativeBackups).
    ///
    /// # Errors
    /// As [`Backup::catalogue`]. A vendor that cannot be asked is no error: ours are listed,
    /// and [`Listing::managed`] says so.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn list(&self) -> Result<Listing> {
        list(self.inner()).await
    }
}

async fn list(inner: &Inner) -> Result<Listing> {
    let entries = inner.repository.catalogue().await?;
    let mut backups: Vec<_> = entries
        .iter()
        .map(|entry| stored(entry, &entries))
        .collect();
    let managed = match inner.database.as_native_backups() {
        None => Managed::NotOffered,
        Some(native) => match native.list_backups().try_collect::<Vec<_>>().await {
            Ok(listed) => {
                backups.extend(listed.into_iter().map(managed));
                Managed::Listed
            }
            Err(err) if err.kind() == ops_core::ErrorKind::Unsupported => Managed::NotOffered,
            Err(err) => Managed::Failed(err),
        },
    };
    backups.sort_by_key(|backup| backup.snapshot_at);
    Ok(Listing { backups, managed })
}

fn stored(entry: &CatalogueEntry, entries: &[CatalogueEntry]) -> ListedBackup {
    ListedBackup {
        kind: kind_of(entry),
        snapshot_at: entry.manifest.snapshot_at,
        bytes_stored: Some(entry.manifest.bytes_stored),
        chain: chain(entry, entries),
        missing: missing_parents(entry, entries),
        degraded: is_degraded(entry),
        source: Source::Stored(Box::new(entry.clone())),
    }
}

fn managed(backup: NativeBackup) -> ListedBackup {
    ListedBackup {
        kind: BackupKind::Managed,
        snapshot_at: backup.created_at,
        bytes_stored: backup.size_bytes,
        chain: Vec::new(),
        missing: Vec::new(),
        degraded: false,
        source: Source::Managed(backup),
    }
}

/// What it takes to restore a backup, the full one first; ends early at one that is missing.
fn chain(entry: &CatalogueEntry, entries: &[CatalogueEntry]) -> Vec<BackupId> {
    let mut chain = vec![entry.manifest.id.clone()];
    let mut next = parent(entry);
    while let Some(id) = next.take_if(|_| chain.len() < MAX_CHAIN) {
        next = find(&id, entries).and_then(parent);
        chain.push(id);
    }
    chain.reverse();
    chain
}

/// The backups that a backup builds upon and that are not there.
pub(super) fn missing_parents(entry: &CatalogueEntry, entries: &[CatalogueEntry]) -> Vec<BackupId> {
    let mut missing = chain(entry, entries);
    missing.retain(|id| find(id, entries).is_none());
    missing
}

fn find<'a>(id: &BackupId, entries: &'a [CatalogueEntry]) -> Option<&'a CatalogueEntry> {
    entries.iter().find(|entry| entry.manifest.id == *id)
}

fn parent(entry: &CatalogueEntry) -> Option<BackupId> {
    let info: Option<&PhysicalInfo> = entry.manifest.physical.as_ref();
    info.and_then(|info| info.kind.parent()).cloned()
}
