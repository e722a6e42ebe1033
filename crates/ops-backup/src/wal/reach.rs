//! How far recovery of a backup leads.

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, TimelineHistory, WalSegmentSize};

use super::{BaseBackupSpan, Coverage};

/// How far recovery of a backup leads along a line of timelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The position after the last byte of WAL that there is.
    pub(crate) end: Lsn,
    /// The newest commit before it, where one is known.
    pub(crate) newest_commit: Option<Timestamp>,
}

/// How far WAL without a hole leads from a backup along a line. `None` where the backup is
/// not on it, or lacks WAL that it needs to be consistent.
///
/// Recovery asks for whole files, by name, and for one that the line is on in that segment:
/// what a timeline wrote in the segment in which it was left is in the next one's file.
pub(crate) fn reach(
    backup: &BaseBackupSpan,
    coverage: &Coverage,
    history: &TimelineHistory,
) -> Option<Reach> {
    if !history.continues(backup.timeline, backup.end) {
        return None;
    }
    let size = backup.wal_segment_size;
    let mut reach = Reach {
        end: Lsn::INVALID,
        newest_commit: None,
    };
    if backup.includes_wal {
        reach.end = backup.end;
        // The archive may have the last segment of the backup, which says more of its commits.
        let last = backup.end.segment_of_end(backup.timeline, size);
        walk(&mut reach, coverage, history, last.start(size), size);
    }
    walk(&mut reach, coverage, history, backup.first_needed(), size);
    (reach.end >= backup.end).then_some(reach)
}

/// Goes along archived WAL from the start of a segment to where it ends.
fn walk(
    reach: &mut Reach,
    coverage: &Coverage,
    history: &TimelineHistory,
    mut position: Lsn,
    size: WalSegmentSize,
) {
    while let Some((end, newest)) = run_of(coverage, history, position, size) {
        if end > reach.end {
            reach.newest_commit = newest.or(reach.newest_commit);
            reach.end = end;
        }
        position = end;
    }
}

/// Up to where the WAL goes on from a position, in one run and on one timeline of the line;
/// and the newest commit in it.
fn run_of(
    coverage: &Coverage,
    history: &TimelineHistory,
    position: Lsn,
    size: WalSegmentSize,
) -> Option<(Lsn, Option<Timestamp>)> {
    let name = history.segment(position.segment_number(size), size);
    let run = coverage.runs.iter().find(|run| {
        run.timeline == name.timeline() && run.start <= position && position < run.end
    })?;
    // From the segment in which the line leaves this timeline on, files are of the next one.
    let left = history.switch_point(name.timeline());
    match left.map(|switch| switch.segment_start(size)) {
        Some(left) if left < run.end => (position < left).then_some((left, None)),
        _ => Some((run.end, run.newest_commit)),
    }
}
