//! The planner against what can be recovered before and after.

use std::collections::BTreeSet;

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, Timeline, TimelineHistory, WalSegmentSize};
use proptest::prelude::*;

use super::super::plan::{KeptBase, Stock, without};
use crate::physical::WalRange;
use crate::wal::{BaseBackupSpan, Coverage, WalRun, reach};

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

/// Positions are in quarters of a segment.
fn lsn(quarters: u64) -> Lsn {
    Lsn::new(quarters << 18)
}

fn size() -> WalSegmentSize {
    WalSegmentSize::new(1 << 20).unwrap()
}

fn history(of: u32, parent: u32, at: u64) -> TimelineHistory {
    let text = format!("{parent}\t{}\twhy\n", lsn(at));
    TimelineHistory::parse(timeline(of), text.into()).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap()).unwrap()
}

prop_compose! {
    /// Runs of whole segments that do not overlap.
    fn runs()(lengths in proptest::collection::vec((0_u64..3, 1_u64..6), 0..4), on in 1_u32..=2) -> Vec<WalRun> {
        let mut at = 0;
        lengths.into_iter().map(|(hole, len)| {
            let start = at + hole;
            at = start + len;
            WalRun::new(timeline(on), lsn(start * 4), lsn(at * 4))
        }).collect()
    }
}

prop_compose! {
    fn base()(
        number: u8, on in 1_u32..=2, start in 0_u64..60, len in 1_u64..8, included: bool,
        sound in proptest::bool::weighted(0.8),
    ) -> KeptBase {
        let id = format!("20260101T000000Z-000000{number:02x}").parse().unwrap();
        let (first, end) = (lsn(start), lsn(start + len));
        // The clock and the WAL go on together.
        let span = BaseBackupSpan::new(id, timeline(on), first, end, at(start + len))
            .with_wal_segment_size(size())
            .with_included_wal(included);
        KeptBase { span, sound }
    }
}

proptest! {
    #[test]
    fn every_moment_within_the_window_and_the_end_of_every_backup_stay_recoverable(
        first in runs(), second in runs(), bases in proptest::collection::vec(base(), 0..5),
        left in 0_u64..40, cutoff in 0_u64..70,
    ) {
        let mut runs: Vec<WalRun> = first.into_iter().filter(|it| it.timeline == timeline(1)).collect();
        runs.extend(second.into_iter().filter(|it| it.timeline == timeline(2)));
        let histories = vec![history(2, 1, left)];
        let stock = Stock {
            runs: &runs,
            histories: &histories,
            bases: &bases,
            size: size(),
            cutoff: at(cutoff),
            in_progress_since: None,
            abandoned: &BTreeSet::new(),
            pins: &[],
        };
        let plan = stock.plan();
        let pieces = |run: &WalRun| without(WalRange::new(run.timeline, run.start, run.end), &plan.expire);
        let kept: Vec<WalRun> = runs.iter().flat_map(pieces)
            .map(|it| WalRun::new(it.timeline, it.start, it.end)).collect();
        let before = Coverage::new(runs.clone(), histories.clone());
        let after = Coverage::new(kept, histories.clone());
        for line in [TimelineHistory::initial(), histories[0].clone()] {
            // What a restore to a moment within the window begins from: the newest sound
            // backup before that moment.
            let on_line: Vec<_> = bases.iter()
                .filter(|it| it.sound && line.continues(it.span.timeline, it.span.end)).collect();
            let at_cutoff = on_line.iter().filter(|it| it.span.consistent_at <= at(cutoff))
                .map(|it| it.span.end).max();
            for base in &bases {
                let (was, is) = (reach(&base.span, &before, &line), reach(&base.span, &after, &line));
                prop_assert_eq!(was.is_some(), is.is_some(), "{:?} is lost: {:?}", base, plan);
                let in_window = base.sound && at_cutoff.is_none_or(|end| base.span.end >= end);
                let is_wanted = runs.iter().any(|run| run.timeline == line.timeline());
                if in_window && is_wanted {
                    prop_assert_eq!(was, is, "{:?} leads less far: {:?}", base, plan);
                }
            }
        }
    }
}
