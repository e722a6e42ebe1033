//! How things stand: what could be recovered now, and how well that is proven.

mod clusters;
mod drills;
mod list;

use std::time::Duration;

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, SystemId, Timeline};
use serde::Serializer;

use crate::backup::{Backup, Inner};
use crate::drill::DrillFailure;
use crate::error::Result;
use crate::keeper::KeptStore;
use crate::physical::{DrillLevel, PhysicalKind};
use crate::repository::{BackupId, CatalogueEntry};
use crate::wal::{ArchiverState, ArchiverStatus, GapRecord, RecoverableWindow};
use clusters::Cluster;

pub use list::{BackupKind, ListedBackup, Listing, Managed, Source};

/// How things stand with the backups of a database and its cluster.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Status {
    /// When it was asked, by the engine's clock.
    pub at: Timestamp,
    /// The cluster that the prefix belongs to: that whose WAL is archived, else that of the
    /// newest physical backup.
    pub system_id: Option<SystemId>,
    /// Everything that was committed up to here can be recovered: the newest commit whose
    /// WAL is durable in the store and to which a sound backup leads, or the instant that the
    /// newest sound backup holds, whichever is later. `None` where there is no such backup.
    pub newest_durable_commit: Option<Timestamp>,
    /// How long ago that was: what would be lost were the server lost now, at most. It grows
    /// while nothing is committed, too; [`archive`](Self::archive) tells whether anything
    /// waits to be stored.
    #[serde(serialize_with = "optional_seconds")]
    pub rpo: Option<Duration>,
    /// How far the archive of the cluster's WAL is; `None` where no WAL is archived.
    pub archive: Option<ArchiveStatus>,
    /// The first point of the first window. Dumps are points of their own, and in no window.
    pub first_recoverable: Option<RecoverablePoint>,
    /// The last point of the last window.
    pub last_recoverable: Option<RecoverablePoint>,
    /// What can be recovered at any point of it, of all clusters under the prefix.
    pub windows: Vec<RecoverableWindow>,
    /// WAL of the cluster that will never come, by timeline and position.
    pub gaps: Vec<GapRecord>,
    /// The newest dump.
    pub newest_dump: Option<BackupSummary>,
    /// The newest full base backup.
    pub newest_full: Option<BackupSummary>,
    /// The newest incremental base backup.
    pub newest_incremental: Option<BackupSummary>,
    /// The backups with damaged pages, oldest first.
    pub degraded: Vec<BackupId>,
    /// The last drill of one of the 16 newest backups: passed, not passed, or failed.
    pub last_drill: Option<DrillSummary>,
    /// The recovery time that the last drill measured that passed, of those and of the 8 newest
    /// of each backup.
    #[serde(serialize_with = "optional_seconds")]
    pub last_rto: Option<Duration>,
    /// When the next base backup is due, by the engine's clock, where a
    /// [`Keeper`](crate::Keeper) runs in this process and archives; `None` where none does,
    /// or while it takes one.
    pub next_run: Option<Timestamp>,
    /// What that keeper found in each store at its last look, the first store first; empty
    /// where none runs in this process and archives. All else is of the first store.
    pub stores: Vec<KeptStore>,
}

/// How far the archive of a cluster's WAL is.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct ArchiveStatus {
    /// The newest timeline that WAL is archived of.
    pub timeline: Timeline,
    /// Up to where it is archived without a hole.
    pub end: Lsn,
    /// The newest commit before that, where one is known.
    pub newest_commit: Option<Timestamp>,
    /// How much of the server's WAL is not durable in the store yet, in bytes. `None` where
    /// no archiver runs in this process: the objects do not tell what the server has.
    pub lag_bytes: Option<u64>,
    /// Where an archiver runs in this process: for how long the oldest received WAL has been
    /// waiting to be durable; zero where none waits. Else how long ago the newest object was
    /// stored, which is no less than that and grows while nothing is written, too.
    #[serde(serialize_with = "optional_seconds")]
    pub lag: Option<Duration>,
    /// The archiver that runs in this process, where one does.
    pub archiver: Option<ArchiverStatus>,
}

