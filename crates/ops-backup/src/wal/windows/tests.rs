//! The planner against a model that asks about each position by itself.

use proptest::prelude::*;

use super::*;
use crate::wal::WalRun;

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

fn id(number: u8) -> BackupId {
    format!("20260101T000000Z-000000{number:02x}")
        .parse()
        .unwrap()
}

/// Positions here are in quarters of a segment.
fn lsn(quarters: u64) -> Lsn {
    Lsn::new(quarters << 18)
}

fn quarters(lsn: Lsn) -> u64 {
    lsn.as_u64() >> 18
}

fn backup(number: u8, on: u32, start: u64, end: u64) -> BaseBackupSpan {
    let at = Timestamp::from_unix_seconds(i64::try_from(end).unwrap()).unwrap();
    BaseBackupSpan::new(id(number), timeline(on), lsn(start), lsn(end), at)
        .with_wal_segment_size(WalSegmentSize::new(1 << 20).unwrap())
}

/// Archived WAL begins with a segment.
fn run(on: u32, start: u64, end: u64) -> WalRun {
    WalRun::new(timeline(on), lsn(start / 4 * 4), lsn(end))
}

/// The history of a timeline that left others where told.
fn history(of: u32, left: &[(u32, u64)]) -> TimelineHistory {
    let lines: Vec<String> = left
        .iter()
        .map(|(timeline, at)| format!("{timeline}\t{}\twhy\n", lsn(*at)))
        .collect();
    TimelineHistory::parse(timeline(of), lines.concat().into()).unwrap()
}

fn plan(
    backups: &[BaseBackupSpan],
    runs: Vec<WalRun>,
    histories: Vec<TimelineHistory>,
) -> Vec<(u32, u64, u64, usize)> {
    plan_windows(backups, &Coverage::new(runs, histories))
        .into_iter()
        .map(|it| {
            let (from, to) = (quarters(it.from), quarters(it.to));
            (it.timeline.get(), from, to, it.backups.len())
        })
        .collect()
}

#[test]
fn a_window_begins_where_a_backup_is_consistent_and_ends_at_the_first_hole() {
    let backups = [
        backup(1, 1, 10, 20),
        backup(2, 1, 50, 60),
        backup(3, 1, 75, 78),
    ];
    let runs = vec![run(1, 0, 70), run(1, 80, 90)];
    assert_eq!(plan(&backups, runs, vec![]), [(1, 20, 70, 2)]);
}

#[test]
fn a_backup_that_brings_its_wal_can_be_recovered_without_the_archive() {
    let backups = [backup(1, 1, 10, 20).with_included_wal(true)];
    assert_eq!(plan(&backups, vec![], vec![]), [(1, 20, 20, 1)]);
    let without = [backup(1, 1, 10, 20)];
    assert_eq!(plan(&without, vec![], vec![]), []);
    assert_eq!(
        plan(&backups, vec![run(1, 16, 40)], vec![]),
        [(1, 20, 40, 1)]
    );
}

#[test]
fn a_promotion_is_followed_and_what_the_old_primary_wrote_afterwards_is_a_window_of_its_own() {
    let backups = [backup(1, 1, 10, 20)];
    let histories = || vec![history(2, &[(1, 37)])];
    // The first segment of the new timeline begins with a copy of the old one's.
    let followed = vec![run(1, 0, 37), run(2, 32, 90)];
    assert_eq!(plan(&backups, followed, histories()), [(2, 20, 90, 1)]);
    let forked = vec![run(1, 0, 60), run(2, 32, 90)];
    assert_eq!(
        plan(&backups, forked, histories()),
        [(1, 20, 60, 1), (2, 20, 90, 1)]
    );
    let torn = vec![run(1, 0, 30), run(2, 32, 90)];
    assert_eq!(plan(&backups, torn, histories()), [(2, 20, 30, 1)]);
}

#[test]
fn what_a_timeline_wrote_in_the_segment_in_which_it_was_left_is_not_promised_on_the_next_one() {
    let backups = [backup(1, 1, 10, 20)];
    let left = vec![history(2, &[(1, 39)])];
    // Recovery along timeline 2 asks for its file of that segment, which is not there.
    assert_eq!(
        plan(&backups, vec![run(1, 0, 39)], left),
        [(1, 20, 39, 1), (2, 20, 36, 1)]
    );
}

#[test]
fn a_window_goes_on_where_the_archive_begins_with_the_segment_after_the_backups_last() {
    let backups = [backup(1, 1, 10, 21).with_included_wal(true)];
    let next = vec![run(1, 24, 50)];
    assert_eq!(plan(&backups, next, vec![]), [(1, 21, 50, 1)]);
    let later = vec![run(1, 28, 50)];
    assert_eq!(plan(&backups, later, vec![]), [(1, 21, 21, 1)]);
    // A backup that ends with a segment needs nothing of the next one.
    let backups = [backup(1, 1, 10, 20).with_included_wal(true)];
    let next = vec![run(1, 20, 50)];
    assert_eq!(plan(&backups, next, vec![]), [(1, 20, 50, 1)]);
    // The archive has a part of the backup's last segment, and nothing of what follows.
    let backups = [backup(1, 1, 10, 21).with_included_wal(true)];
    let part = vec![run(1, 20, 23)];
    assert_eq!(plan(&backups, part, vec![]), [(1, 21, 23, 1)]);
}

