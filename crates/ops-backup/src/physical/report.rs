//! What a base backup came to.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::Timestamp;

use super::format::PhysicalInfo;
use crate::keys::EncryptionInfo;
use crate::report::{phase_seconds, rate, seconds};
use crate::repository::{BackupId, SourceInfo, SweepReport};

/// Why a backup is full although an incremental one was asked for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FullReason {
    /// The server is too old. Incremental backups came with PostgreSQL 17; before 17.11 and
    /// 18.6 they may miss changes.
    ServerTooOld {
        /// The server's version as a number, such as `170005`.
        server_version_num: u32,
    },
    /// The server does not summarize its WAL (`summarize_wal` is off).
    SummariesOff,
    /// The server lacks WAL summaries back to the last backup, or cannot relate it to its
    /// own history.
    SummariesMissing {
        /// What it said.
        message: String,
    },
    /// There is no backup of this cluster to build upon that is whole, not degraded, and of
    /// the history that the server has come along.
    NoParent,
    /// The full backup of the chain is older than the policy allows, or of the future by a
    /// clock that was set back.
    Due,
    /// The backup to build upon is in one store alone.
    ParentNotEverywhere,
    /// The backup to build upon cannot be opened: no key was given, or not the right one.
    ParentLocked,
    /// The backup to build upon cannot be read.
    ParentUnreadable {
        /// What was found.
        message: String,
    },
}

/// What became of a backup in one store.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct StoreOutcome {
    /// Which store: `first` or `second`.
    pub store: &'static str,
    /// Whether the backup was committed there.
    pub committed: bool,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a base backup came to.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct BaseBackupReport {
    /// The backup.
    pub id: BackupId,
    /// When the job began.
    pub started_at: Timestamp,
    /// What had been committed by then is in the backup.
    pub snapshot_at: Timestamp,
    /// When the backup became visible.
    pub completed_at: Timestamp,
    /// How long the job took, in seconds.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// How long each phase took, in seconds.
    #[serde(serialize_with = "phase_seconds")]
    pub phases: BTreeMap<&'static str, Duration>,
    /// The server.
    pub source: SourceInfo,
    /// How the backup is encrypted.
    pub encryption: EncryptionInfo,
    /// What it is.
    pub physical: PhysicalInfo,
    /// Why it is full although an incremental one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_because: Option<FullReason>,
    /// The size of all archives before compression, in bytes.
    pub bytes_in: u64,
    /// The size of all stored objects, in bytes; in one store.
    pub bytes_stored: u64,
    /// How many objects were stored, the manifest included; in one store.
    pub objects: usize,
    /// What became of it in each store; it was committed in one at least.
    pub stores: Vec<StoreOutcome>,
    /// What the sweep of the first store removed before the backup.
    pub swept: SweepReport,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

impl BaseBackupReport {
    /// Whether the backup was committed in every store.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.stores.iter().all(|store| store.committed)
    }

    /// Plain bytes a second over the phase that reads the cluster.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        let spent = self.phases.get("base_backup").copied();
        rate(self.bytes_in, spent.unwrap_or(self.duration))
    }
}
