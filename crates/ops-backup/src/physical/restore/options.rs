//! How a cluster is restored, and what came of it.

use std::path::PathBuf;
use std::time::Duration;

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, SystemId, Timeline};

use super::target::RestoreTarget;
use crate::report::seconds;
use crate::repository::BackupId;

/// What happens after the files of a cluster are in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// A server is run in private, which replays the WAL up to the target. Where it is
    /// reached, and only then, the cluster is promoted to a timeline of its own, and
    /// stopped: it can be started. Needs the server programs of its major. The default.
    #[default]
    Run,
    /// The cluster is prepared and left to a server that the caller starts, which gets its
    /// WAL by this command: that of `ops-wal restore`. Nobody sees to it that the target is
    /// reached.
    Prepare {
        /// The `restore_command`, with `%f` and `%p`.
        restore_command: String,
    },
}

/// How to restore a cluster.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClusterRestoreOptions {
    /// From which backup. Defaults to the newest that leads to the target.
    pub backup: Option<BackupId>,
    /// On which timeline recovery ends. Defaults to the newest.
    pub timeline: Option<Timeline>,
    /// Stops just before the target instead of just after it. Defaults to not.
    pub exclusive: bool,
    /// Restores over a stopped copy of the same cluster: files that are right already are
    /// kept, what does not belong there is removed. Defaults to refusing a folder that is
    /// not empty.
    pub delta: bool,
    /// Where tablespaces go, by their OIDs. Defaults to where they were.
    pub tablespaces: Vec<(u32, PathBuf)>,
    /// The user who owns the files. Defaults to the one that we are, and where that is
    /// root, to `postgres`, else `nobody`.
    pub owner: Option<String>,
    /// How many threads write. Defaults to the engine's number of workers.
    pub workers: Option<usize>,
    /// What happens after the files are in place.
    pub recovery: Recovery,
    /// Under which folder the private server has its socket. Defaults to `ops-drills` in
    /// the system's folder for temporary files. Servers below it whose process was killed are
    /// ended first, also one that still runs in the folder that is restored into.
    pub server_folder: Option<PathBuf>,
    /// Settings of the private server, over the defaults.
    pub server_settings: Vec<(String, String)>,
    /// The superuser to connect as while it recovers. Defaults to `postgres`.
    pub superuser: Option<String>,
}

impl ClusterRestoreOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Restores from this backup.
    #[must_use]
    pub fn with_backup(mut self, backup: BackupId) -> Self {
        self.backup = Some(backup);
        self
    }

    /// Ends recovery on this timeline.
    #[must_use]
    pub fn with_timeline(mut self, timeline: Timeline) -> Self {
        self.timeline = Some(timeline);
        self
    }

    /// Sets whether to stop just before the target.
    #[must_use]
    pub fn with_exclusive(mut self, exclusive: bool) -> Self {
        self.exclusive = exclusive;
        self
    }

    /// Sets whether to restore over a stopped copy of the same cluster.
    #[must_use]
    pub fn with_delta(mut self, delta: bool) -> Self {
        self.delta = delta;
        self
    }

    /// Puts a tablespace elsewhere.
    #[must_use]
    pub fn with_tablespace(mut self, oid: u32, folder: impl Into<PathBuf>) -> Self {
        self.tablespaces.push((oid, folder.into()));
        self
    }

    /// Sets the user who owns the files.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Sets how many threads write.
    #[must_use]
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets what happens after the files are in place.
    #[must_use]
    pub fn with_recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Sets the folder under which the private server has its socket.
    #[must_use]
    pub fn with_server_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.server_folder = Some(folder.into());
        self
    }

    /// Adds a setting of the private server.
    #[must_use]
    pub fn with_server_setting(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.server_settings.push((name.into(), value.into()));
        self
    }

    /// Sets the superuser to connect as while the private server recovers.
    #[must_use]
    pub fn with_superuser(mut self, name: impl Into<String>) -> Self {
        self.superuser = Some(name.into());
        self
    }
}

/// Where recovery ended, as the server said.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Reached {
    /// The position after the last record that was replayed.
    pub lsn: Lsn,
    /// When the last transaction was committed that was replayed; none where none was.
    pub last_commit: Option<Timestamp>,
    /// The timeline that the cluster is on now.
    pub timeline: Timeline,
    /// How many WAL segments were taken from the archive.
    pub segments: u64,
}

/// What the restore of a cluster came to.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct ClusterRestoreReport {
    /// The backup that it began with.
    pub backup: BackupId,
    /// The cluster.
    pub system_id: SystemId,
    /// What was asked for.
    pub target: RestoreTarget,
    /// Where the files are.
    pub directory: PathBuf,
    /// Where recovery ended; none where it was left to the caller.
    pub reached: Option<Reached>,
    /// How many backups of a chain were read.
    pub levels: usize,
    /// How many files were written or reconstructed.
    pub files_written: u64,
    /// How many files were right already.
    pub files_kept: u64,
    /// How many files and folders did not belong there and were removed.
    pub removed: u64,
    /// Plain bytes of the files that were written, of all levels.
    pub bytes_out: u64,
    /// Stored bytes that were read.
    pub bytes_read: u64,
    /// How long it took, in seconds.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// How long writing and syncing the files took, in seconds.
    #[serde(rename = "restore_seconds", serialize_with = "seconds")]
    pub restore_duration: Duration,
    /// How long recovery took, in seconds.
    #[serde(rename = "recovery_seconds", serialize_with = "seconds")]
    pub recovery_duration: Duration,
    /// What somebody should know.
    pub warnings: Vec<String>,
}