/// A point that can be recovered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RecoverablePoint {
    /// The cluster.
    pub system_id: Option<SystemId>,
    /// The timeline to recover along.
    pub timeline: Timeline,
    /// The position.
    pub lsn: Lsn,
    /// The time: of the first point when its backup was complete, of the last point that of
    /// the newest commit before it.
    pub at: Timestamp,
}

/// A backup, in short.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct BackupSummary {
    /// The backup.
    pub id: BackupId,
    /// What had been committed by then is in it.
    pub snapshot_at: Timestamp,
    /// When it was complete.
    pub completed_at: Timestamp,
    /// The size of its objects, in bytes.
    pub bytes_stored: u64,
    /// Whether it holds damaged pages.
    pub degraded: bool,
}

/// A drill, in short.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct DrillSummary {
    /// The backup.
    pub backup: BackupId,
    /// When the drill ended.
    pub completed_at: Timestamp,
    /// Whether every check passed.
    pub passed: bool,
    /// How far the backup is proven.
    pub level: DrillLevel,
    /// The recovery time that was measured; zero where the copy never answered.
    #[serde(serialize_with = "crate::report::seconds")]
    pub rto: Duration,
    /// Why the drill did not come to its end; `None` where it did.
    pub failure: Option<DrillFailure>,
}

impl Backup {
    /// How things stand, in one struct.
    ///
    /// It is found out from the objects of the store, and from the archiver that
    /// [`Backup::archiver`] has made where one runs in this process. The server is not asked:
    /// this is what there is when it is gone.
    ///
    /// It costs at most these requests, whatever the sizes of the backups:
    /// - for the catalogue one per 1000 backups, and one or two for each backup that this
    ///   `Backup` has not seen before;
    /// - for each cluster under the prefix one per 1000 segments of WAL since its oldest
    ///   backup began, 20 for each stretch of WAL without a hole, 4 for each timeline, one
    ///   for each gap and each timeline's history, and 10 more;
    /// - for drills one for each of the 16 newest backups, one for each of those that has been
    ///   drilled, and 7 more for each whose last drill did not pass.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` and `UnknownFormat` for a manifest or a record
    /// that cannot be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn status(&self) -> Result<Status> {
        status(self.inner()).await
    }
}

async fn status(inner: &Inner) -> Result<Status> {
    let entries = inner.repository.catalogue().await?;
    let clusters = clusters::gather(inner, &entries).await?;
    let drills = drills::newest(&inner.repository, &entries).await?;
    let at = inner.settings.clock.now();
    let current = clusters.iter().find(|cluster| cluster.current);
    let archive = match current {
        Some(cluster) => archive_status(inner, cluster, at).await?,
        None => None,
    };
    let windows: Vec<_> = clusters.iter().flat_map(|it| it.windows.clone()).collect();
    let of_current = current.map_or(&[][..], |it| &it.windows);
    let newest_durable_commit = newest_durable(current, &entries);
    let newest = |kind: BackupKind| {
        let of_kind = entries.iter().filter(|entry| kind_of(entry) == kind);
        let newest = of_kind.max_by_key(|entry| order_of(entry, current));
        newest.map(summary)
    };
    let degraded = entries.iter().filter(|entry| is_degraded(entry));
    Ok(Status {
        at,
        system_id: current.map(|it| it.system_id),
        newest_durable_commit,
        rpo: newest_durable_commit.map(|commit| at.saturating_since(commit)),
        archive,
        first_recoverable: of_current
            .iter()
            .map(first_of)
            .min_by_key(|it| (it.lsn, it.timeline)),
        last_recoverable: of_current
            .iter()
            .map(last_of)
            .max_by_key(|it| (it.timeline, it.lsn)),
        gaps: current.map(|it| it.gaps.clone()).unwrap_or_default(),
        newest_dump: newest(BackupKind::Dump),
        newest_full: newest(BackupKind::Full),
        newest_incremental: newest(BackupKind::Incremental),
        degraded: degraded.map(|entry| entry.manifest.id.clone()).collect(),
        last_rto: drills.iter().rev().find(|it| it.passed).map(|it| it.rto),
        last_drill: drills.last().cloned(),
        windows,
        next_run: inner.keeping.next_run(),
        stores: inner.keeping.stores(),
    })
}

