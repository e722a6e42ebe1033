//! Where to go on.

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, SegmentName, Timeline, TimelineHistory, WalSegmentSize};

use super::super::gap::{GapReason, GapRecord};
use super::super::{Frontier, WalArchive};
use crate::error::Result;

/// Where the archived WAL ends along the history of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResumePoint {
    /// The timeline to stream.
    pub(crate) timeline: Timeline,
    /// The first position that is not archived.
    pub(crate) position: Lsn,
    /// The newest commit that is archived.
    pub(crate) newest_commit: Option<Timestamp>,
}

impl ResumePoint {
    pub(crate) fn segment(&self, size: WalSegmentSize) -> SegmentName {
        self.position.segment(self.timeline, size)
    }
}

/// Where to go on along a history; `None` where nothing of it is archived.
///
/// The frontier of the newest timeline of the history that anything is archived of. Where
/// that timeline was left before the frontier, everything of it that belongs to the history
/// is archived, and the next timeline begins. Never where a slot happens to stand.
pub(crate) async fn resume_point(
    archive: &WalArchive,
    history: &TimelineHistory,
) -> Result<Option<ResumePoint>> {
    let ranges: Vec<_> = history.ranges().collect();
    let mut next = None;
    for (timeline, _, left) in ranges.into_iter().rev() {
        if let Some(frontier) = archive.frontier(timeline).await? {
            return Ok(Some(after(&frontier, left, next)));
        }
        next = Some(timeline);
    }
    Ok(None)
}

/// Where to go on after the frontier of a timeline that was left at a position for another.
fn after(frontier: &Frontier, left: Option<Lsn>, next: Option<Timeline>) -> ResumePoint {
    let (timeline, position) = match (left, next) {
        (Some(left), Some(next)) if frontier.end >= left => (next, left),
        _ => (frontier.timeline, frontier.end),
    };
    ResumePoint {
        timeline,
        position,
        newest_commit: frontier.newest_commit,
    }
}

/// The gaps on each timeline of a history where the WAL from one position to another is lost.
pub(crate) fn gaps_between(
    history: &TimelineHistory,
    from: Lsn,
    to: Lsn,
    reason: GapReason,
    found_at: Timestamp,
) -> Vec<GapRecord> {
    history
        .ranges()
        .filter_map(|(timeline, begin, left)| {
            let from = from.max(begin);
            let to = left.map_or(to, |left| to.min(left));
            (from < to).then(|| GapRecord::new(timeline, from, to, reason, found_at))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 16 << 20;

    fn timeline(number: u32) -> Timeline {
        Timeline::new(number).unwrap()
    }

    fn frontier(on: u32, end: u64) -> Frontier {
        Frontier {
            timeline: timeline(on),
            end: Lsn::new(end),
            whole_end: Lsn::new(end - end % SIZE),
            newest_commit: None,
        }
    }

    fn next(frontier: &Frontier, left: Option<u64>, next: Option<u32>) -> (u32, u64) {
        let point = after(frontier, left.map(Lsn::new), next.map(timeline));
        (point.timeline.get(), point.position.as_u64())
    }

    #[test]
    fn a_timeline_is_read_to_where_it_was_left_before_the_next_one_is_begun() {
        assert_eq!(next(&frontier(1, 70), None, None), (1, 70));
        assert_eq!(next(&frontier(1, 70), Some(80), Some(2)), (1, 70));
        assert_eq!(next(&frontier(1, 80), Some(80), Some(2)), (2, 80));
        // The old primary wrote on after the new one was promoted.
        assert_eq!(next(&frontier(1, 90), Some(80), Some(2)), (2, 80));
    }

    #[test]
    fn a_gap_across_a_switch_is_one_on_each_timeline() {
        let text = "1\t0/100\twhy\n2\t0/200\twhy\n";
        let history = TimelineHistory::parse(timeline(3), text.into()).unwrap();
        let gaps = |from, to| -> Vec<_> {
            let (from, to) = (Lsn::new(from), Lsn::new(to));
            let found_at = Timestamp::UNIX_EPOCH;
            gaps_between(&history, from, to, GapReason::SlotLost, found_at)
                .iter()
                .map(|gap| (gap.timeline.get(), gap.from.as_u64(), gap.to.as_u64()))
                .collect()
        };
        assert_eq!(gaps(0x50, 0x60), [(1, 0x50, 0x60)]);
        assert_eq!(
            gaps(0x50, 0x250),
            [(1, 0x50, 0x100), (2, 0x100, 0x200), (3, 0x200, 0x250)]
        );
        assert_eq!(gaps(0x250, 0x250), []);
        assert_eq!(gaps(0x250, 0x50), []);
    }
}