#[test]
fn backups_are_told_of_by_position_in_whatever_order_they_come() {
    let mut backups = [
        backup(9, 1, 10, 20),
        backup(1, 1, 30, 40),
        backup(5, 1, 22, 25),
    ];
    for _ in 0..3 {
        backups.rotate_left(1);
        let coverage = Coverage::new(vec![run(1, 0, 50)], vec![]);
        let windows = plan_windows(&backups, &coverage);
        assert_eq!(windows[0].backups, [id(9), id(5), id(1)]);
        assert_eq!(windows[0].from, lsn(20));
    }
}

#[test]
fn a_backup_of_an_abandoned_end_is_of_no_use_on_the_timeline_that_left_before() {
    let backups = [backup(1, 1, 40, 50)];
    let runs = vec![run(1, 0, 60), run(2, 32, 90)];
    let found = plan(&backups, runs, vec![history(2, &[(1, 37)])]);
    assert_eq!(found, [(1, 50, 60, 1)]);
}

#[test]
fn a_timeline_whose_history_is_missing_is_not_promised() {
    let backups = [backup(1, 2, 40, 50)];
    assert_eq!(plan(&backups, vec![run(2, 0, 90)], vec![]), []);
}

/// Whether recovery along a history reaches a position, quarter by quarter: each must be in
/// an archived file of the timeline that the history has for its segment.
fn reaches(
    history: &TimelineHistory,
    backups: &[BaseBackupSpan],
    runs: &[WalRun],
    to: u64,
) -> bool {
    let is_there = |position: u64| {
        let mut left: Vec<_> = history.ranges().collect();
        left.retain(|(_, _, left)| left.is_none_or(|left| position / 4 < quarters(left) / 4));
        let (timeline, ..) = left[0];
        runs.iter().any(|run| {
            run.timeline == timeline && (quarters(run.start)..quarters(run.end)).contains(&position)
        })
    };
    backups.iter().any(|backup| {
        let (start, end) = (quarters(backup.start), quarters(backup.end));
        let last = end.div_ceil(4) * 4;
        let ways = if !backup.includes_wal {
            vec![start / 4 * 4..to.max(end)]
        } else if to == end {
            vec![0..0]
        } else {
            vec![last - 4..to, last..to.max(last + 1)]
        };
        history.continues(backup.timeline, backup.end)
            && end <= to
            && ways.into_iter().any(|mut way| way.all(is_there))
    })
}

prop_compose! {
    fn runs()(runs in proptest::collection::vec((1_u32..=3, 0_u64..60, 1_u64..30), 0..6)) -> Vec<WalRun> {
        runs.into_iter().map(|(on, start, len)| run(on, start, start + len)).collect()
    }
}

prop_compose! {
    fn backups()(
        backups in proptest::collection::vec((1_u32..=3, 0_u64..60, 1_u64..15, any::<bool>()), 0..4)
    ) -> Vec<BaseBackupSpan> {
        (0..).zip(backups)
            .map(|(number, (on, start, len, included))| {
                backup(number, on, start, start + len).with_included_wal(included)
            })
            .collect()
    }
}

proptest! {
    #[test]
    fn exactly_what_can_be_recovered_is_in_a_window(
        runs in runs(), backups in backups(), first in 0_u64..60, second in 0_u64..60, straight: bool,
    ) {
        let second_history = history(2, &[(1, first)]);
        let third_history = if straight {
            history(3, &[(1, first), (2, first.max(second))])
        } else {
            history(3, &[(1, second)])
        };
        let histories = [TimelineHistory::initial(), second_history, third_history];
        let coverage = Coverage::new(runs.clone(), histories[1..].to_vec());
        let windows = plan_windows(&backups, &coverage);
        for window in &windows {
            let history = &histories[window.timeline.get() as usize - 1];
            for to in quarters(window.from)..=quarters(window.to) {
                prop_assert!(reaches(history, &backups, &runs, to), "{window:?} at {to}");
            }
        }
        for history in &histories {
            for to in 0..100 {
                let promised = windows.iter().any(|window| {
                    let way = &histories[window.timeline.get() as usize - 1];
                    way.continues(history.timeline(), lsn(to))
                        && (quarters(window.from)..=quarters(window.to)).contains(&to)
                });
                if reaches(history, &backups, &runs, to) {
                    prop_assert!(promised, "timeline {} at {to}", history.timeline());
                }
            }
        }
    }
}