/// The newest commit that can be recovered.
fn newest_durable(current: Option<&Cluster>, entries: &[CatalogueEntry]) -> Option<Timestamp> {
    let sound = entries.iter().filter(|entry| !is_degraded(entry));
    let sound = sound.filter(|entry| list::missing_parents(entry, entries).is_empty());
    let of_backups = sound.map(|entry| entry.manifest.snapshot_at).max();
    let of_wal = current.and_then(Cluster::newest_commit);
    of_backups.max(of_wal)
}

async fn archive_status(
    inner: &Inner,
    cluster: &Cluster,
    at: Timestamp,
) -> Result<Option<ArchiveStatus>> {
    let archiver = inner.archiving.status();
    let archiver = archiver.filter(|it| it.state != ArchiverState::Idle);
    let (Some(archive), Some(last)) = (&cluster.archive, cluster.last_run()) else {
        return Ok(None);
    };
    let streaming = archiver.as_ref().filter(|it| it.durable.is_some());
    let lag = if let Some(it) = streaming {
        Some(it.lag)
    } else {
        let newest = archive.newest_object(last).await?;
        newest.map(|meta| at.saturating_since(meta.last_modified))
    };
    Ok(Some(ArchiveStatus {
        timeline: last.timeline,
        end: last.end,
        newest_commit: last.newest_commit,
        lag_bytes: streaming.map(|it| it.lag_bytes),
        lag,
        archiver,
    }))
}

fn first_of(window: &RecoverableWindow) -> RecoverablePoint {
    RecoverablePoint {
        system_id: window.system_id,
        timeline: window.timeline,
        lsn: window.from,
        at: window.from_time,
    }
}

fn last_of(window: &RecoverableWindow) -> RecoverablePoint {
    RecoverablePoint {
        system_id: window.system_id,
        timeline: window.timeline,
        lsn: window.to,
        at: window.to_time,
    }
}

fn summary(entry: &CatalogueEntry) -> BackupSummary {
    let manifest = &entry.manifest;
    BackupSummary {
        id: manifest.id.clone(),
        snapshot_at: manifest.snapshot_at,
        completed_at: manifest.completed_at,
        bytes_stored: manifest.bytes_stored,
        degraded: is_degraded(entry),
    }
}

fn kind_of(entry: &CatalogueEntry) -> BackupKind {
    match entry.manifest.physical.as_ref().map(|it| &it.kind) {
        None => BackupKind::Dump,
        Some(PhysicalKind::Full) => BackupKind::Full,
        Some(PhysicalKind::Incremental { .. }) => BackupKind::Incremental,
    }
}

/// What tells which of two backups is newer: positions where there are any, which a clock
/// that was set back does not move.
fn order_of(
    entry: &CatalogueEntry,
    current: Option<&Cluster>,
) -> (bool, Option<(Timeline, Lsn)>, Timestamp) {
    let physical = entry.manifest.physical.as_ref();
    let physical = physical.filter(|it| current.is_some_and(|own| own.system_id == it.system_id));
    let position = physical.map(|it| (it.end_timeline, it.end_lsn));
    (position.is_some(), position, entry.manifest.started_at)
}

fn is_degraded(entry: &CatalogueEntry) -> bool {
    entry
        .manifest
        .physical
        .as_ref()
        .is_some_and(|it| it.degraded)
}

#[expect(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn optional_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.serialize_some(&duration.as_secs_f64()),
        None => serializer.serialize_none(),
    }
}
