//! Drills that end in an error: that, too, is a result.

use ops_core::Timestamp;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::repository::{BackupId, CatalogueEntry, Repository};

/// Why a drill did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct DrillFailure {
    /// What it was doing.
    pub phase: Phase,
    /// The error with its causes, in one line. It holds no secret.
    pub message: String,
}

impl DrillFailure {
    pub(crate) fn new(events: &Events, err: &Error) -> Self {
        Self {
            phase: events.current().unwrap_or(Phase::Preflight),
            message: ops_core::Report(err).to_string(),
        }
    }
}

/// Stores the result of a drill beside its backup.
pub(crate) async fn store<T: serde::Serialize + Sync>(
    repository: &Repository,
    id: &BackupId,
    started_at: Timestamp,
    report: &T,
) -> Result<()> {
    let key = repository.layout.drill(id, started_at)?;
    let json = serde_json::to_vec_pretty(report).map_err(|source| {
        Error::new(ErrorKind::Internal, "drill", "the result cannot be written").with_source(source)
    })?;
    repository.create("drill", &key, json).await
}

/// Stores that a drill failed, beside the backup that `blamed` picks from the catalogue, and
/// gives back what it failed with; which says so where that cannot be stored. Without a backup
/// there is no place for it.
pub(crate) async fn store_failure<T: serde::Serialize + Send + Sync>(
    repository: &Repository,
    started_at: Timestamp,
    err: Error,
    blamed: impl Fn(&CatalogueEntry) -> bool + Send + Sync,
    report: impl FnOnce(&CatalogueEntry, &Error) -> T + Send,
) -> Error {
    let stored = async {
        let entries = repository.catalogue().await?;
        let Some(entry) = entries.iter().rev().find(|entry| blamed(entry)) else {
            return Ok(());
        };
        let report = report(entry, &err);
        store(repository, &entry.manifest.id, started_at, &report).await
    };
    let Err(unstored) = stored.await else {
        return err;
    };
    let unstored = format!("the result is not stored: {}", ops_core::Report(&unstored));
    tracing::warn!(error = %unstored, "the failure of a drill is not in the store");
    let left = match err.left_behind() {
        Some(left) => format!("{left}; {unstored}"),
        None => unstored,
    };
    err.with_left_behind(left)
}
