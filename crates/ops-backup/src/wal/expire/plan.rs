//! What to keep, and why. Pure: the same input gives the same answer.

use std::collections::BTreeSet;

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, Timeline, TimelineHistory, WalSegmentSize};

use super::super::pin::Body as PinBody;
use super::super::{BaseBackupSpan, WalRun, history_of};
use super::{KeepReason, KeptWal, WalExpiryPlan};
use crate::physical::WalRange;

/// A base backup that is kept.
#[derive(Clone, Debug)]
pub(crate) struct KeptBase {
    pub(crate) span: BaseBackupSpan,
    /// Whether every object of it and of all that it builds upon is there, and none of its
    /// pages is damaged. What is not sound is no reason to let go of older WAL.
    pub(crate) sound: bool,
}

/// What an archive and the catalogue hold.
#[derive(Debug)]
pub(crate) struct Stock<'a> {
    /// The WAL that is there by the names of objects.
    pub(crate) runs: &'a [WalRun],
    pub(crate) histories: &'a [TimelineHistory],
    pub(crate) bases: &'a [KeptBase],
    pub(crate) size: WalSegmentSize,
    pub(crate) cutoff: Timestamp,
    /// When the oldest backup began that is being made.
    pub(crate) in_progress_since: Option<Timestamp>,
    /// Timelines that were left, and whose newest WAL was stored before the cutoff: no moment
    /// within the window lies on them.
    pub(crate) abandoned: &'a BTreeSet<Timeline>,
    /// The pins of restores that run, by their names.
    pub(crate) pins: &'a [(String, PinBody)],
}

