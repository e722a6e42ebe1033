//! What can be recovered, worked out from what is stored.

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, SystemId, Timeline, TimelineHistory, WalSegmentSize};

use super::Coverage;
use super::reach::{Reach, reach};
use crate::physical::{PhysicalInfo, WalMethod};
use crate::repository::{BackupId, Manifest};

/// A base backup, as far as it matters for what can be recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseBackupSpan {
    /// The backup.
    pub id: BackupId,
    /// The timeline that it was taken on.
    pub timeline: Timeline,
    /// Where its WAL begins.
    pub start: Lsn,
    /// Where it is consistent: the first position that it can be recovered to.
    pub end: Lsn,
    /// When that was.
    pub consistent_at: Timestamp,
    /// Whether the backup brings the WAL from `start` to `end` itself, in whole segments.
    pub includes_wal: bool,
    /// The size of the cluster's segments.
    pub wal_segment_size: WalSegmentSize,
}

impl BaseBackupSpan {
    /// A backup that brings no WAL, of a cluster with segments of 16 MiB.
    #[must_use]
    pub fn new(
        id: BackupId,
        timeline: Timeline,
        start: Lsn,
        end: Lsn,
        consistent_at: Timestamp,
    ) -> Self {
        Self {
            id,
            timeline,
            start,
            end,
            consistent_at,
            includes_wal: false,
            wal_segment_size: WalSegmentSize::DEFAULT,
        }
    }

    /// Sets whether the backup brings its WAL itself.
    #[must_use]
    pub fn with_included_wal(mut self, includes_wal: bool) -> Self {
        self.includes_wal = includes_wal;
        self
    }
    /// Sets the size of the cluster's segments.
    #[must_use]
    pub fn with_wal_segment_size(mut self, size: WalSegmentSize) -> Self {
        self.wal_segment_size = size;
        self
    }

    pub(crate) fn of(manifest: &Manifest, info: &PhysicalInfo) -> Self {
        Self {
            id: manifest.id.clone(),
            timeline: info.end_timeline,
            start: info.start_lsn,
            end: info.end_lsn,
            consistent_at: manifest.completed_at,
            includes_wal: info.wal == WalMethod::Included,
            wal_segment_size: info.wal_segment_size,
        }
    }

    /// The first position that archived WAL is needed from: the start of a segment.
    pub(crate) fn first_needed(&self) -> Lsn {
        let size = self.wal_segment_size;
        if self.includes_wal {
            self.end.segment_of_end(self.timeline, size).end(size)
        } else {
            self.start.segment_start(size)
        }
    }
}

/// A stretch of a timeline that can be recovered to at any point.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RecoverableWindow {
    /// The cluster; `None` where the caller did not say.
    pub system_id: Option<SystemId>,
    /// The timeline to recover along (`recovery_target_timeline`).
    pub timeline: Timeline,
    /// The first position that can be recovered to.
    pub from: Lsn,
    /// The position after the last byte that can be replayed.
    pub to: Lsn,
    /// When `from` was.
    pub from_time: Timestamp,
    /// The newest commit before `to`, where one is known; at least `from_time`.
    pub to_time: Timestamp,
    /// The backups from which positions in the window are reached, by where they are
    /// consistent. A position is reached from those that are consistent at or before it.
    pub backups: Vec<BackupId>,
}

/// Works out what can be recovered from base backups and WAL. Pure: the same input gives
/// the same answer.
///
/// A window belongs to the timeline that recovery goes along, which begins with what it
/// shares with the timelines before it. It ends where restoring ends: at the first byte that is
/// missing, or at a segment whose file is. A window
/// that lies within another one, which goes on along a later timeline, is left out: what it
/// offers, the other one does too.
#[must_use]
pub fn plan_windows(backups: &[BaseBackupSpan], coverage: &Coverage) -> Vec<RecoverableWindow> {
    let mut timelines: Vec<Timeline> = coverage
        .runs
        .iter()
        .map(|run| run.timeline)
        .chain(coverage.histories.iter().map(TimelineHistory::timeline))
        .chain(backups.iter().map(|backup| backup.timeline))
        .collect();
    timelines.sort_unstable();
    timelines.dedup();
    let histories: Vec<TimelineHistory> = timelines
        .into_iter()
        .filter_map(|timeline| history_of(timeline, &coverage.histories))
        .collect();
    let all: Vec<_> = histories
        .iter()
        .flat_map(|history| windows_along(history, backups, coverage))
        .collect();
    all.iter()
        .filter(|window| {
            !all.iter()
                .any(|other| supersedes(other, window, &histories))
        })
        .cloned()
        .collect()
}

/// A timeline whose history is missing cannot be recovered along.
pub(crate) fn history_of(
    timeline: Timeline,
    histories: &[TimelineHistory],
) -> Option<TimelineHistory> {
    if timeline == Timeline::FIRST {
        return Some(TimelineHistory::initial());
    }
    let mut histories = histories.iter();
    histories.find(|it| it.timeline() == timeline).cloned()
}

fn windows_along(
    history: &TimelineHistory,
    backups: &[BaseBackupSpan],
    coverage: &Coverage,
) -> Vec<RecoverableWindow> {
    let mut usable: Vec<(&BaseBackupSpan, Reach)> = backups
        .iter()
        .filter_map(|backup| Some((backup, reach(backup, coverage, history)?)))
        .collect();
    usable.sort_by_key(|(backup, _)| (backup.end, backup.start));
    let mut windows: Vec<RecoverableWindow> = Vec::new();
    for (backup, reach) in usable {
        let same = windows.iter_mut().find(|window| window.to == reach.end);
        if let Some(window) = same {
            window.backups.push(backup.id.clone());
            continue;
        }
        let newest = reach.newest_commit;
        windows.push(RecoverableWindow {
            system_id: None,
            timeline: history.timeline(),
            from: backup.end,
            to: reach.end,
            from_time: backup.consistent_at,
            to_time: newest.map_or(backup.consistent_at, |it| it.max(backup.consistent_at)),
            backups: vec![backup.id.clone()],
        });
    }
    windows
}

/// Whether another window offers all that a window does, and goes on along a later timeline.
fn supersedes(
    other: &RecoverableWindow,
    window: &RecoverableWindow,
    histories: &[TimelineHistory],
) -> bool {
    let descends = || {
        let history = histories.iter().find(|it| it.timeline() == other.timeline);
        history.is_some_and(|it| it.continues(window.timeline, window.to))
    };
    other.timeline > window.timeline
        && other.from <= window.from
        && window.to <= other.to
        && descends()
}

#[cfg(test)]
mod tests;
