//! Choosing by hand-made catalogues.

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, WalSegmentSize};

use super::*;
use crate::physical::format::WalMethod;
use crate::wal::WalRun;

const SEGMENT: u64 = 16 << 20;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000 + seconds).unwrap()
}

fn lsn(segment: u64, offset: u64) -> Lsn {
    Lsn::new(segment * SEGMENT + offset)
}

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

/// A backup that begins in a segment and ends in it, some seconds after the epoch of these
/// tests.
fn backup(number: u8, on: u32, segment: u64, seconds: i64) -> Manifest {
    let text = include_str!("../../format/physical.json");
    let mut manifest: Manifest = serde_json::from_str(text).unwrap();
    manifest.id = format!("20260101T000000Z-000000{number:02x}")
        .parse()
        .unwrap();
    manifest.completed_at = at(seconds);
    let info = manifest.physical.as_mut().unwrap();
    info.timeline = timeline(on);
    info.end_timeline = timeline(on);
    info.start_lsn = lsn(segment, 0x28);
    info.end_lsn = lsn(segment, 0x200);
    info.wal = WalMethod::Included;
    info.wal_segment_size = WalSegmentSize::DEFAULT;
    info.degraded = false;
    manifest
}

fn run(on: u32, from: u64, to: u64, newest: i64) -> WalRun {
    let mut run = WalRun::new(timeline(on), lsn(from, 0), lsn(to, 0));
    run.newest_commit = Some(at(newest));
    run
}

fn history(of: u32, lines: &[(u32, Lsn)]) -> TimelineHistory {
    let text: String = lines
        .iter()
        .fold(String::new(), |mut text, (timeline, switch)| {
            let _ = writeln!(text, "{timeline}\t{switch}\tno recovery target specified");
            text
        });
    TimelineHistory::parse(timeline(of), text.into()).unwrap()
}

/// What was chosen: the last digits of the backup's id, the timeline, and the reach; or why
/// not.
fn choose(
    backups: &[Manifest],
    coverage: &Coverage,
    points: &[RestorePoint],
    target: &RestoreTarget,
    wishes: &Wishes,
) -> Result<(String, u32, Lsn)> {
    let stock = Stock {
        backups: backups.iter().collect(),
        coverage,
        points,
        now: at(10_000),
    };
    let choice = stock.choose(target, wishes)?;
    let id = choice.backup.as_str();
    Ok((
        id[id.len() - 2..].to_owned(),
        choice.aim.timeline.get(),
        choice.reach.end,
    ))
}

