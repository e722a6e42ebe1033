//! Which backup is built upon, in catalogues whose clock went back.

use super::*;
use crate::wal::entry_at as entry;

/// A line of timelines that left the first one at a position.
fn line(timeline: u32, left_first_at: u64) -> Line {
    let timeline = Timeline::new(timeline).unwrap();
    let history = if timeline == Timeline::FIRST {
        TimelineHistory::initial()
    } else {
        let text = format!("1\t0/{left_first_at:X}\twhy\n");
        TimelineHistory::parse(timeline, text.into()).unwrap()
    };
    let system_id = entry(1, 0, 1, 100, None)
        .manifest
        .physical
        .unwrap()
        .system_id;
    Line {
        system_id,
        timeline,
        history: Some(history),
    }
}

/// The numbers of the newest backup and of its full one.
fn newest(line: &Line, entries: &[CatalogueEntry]) -> Option<(u8, u8)> {
    let number = |id: &BackupId| id.as_str()[id.as_str().len() - 2..].parse().unwrap();
    let (newest, full) = line.newest(entries)?;
    Some((number(&newest.manifest.id), number(&full.id)))
}

#[test]
fn the_newest_is_told_by_position_whatever_the_clock_said() {
    let mut entries = vec![
        entry(1, 500, 1, 100, None),
        entry(2, 900, 1, 200, Some(1)),
        entry(3, 40, 1, 300, Some(2)),
        entry(4, 30, 1, 400, Some(3)),
    ];
    assert_eq!(newest(&line(1, 0), &entries), Some((4, 1)));
    entries.reverse();
    assert_eq!(newest(&line(1, 0), &entries), Some((4, 1)));
}

#[test]
fn what_the_server_has_not_come_along_is_not_built_upon() {
    let entries = [
        entry(1, 10, 1, 100, None),
        entry(2, 20, 1, 300, Some(1)),
        entry(3, 30, 3, 900, None),
    ];
    assert_eq!(newest(&line(1, 0), &entries), Some((2, 1)));
    // The second was taken where the old primary went on after the promotion.
    assert_eq!(newest(&line(2, 200), &entries), Some((1, 1)));
    assert_eq!(newest(&line(2, 300), &entries), Some((2, 1)));
    assert_eq!(newest(&line(2, 50), &entries), None);
    let mut unknown = line(2, 300);
    unknown.history = None;
    assert_eq!(newest(&unknown, &entries), None);
}

#[test]
fn a_backup_whose_chain_is_broken_or_that_is_degraded_or_of_another_cluster_is_passed_over() {
    let mut degraded = entry(4, 40, 1, 400, None);
    degraded.manifest.physical.as_mut().unwrap().degraded = true;
    let mut foreign = entry(5, 50, 1, 500, None);
    let other = SystemId::new(7);
    foreign.manifest.physical.as_mut().unwrap().system_id = other;
    let entries = [
        entry(1, 10, 1, 100, None),
        entry(3, 30, 1, 300, Some(2)),
        degraded,
        foreign,
    ];
    assert_eq!(newest(&line(1, 0), &entries), Some((1, 1)));
}

#[test]
fn a_full_backup_is_due_when_the_last_is_old_or_of_the_future() {
    let full = entry(1, 1000, 1, 100, None).manifest;
    let at = |second| Timestamp::from_unix_seconds(second).unwrap();
    let week = Duration::from_secs(600);
    assert!(!is_due(&full, at(1000), week));
    assert!(!is_due(&full, at(1599), week));
    assert!(is_due(&full, at(1600), week));
    assert!(is_due(&full, at(999), week));
}
