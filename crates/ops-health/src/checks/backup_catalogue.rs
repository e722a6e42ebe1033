//! The catalogue of `ops-backup`, as freshness needs it.

use ops_backup::{Backup, CatalogueEntry};
use ops_core::{Error, ErrorKind, Result, Timestamp, async_trait};

use super::{BackupFacts, BackupSource};

/// How many backups are asked for their drills, newest first, until one is found.
const DRILLS_OF: usize = 40;

/// How many sizes before the newest are told.
const SIZES: usize = 7;

#[async_trait]
impl BackupSource for Backup {
    async fn latest(&self) -> Result<Option<BackupFacts>> {
        let entries = self.catalogue().await.map_err(unreadable)?;
        let Some((newest, older)) = entries.split_last() else {
            return Ok(None);
        };
        let sizes: Vec<u64> = older.iter().rev().take(SIZES).map(size).collect();
        let facts =
            BackupFacts::new(newest.manifest.completed_at, size(newest)).with_previous_sizes(sizes);
        Ok(Some(match last_passed_drill(self, &entries).await? {
            Some(at) => facts.with_verified_at(at),
            None => facts,
        }))
    }
}

/// The plain size: what is stored also shrinks where the data compresses better.
fn size(entry: &CatalogueEntry) -> u64 {
    entry.manifest.bytes_in
}

async fn last_passed_drill(
    backup: &Backup,
    entries: &[CatalogueEntry],
) -> Result<Option<Timestamp>> {
    for entry in entries.iter().rev().take(DRILLS_OF) {
        let drills = backup
            .drills(&entry.manifest.id)
            .await
            .map_err(unreadable)?;
        let passed = drills.iter().filter(|drill| drill.passed);
        if let Some(at) = passed.map(|drill| drill.completed_at).max() {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

#[cold]
fn unreadable(source: ops_backup::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the catalogue of backups cannot be read",
    )
    .with_source(source)
}