fn plain(
    backups: &[Manifest],
    coverage: &Coverage,
    target: &RestoreTarget,
) -> Result<(String, u32, Lsn)> {
    choose(backups, coverage, &[], target, &Wishes::default())
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn the_newest_backup_before_the_target_is_taken() {
    let backups = [
        backup(1, 1, 2, 100),
        backup(2, 1, 10, 200),
        backup(3, 1, 20, 300),
    ];
    let coverage = Coverage::new(vec![run(1, 2, 30, 400)], Vec::new());
    let chosen = |target| plain(&backups, &coverage, &target).unwrap().0;
    assert_eq!(chosen(RestoreTarget::Latest), "03");
    assert_eq!(chosen(RestoreTarget::Time(at(250))), "02");
    assert_eq!(chosen(RestoreTarget::Time(at(300))), "03");
    assert_eq!(chosen(RestoreTarget::Lsn(lsn(10, 0x200))), "02");
    assert_eq!(chosen(RestoreTarget::Lsn(lsn(10, 0x1ff))), "01");
    assert_eq!(chosen(RestoreTarget::Lsn(lsn(29, 5))), "03");
    for target in [
        RestoreTarget::Time(at(99)),
        RestoreTarget::Time(at(401)),
        RestoreTarget::Time(at(20_000)),
        RestoreTarget::Lsn(lsn(2, 0x1ff)),
        RestoreTarget::Lsn(lsn(30, 0)),
    ] {
        let outcome = plain(&backups, &coverage, &target);
        assert_eq!(kind(outcome), ErrorKind::NotRecoverable, "{target}");
    }
}

#[test]
fn after_the_newest_commit_the_server_would_find_none_and_is_not_asked_to() {
    let backups = [backup(1, 1, 2, 100)];
    let coverage = Coverage::new(vec![run(1, 2, 30, 400)], Vec::new());
    let stock = Stock {
        backups: backups.iter().collect(),
        coverage: &coverage,
        points: &[],
        now: at(10_000),
    };
    let target = RestoreTarget::Time(at(400));
    let choice = stock.choose(&target, &Wishes::default()).unwrap();
    assert_eq!(choice.aim.target, RestoreTarget::Latest);
    let before = Wishes {
        exclusive: true,
        ..Wishes::default()
    };
    assert_eq!(stock.choose(&target, &before).unwrap().aim.target, target);
}

#[test]
fn nothing_is_reached_across_a_hole() {
    let backups = [backup(1, 1, 2, 100), backup(2, 1, 20, 300)];
    let coverage = Coverage::new(vec![run(1, 2, 10, 150), run(1, 12, 30, 400)], Vec::new());
    let chosen = |target| plain(&backups, &coverage, &target);
    assert_eq!(
        chosen(RestoreTarget::Time(at(140))).unwrap(),
        ("01".to_owned(), 1, lsn(10, 0))
    );
    assert_eq!(
        chosen(RestoreTarget::Latest).unwrap(),
        ("02".to_owned(), 1, lsn(30, 0))
    );
    for target in [
        RestoreTarget::Time(at(200)),
        RestoreTarget::Lsn(lsn(10, 0)),
        RestoreTarget::Lsn(lsn(15, 0)),
    ] {
        let err = chosen(target).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotRecoverable);
        let text = err.to_string();
        assert!(
            text.contains("-00000001") && text.contains("-00000002"),
            "both windows: {text}"
        );
    }
}

#[test]
fn a_backup_without_its_wal_needs_all_of_it_in_the_archive() {
    let mut backups = [backup(1, 1, 5, 100)];
    backups[0].physical.as_mut().unwrap().wal = WalMethod::Archive;
    let chosen = |runs: Vec<WalRun>| {
        plain(
            &backups,
            &Coverage::new(runs, Vec::new()),
            &RestoreTarget::Latest,
        )
    };
    assert_eq!(chosen(vec![run(1, 5, 6, 50)]).unwrap().2, lsn(6, 0));
    assert_eq!(
        kind(chosen(vec![run(1, 6, 9, 50)])),
        ErrorKind::NotRecoverable
    );
    assert_eq!(kind(chosen(Vec::new())), ErrorKind::NotRecoverable);
    // On whichever timeline, one that brings it along ends where it ends.
    let alone = plain(
        &[backup(1, 7, 5, 100)],
        &Coverage::default(),
        &RestoreTarget::Latest,
    )
    .unwrap();
    assert_eq!((alone.1, alone.2), (7, lsn(5, 0x200)));
    let own = [backup(1, 1, 5, 100)];
    let alone = plain(&own, &Coverage::default(), &RestoreTarget::Latest).unwrap();
    assert_eq!(alone.2, lsn(5, 0x200));
}

