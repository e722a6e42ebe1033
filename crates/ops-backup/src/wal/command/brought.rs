//! WAL that a restored backup brings itself.
//!
//! A server asks its `restore_command` for a segment before it looks into `pg_wal`, where the
//! segments lie that the backup was restored with. What the archive lacks of those is not
//! lost, and the server goes on with its own where it is told that the archive has none.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ops_pg_replication::{SegmentName, SystemId, WalSegmentSize};

use super::super::archive::check_first_page;
use crate::physical::{ManifestError, ManifestReader, WalRange};

/// How much of a manifest is read at once.
const PIECE: usize = 64 << 10;

/// Whether the backup in a data folder has brought a segment: its manifest says so, and the
/// file that lies in `pg_wal` is no other one. For blocking threads.
pub(super) fn is_brought(
    data_folder: &Path,
    system_id: SystemId,
    name: SegmentName,
    size: WalSegmentSize,
) -> bool {
    // A segment that was recycled has the name of one that is yet to come.
    is_whole(data_folder, system_id, name, size).unwrap_or(false)
        && wal_ranges(&data_folder.join("backup_manifest")).is_some_and(|ranges| {
            let (start, end) = (name.start(size), name.end(size));
            ranges.iter().any(|range| {
                range.timeline == name.timeline() && start < range.end && range.start < end
            })
        })
}

fn is_whole(
    data_folder: &Path,
    system_id: SystemId,
    name: SegmentName,
    size: WalSegmentSize,
) -> std::io::Result<bool> {
    let path = data_folder.join("pg_wal").join(name.file_name(size));
    let mut file = File::open(path)?;
    let mut page = [0; 40];
    file.read_exact(&mut page)?;
    let fits = check_first_page(system_id, name, size, &page).is_ok();
    Ok(fits && file.metadata()?.len() == size.bytes())
}

/// The WAL that a backup needs to be consistent, by the server's own manifest of it.
fn wal_ranges(manifest: &Path) -> Option<Vec<WalRange>> {
    let mut file = File::open(manifest).ok()?;
    let mut reader = ManifestReader::new();
    let mut piece = vec![0; PIECE];
    loop {
        let len = file.read(&mut piece).ok()?;
        let read = piece.get(..len).filter(|read| !read.is_empty());
        let Some(read) = read else { break };
        let fed = reader.feed(read, |_| Ok::<_, ManifestError>(()));
        fed.ok()?;
    }
    Some(reader.finish().ok()?.wal_ranges)
}
