//! Whether anything is left to replay at the end of the archive.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ops_pg_replication::{Lsn, TimelineHistory, WalSegmentSize};

use super::directory::file_error;
use super::spool;
use crate::error::Result;
use crate::wal::{FetchOptions, Fetched, WalArchive, WalFile};

/// The size of a page of the WAL.
const PAGE_BYTES: u64 = 8192;
/// The header of a page, and that of the first page of a segment.
const SHORT_HEADER: u64 = 24;
const LONG_HEADER: u64 = 40;

/// Whether the archive holds no whole record from a position on, up to its end.
///
/// A record that begins there and ends beyond the archive was not whole when the last of
/// it was archived, and cannot be replayed by anybody.
pub(crate) async fn at_end(
    archive: &WalArchive,
    history: &TimelineHistory,
    data_dir: &Path,
    position: Lsn,
    end: Lsn,
) -> Result<bool> {
    let size = archive.segment_size();
    let at = record_start(position, size);
    if at >= end.as_u64() {
        return Ok(true);
    }
    // Far from the end nothing has to be read to know better.
    if end.as_u64() - at > 2 * size.bytes() {
        return Ok(false);
    }
    let name = history.segment(Lsn::new(at).segment_number(size), size);
    let copy = data_dir.join(spool::FOLDER).join("end");
    let options = FetchOptions::default().with_open_segment(true);
    let fetched = archive
        .fetch(&WalFile::Segment(name), &copy, options)
        .await?;
    let Fetched::Found { .. } = fetched else {
        return Ok(true);
    };
    let offset = Lsn::new(at).offset_in_segment(size);
    let failed = |err| file_error("reading", &copy, err);
    let length = std::fs::File::open(&copy)
        .and_then(|file| record_length(&file, offset))
        .map_err(failed)?;
    std::fs::remove_file(&copy).map_err(failed)?;
    Ok(length == 0 || record_end(at, u64::from(length), size) > end.as_u64())
}

fn record_length(file: &std::fs::File, offset: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(u32::from_le_bytes(bytes))
}

fn header_at(page: u64, size: WalSegmentSize) -> u64 {
    if page.is_multiple_of(size.bytes()) {
        LONG_HEADER
    } else {
        SHORT_HEADER
    }
}

/// Where a record begins at or after a position: behind the header of a page.
fn record_start(position: Lsn, size: WalSegmentSize) -> u64 {
    let position = position.as_u64();
    if position.is_multiple_of(PAGE_BYTES) {
        position + header_at(position, size)
    } else {
        position
    }
}

/// The position after a record of a length, which may go on over several pages.
fn record_end(start: u64, length: u64, size: WalSegmentSize) -> u64 {
    let (mut at, mut left) = (start, length);
    loop {
        let page_end = at - at % PAGE_BYTES + PAGE_BYTES;
        let here = (page_end - at).min(left);
        at += here;
        left -= here;
        if left == 0 {
            return at;
        }
        at += header_at(at, size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_goes_on_behind_the_headers_of_pages_and_segments() {
        let size = WalSegmentSize::new(1 << 20).unwrap();
        assert_eq!(record_end(100, 50, size), 150);
        // Up to the last byte of a page, and one more.
        assert_eq!(record_end(8092, 100, size), 8192);
        assert_eq!(record_end(8092, 101, size), 8192 + 24 + 1);
        // Over the boundary of a segment.
        let boundary = 1 << 20;
        assert_eq!(record_end(boundary - 10, 11, size), boundary + 40 + 1);
        // Over a whole page.
        assert_eq!(record_end(8192 - 8, 8 + 8168 + 1, size), 2 * 8192 + 24 + 1);
    }

    #[test]
    fn a_position_at_a_page_is_that_of_the_record_behind_its_header() {
        let size = WalSegmentSize::new(1 << 20).unwrap();
        assert_eq!(record_start(Lsn::new(8200), size), 8200);
        assert_eq!(record_start(Lsn::new(8192), size), 8192 + 24);
        assert_eq!(record_start(Lsn::new(1 << 20), size), (1 << 20) + 40);
    }
}