#[test]
fn recovery_goes_along_the_newest_line_unless_it_is_told_otherwise() {
    let switch = lsn(10, 0x5000);
    let histories = vec![history(2, &[(1, switch)])];
    // The first timeline went on for a while after it was left.
    let runs = vec![run(1, 2, 14, 500), run(2, 10, 20, 900)];
    let coverage = Coverage::new(runs, histories);
    let backups = [
        backup(1, 1, 2, 100),
        backup(2, 1, 12, 450),
        backup(3, 2, 15, 700),
    ];
    let chosen = |target: RestoreTarget, on: Option<u32>| {
        let wishes = Wishes {
            timeline: on.map(timeline),
            ..Wishes::default()
        };
        choose(&backups, &coverage, &[], &target, &wishes)
    };
    let is = |id: &str, on: u32, end: Lsn| (id.to_owned(), on, end);
    assert_eq!(
        chosen(RestoreTarget::Latest, None).unwrap(),
        is("03", 2, lsn(20, 0))
    );
    // The backup of the abandoned part does not lead to the new line.
    assert_eq!(
        chosen(RestoreTarget::Time(at(600)), None).unwrap(),
        is("01", 2, lsn(20, 0))
    );
    assert_eq!(
        chosen(RestoreTarget::Latest, Some(1)).unwrap(),
        is("02", 1, lsn(14, 0))
    );
    assert_eq!(
        chosen(RestoreTarget::Time(at(460)), Some(1)).unwrap(),
        is("02", 1, lsn(14, 0))
    );
    let end = RestoreTarget::Immediate {
        backup: backups[1].id.clone(),
    };
    assert_eq!(chosen(end, None).unwrap(), is("02", 1, lsn(14, 0)));
    assert_eq!(
        kind(chosen(RestoreTarget::Latest, Some(3))),
        ErrorKind::NotRecoverable
    );
}

#[test]
fn a_timeline_whose_history_is_missing_is_not_passed_over() {
    let coverage = Coverage::new(vec![run(1, 2, 14, 500), run(2, 10, 20, 900)], Vec::new());
    let outcome = plain(&[backup(1, 1, 2, 100)], &coverage, &RestoreTarget::Latest);
    assert_eq!(kind(outcome), ErrorKind::WalMissing);
}

#[test]
fn a_restore_point_is_found_on_its_line_and_must_be_the_only_one_of_its_name() {
    let point = |name: &str, on: u32, end: Lsn| RestorePoint {
        name: name.to_owned(),
        timeline: timeline(on),
        end,
        at: at(0),
    };
    let coverage = Coverage::new(vec![run(1, 2, 30, 400)], Vec::new());
    let backups = [backup(1, 1, 2, 100), backup(2, 1, 10, 200)];
    let points = [
        point("a", 1, lsn(5, 0)),
        point("b", 1, lsn(12, 0)),
        point("b", 1, lsn(13, 0)),
        point("c", 1, lsn(4, 0)),
        point("c", 1, lsn(14, 0)),
    ];
    let chosen = |name: &str| {
        let target = RestoreTarget::Name(name.to_owned());
        choose(&backups, &coverage, &points, &target, &Wishes::default())
    };
    assert_eq!(chosen("a").unwrap().0, "01");
    assert_eq!(kind(chosen("b")), ErrorKind::NotRecoverable);
    assert_eq!(
        chosen("c").unwrap().0,
        "02",
        "the one before the backup is no trouble"
    );
    assert_eq!(kind(chosen("d")), ErrorKind::NotRecoverable);
}

#[test]
fn a_degraded_backup_is_taken_where_there_is_no_other_or_it_is_named() {
    let mut backups = [backup(1, 1, 2, 100), backup(2, 1, 10, 200)];
    backups[1].physical.as_mut().unwrap().degraded = true;
    let coverage = Coverage::new(vec![run(1, 2, 30, 400)], Vec::new());
    let latest = RestoreTarget::Latest;
    assert_eq!(plain(&backups, &coverage, &latest).unwrap().0, "01");
    assert_eq!(plain(&backups[1..], &coverage, &latest).unwrap().0, "02");
    let wishes = Wishes {
        backup: Some(backups[1].id.clone()),
        ..Wishes::default()
    };
    assert_eq!(
        choose(&backups, &coverage, &[], &latest, &wishes)
            .unwrap()
            .0,
        "02"
    );
}
