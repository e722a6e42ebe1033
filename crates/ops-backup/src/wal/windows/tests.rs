//! The planner against a model that asks about each position by itself.

use proptest::prelude::*;

use super::*;

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

fn id(number: u8) -> BackupId {
    format!("20260101T000000Z-000000{number:02x}")
        .parse()
        .unwrap()
}

fn backup(number: u8, on: u32, start: u64, end: u64) -> BaseBackupSpan {
    let at = Timestamp::from_unix_seconds(i64::try_from(end).unwrap()).unwrap();
    BaseBackupSpan::new(id(number), timeline(on), Lsn::new(start), Lsn::new(end), at)
}

fn run(on: u32, start: u64, end: u64) -> WalRun {
    WalRun::new(timeline(on), Lsn::new(start), Lsn::new(end))
}

/// The history of a timeline that left others where told.
fn history(of: u32, left: &[(u32, u64)]) -> TimelineHistory {
    let lines: Vec<String> = left
        .iter()
        .map(|(timeline, at)| format!("{timeline}\t{}\twhy\n", Lsn::new(*at)))
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
            let (from, to) = (it.from.as_u64(), it.to.as_u64());
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

/// Whether recovery along a history reaches a position, byte by byte.
fn reaches(
    history: &TimelineHistory,
    backups: &[BaseBackupSpan],
    runs: &[WalRun],
    to: u64,
) -> bool {
    let is_there = |position: u64| {
        history.ranges().any(|(timeline, _, left)| {
            let left = left.map_or(u64::MAX, Lsn::as_u64);
            runs.iter().any(|run| {
                run.timeline == timeline
                    && (run.start.as_u64()..run.end.as_u64().min(left)).contains(&position)
            })
        })
    };
    backups.iter().any(|backup| {
        let first = if backup.includes_wal {
            backup.end
        } else {
            backup.start
        };
        history.continues(backup.timeline, backup.end)
            && backup.end.as_u64() <= to
            && (first.as_u64()..to).all(is_there)
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
            for to in window.from.as_u64()..=window.to.as_u64() {
                prop_assert!(reaches(history, &backups, &runs, to), "{window:?} at {to}");
            }
        }
        for history in &histories {
            for to in 0..100 {
                let promised = windows.iter().any(|window| {
                    let way = &histories[window.timeline.get() as usize - 1];
                    way.continues(history.timeline(), Lsn::new(to))
                        && (window.from.as_u64()..=window.to.as_u64()).contains(&to)
                });
                if reaches(history, &backups, &runs, to) {
                    prop_assert!(promised, "timeline {} at {to}", history.timeline());
                }
            }
        }
    }
}
