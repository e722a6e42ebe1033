//! Catalogues whose times and ids tell nothing of positions.

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, Timeline};

use super::*;
use crate::physical::PhysicalKind;

/// An entry that began at a second, whatever its position.
pub(crate) fn entry(
    number: u8,
    second: i64,
    on: u32,
    end: u64,
    parent: Option<u8>,
) -> CatalogueEntry {
    let id = |number: u8| {
        format!("20260101T000000Z-000000{number:02x}")
            .parse()
            .unwrap()
    };
    let text = include_str!("../../physical/format/physical.json");
    let mut manifest: Manifest = serde_json::from_str(text).unwrap();
    manifest.id = id(number);
    manifest.started_at = Timestamp::from_unix_seconds(second).unwrap();
    let info = manifest.physical.as_mut().unwrap();
    info.degraded = false;
    info.end_timeline = Timeline::new(on).unwrap();
    info.start_lsn = Lsn::new(end - 8);
    info.end_lsn = Lsn::new(end);
    info.kind = parent.map_or(PhysicalKind::Full, |parent| PhysicalKind::Incremental {
        parent: id(parent),
        full: id(1),
    });
    CatalogueEntry {
        manifest,
        manifest_blake3: String::new(),
    }
}

fn ends(entries: &[CatalogueEntry]) -> Vec<(u32, u64)> {
    let spans = spans(entries).into_values().flatten();
    spans
        .map(|it| (it.timeline.get(), it.end.as_u64()))
        .collect()
}

#[test]
fn backups_are_in_the_order_of_timeline_and_position_whatever_the_clock_said() {
    // All of one second, or of a clock that was set back.
    let entries = [
        entry(7, 30, 1, 100, None),
        entry(3, 20, 1, 300, None),
        entry(5, 10, 2, 200, None),
    ];
    assert_eq!(ends(&entries), [(1, 100), (1, 300), (2, 200)]);
}

#[test]
fn a_chain_is_whole_also_where_a_child_comes_before_its_parent() {
    let child = entry(2, 10, 1, 200, Some(1));
    let grandchild = entry(3, 5, 1, 300, Some(2));
    let full = entry(1, 20, 1, 100, None);
    let whole = [grandchild.clone(), child.clone(), full];
    assert_eq!(ends(&whole), [(1, 100), (1, 200), (1, 300)]);
    assert_eq!(ends(&[grandchild.clone(), child]), []);
    let circle = [entry(2, 10, 1, 200, Some(3)), grandchild];
    assert_eq!(ends(&circle), []);
}