impl Stock<'_> {
    pub(crate) fn plan(&self) -> WalExpiryPlan {
        let mut keep = self.for_backups();
        for timeline in self.lines() {
            keep.extend(self.along(timeline));
        }
        keep.extend(self.frontier());
        for (pin, body) in self.pins {
            let reason = KeepReason::Restore { pin: pin.clone() };
            keep.extend(self.line_from(body.timeline, body.from, &reason));
        }
        let mut keep: Vec<KeptWal> = keep.into_iter().flat_map(|it| self.clip(&it)).collect();
        keep.sort();
        keep.dedup();
        let ranges: Vec<WalRange> = keep.iter().map(|it| it.range).collect();
        let expire = self.runs.iter().map(|run| self.whole(run));
        WalExpiryPlan {
            cutoff: Some(self.cutoff),
            expire: expire.flat_map(|run| without(run, &ranges)).collect(),
            keep,
        }
    }

    /// The timelines that somebody may want to recover along: those that WAL is archived of,
    /// and the newest of all.
    fn lines(&self) -> BTreeSet<Timeline> {
        let of_runs = self.runs.iter().map(|run| run.timeline);
        let mut lines: BTreeSet<Timeline> = of_runs.collect();
        let of_histories = self.histories.iter().map(TimelineHistory::timeline);
        let of_bases = self.bases.iter().map(|base| base.span.timeline);
        lines.extend(of_histories.chain(of_bases).max());
        &lines - self.abandoned
    }

    /// What recovery along a timeline needs.
    fn along(&self, timeline: Timeline) -> Vec<KeptWal> {
        let Some(history) = history_of(timeline, self.histories) else {
            return self.line_from(timeline, Lsn::INVALID, &KeepReason::HistoryMissing);
        };
        let (from, reason) = match self.anchor(&history) {
            Ok(base) => {
                let backup = base.span.id.clone();
                (base.span.start, KeepReason::Window { backup })
            }
            Err(reason) => (Lsn::INVALID, reason),
        };
        self.line_from(timeline, from, &reason)
    }

    /// All of a line from a position on: of the timeline and of those that it came from. Where
    /// its history is missing, all that there is of it.
    fn line_from(&self, timeline: Timeline, from: Lsn, reason: &KeepReason) -> Vec<KeptWal> {
        let Some(history) = history_of(timeline, self.histories) else {
            let all = WalRange::new(timeline, Lsn::INVALID, Lsn::MAX);
            return vec![kept(all, reason.clone())];
        };
        let from = from.segment_start(self.size);
        let needed = history.ranges().filter_map(|(timeline, _, left)| {
            let to = left.map_or(Lsn::MAX, |left| self.round_up(left));
            (from < to).then(|| kept(WalRange::new(timeline, from, to), reason.clone()))
        });
        needed.collect()
    }

    /// The backup that recovery along a line to any moment of the window can begin from: the
    /// newest that is old enough, else the oldest.
    fn anchor(&self, line: &TimelineHistory) -> Result<&KeptBase, KeepReason> {
        let on_line =
            |base: &&KeptBase| base.sound && line.continues(base.span.timeline, base.span.end);
        let mut bases: Vec<&KeptBase> = self.bases.iter().filter(on_line).collect();
        bases.sort_by_key(|base| (base.span.end, base.span.start));
        if bases.is_empty() {
            return Err(KeepReason::NoBackup);
        }
        let mut latest: Option<Timestamp> = None;
        let timed: Vec<_> = bases
            .into_iter()
            .map(|base| {
                // A clock that was set back must not make a later backup an older one.
                let at = latest.max(Some(base.span.consistent_at));
                latest = at;
                (at, base)
            })
            .collect();
        let may_serve = |at: Option<Timestamp>| {
            // A backup that is being made began after all that were complete by then.
            self.in_progress_since.is_none_or(|since| at <= Some(since))
        };
        let old = timed
            .iter()
            .rev()
            .find(|(at, _)| *at <= Some(self.cutoff) && may_serve(*at));
        let oldest = || timed.first().filter(|(at, _)| may_serve(*at));
        old.or_else(oldest)
            .map(|(_, base)| *base)
            .ok_or(KeepReason::InProgress)
    }

    /// What backups need to be consistent, however old they are: on every timeline, since one
    /// of a standby may have followed a promotion.
    fn for_backups(&self) -> Vec<KeptWal> {
        let bare = self.bases.iter().filter(|base| !base.span.includes_wal);
        let needed = bare.flat_map(|base| {
            let span = &base.span;
            let from = span.start.segment_start(self.size);
            let to = self.round_up(span.end);
            self.runs.iter().map(move |run| {
                let backup = span.id.clone();
                let range = WalRange::new(run.timeline, from, to);
                kept(range, KeepReason::Backup { backup })
            })
        });
        needed.collect()
    }

    /// The last segment of the newest timeline: an archiver goes on where the archive ends.
    fn frontier(&self) -> Option<KeptWal> {
        let last = self.runs.iter().max_by_key(|run| (run.timeline, run.end))?;
        let end = self.round_up(last.end);
        let from = end.checked_sub(self.size.bytes())?;
        let range = WalRange::new(last.timeline, from, end);
        Some(kept(range, KeepReason::Frontier))
    }

    /// The part of what is kept that there is.
    fn clip(&self, kept: &KeptWal) -> Vec<KeptWal> {
        let runs = self.runs.iter().map(|run| self.whole(run));
        let there = runs.filter(|run| run.timeline == kept.range.timeline);
        let clipped = there.filter_map(|run| {
            let (from, to) = (run.start.max(kept.range.start), run.end.min(kept.range.end));
            (from < to).then(|| KeptWal {
                range: WalRange::new(run.timeline, from, to),
                reason: kept.reason.clone(),
            })
        });
        clipped.collect()
    }

    /// A run up to the end of its last segment.
    fn whole(&self, run: &WalRun) -> WalRange {
        WalRange::new(run.timeline, run.start, self.round_up(run.end))
    }

    fn round_up(&self, position: Lsn) -> Lsn {
        let start = position.segment_start(self.size);
        if start == position {
            position
        } else {
            start.saturating_add(self.size.bytes())
        }
    }
}

fn kept(range: WalRange, reason: KeepReason) -> KeptWal {
    KeptWal { range, reason }
}

/// What is left of a range without others.
pub(crate) fn without(range: WalRange, others: &[WalRange]) -> Vec<WalRange> {
    let mut left = vec![range];
    for other in others.iter().filter(|it| it.timeline == range.timeline) {
        let cut = |piece: WalRange| {
            let before = (piece.start, piece.end.min(other.start));
            let after = (piece.start.max(other.end), piece.end);
            let sides = [before, after].into_iter().filter(|(from, to)| from < to);
            sides.map(move |(from, to)| WalRange::new(piece.timeline, from, to))
        };
        left = left.into_iter().flat_map(cut).collect();
    }
    left
}

/// Whether two ranges share anything.
pub(crate) fn overlap(one: &WalRange, other: &WalRange) -> bool {
    one.timeline == other.timeline && one.start < other.end && other.start < one.end
}
