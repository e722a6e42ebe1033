//! What can be recovered, worked out from what is stored.

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, SystemId, Timeline, TimelineHistory};

use super::{Coverage, WalRun};
use crate::repository::BackupId;

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
    /// Whether the backup brings the WAL from `start` to `end` itself.
    pub includes_wal: bool,
}

impl BaseBackupSpan {
    /// A backup that brings no WAL.
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
        }
    }

    /// Sets whether the backup brings its WAL itself.
    #[must_use]
    pub fn with_included_wal(mut self, includes_wal: bool) -> Self {
        self.includes_wal = includes_wal;
        self
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
/// shares with the timelines before it. It ends at the first byte that is missing. A window
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
        .filter_map(|timeline| history_of(timeline, coverage))
        .collect();
    let all: Vec<_> = histories
        .iter()
        .flat_map(|history| windows_along(history, backups, &coverage.runs))
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
fn history_of(timeline: Timeline, coverage: &Coverage) -> Option<TimelineHistory> {
    if timeline == Timeline::FIRST {
        return Some(TimelineHistory::initial());
    }
    let mut histories = coverage.histories.iter();
    histories.find(|it| it.timeline() == timeline).cloned()
}

/// Stretches that recovery along a history can read without a hole.
fn stretches(history: &TimelineHistory, runs: &[WalRun]) -> Vec<WalRun> {
    let mut pieces: Vec<WalRun> = Vec::new();
    for (timeline, _, left) in history.ranges() {
        for run in runs.iter().filter(|run| run.timeline == timeline) {
            // A segment in which a timeline begins starts with a copy of what came before,
            // so that a run counts from its own start, not from where the timeline begins.
            let end = left.map_or(run.end, |left| run.end.min(left));
            if run.start < end {
                let mut piece = run.clone();
                piece.end = end;
                // The newest commit of a run that goes on past the switch is not on this way.
                piece.newest_commit = run.newest_commit.filter(|_| end == run.end);
                pieces.push(piece);
            }
        }
    }
    pieces.sort_by_key(|piece| piece.start);
    let mut merged: Vec<WalRun> = Vec::new();
    for piece in pieces {
        match merged.last_mut() {
            Some(last) if piece.start <= last.end => {
                if piece.end >= last.end {
                    last.newest_commit = piece.newest_commit.or(last.newest_commit);
                }
                last.end = last.end.max(piece.end);
            }
            _ => merged.push(piece),
        }
    }
    merged
}

fn windows_along(
    history: &TimelineHistory,
    backups: &[BaseBackupSpan],
    runs: &[WalRun],
) -> Vec<RecoverableWindow> {
    let stretches = stretches(history, runs);
    let mut usable: Vec<&BaseBackupSpan> = backups
        .iter()
        .filter(|backup| history.continues(backup.timeline, backup.end))
        .collect();
    usable.sort_by_key(|backup| (backup.end, backup.start));
    let mut windows: Vec<RecoverableWindow> = Vec::new();
    for backup in usable {
        let reach = stretches.iter().find(|run| {
            let first = if backup.includes_wal {
                backup.end
            } else {
                backup.start
            };
            run.start <= first && backup.end <= run.end
        });
        let (to, newest) = match reach {
            Some(run) => (run.end, run.newest_commit),
            None if backup.includes_wal => (backup.end, None),
            None => continue,
        };
        if let Some(window) = windows
            .iter_mut()
            .find(|window| window.to == to && reach.is_some())
        {
            window.backups.push(backup.id.clone());
            continue;
        }
        windows.push(RecoverableWindow {
            system_id: None,
            timeline: history.timeline(),
            from: backup.end,
            to,
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
