//! Reading WAL as far as an archive must: page headers, record boundaries, checksums, and
//! the times of commits.
//!
//! Formats are those of PostgreSQL 13 to 18 on little-endian machines, which differ in none
//! of what is read here but the magic number of pages (`xlog_internal.h`, `xlogrecord.h`,
//! `xact.h`).

mod page;
mod record;

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, WalSegmentSize};

pub(crate) use page::LongHeader;
use page::{LONG_BYTES, PAGE_BYTES, PageHeader, SHORT_BYTES};
use record::{CAPTURE, HEADER_BYTES, HEADER_LEN, Record};

/// What follows at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The header of a record, or the rest of it.
    Header,
    /// So many more bytes of a record.
    Payload(u32),
    /// The rest of a record whose beginning was not seen.
    Skip(u32),
    /// Nothing that can be read before the next page.
    Lost,
    /// Nothing before the next segment: the log was switched, or ends here.
    Ended,
}

/// Reads a stream of WAL, in pieces of any size, in constant memory.
///
/// A record whose checksum is wrong is counted and stepped over: an archive keeps what the
/// server sent, and only what depends on reading it is lost.
#[derive(Debug)]
pub(crate) struct Scanner {
    position: u64,
    segment_bytes: u64,
    /// The header of the page, while it is incomplete.
    page: [u8; LONG_BYTES],
    page_len: usize,
    /// The header of the record, while it is incomplete.
    header: [u8; HEADER_BYTES],
    header_len: usize,
    /// The beginning of the record's payload.
    captured: Vec<u8>,
    crc: u32,
    state: State,
    newest_commit: Option<Timestamp>,
    valid_end: u64,
    problems: u64,
    restore_points: Vec<(String, Timestamp, Lsn)>,
}

impl Scanner {
    /// Begins at the beginning of a page.
    pub(crate) fn new(start: Lsn, size: WalSegmentSize) -> Self {
        Self {
            position: start.as_u64(),
            segment_bytes: size.bytes(),
            page: [0; LONG_BYTES],
            page_len: 0,
            header: [0; HEADER_BYTES],
            header_len: 0,
            captured: Vec::with_capacity(CAPTURE),
            crc: 0,
            state: State::Lost,
            newest_commit: None,
            valid_end: start.as_u64(),
            problems: 0,
            restore_points: Vec::new(),
        }
    }

    /// Takes the newest commit that was known before the first byte.
    pub(crate) fn set_newest_commit(&mut self, commit: Option<Timestamp>) {
        self.newest_commit = commit;
    }

    /// The last commit whose record is complete.
    pub(crate) fn newest_commit(&self) -> Option<Timestamp> {
        self.newest_commit
    }

    /// The position after the last complete record.
    pub(crate) fn valid_end(&self) -> Lsn {
        Lsn::new(self.valid_end)
    }

    /// How many pages and records were not what they should be.
    pub(crate) fn problems(&self) -> u64 {
        self.problems
    }

    /// The restore points since the last call: name, time, and the position after each.
    pub(crate) fn take_restore_points(&mut self) -> Vec<(String, Timestamp, Lsn)> {
        std::mem::take(&mut self.restore_points)
    }

    /// Reads what comes next.
    pub(crate) fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let offset = self.position % PAGE_BYTES;
            let header = self.page_header_bytes();
            let len = if offset < header as u64 {
                let offset = usize::try_from(offset).unwrap_or_default();
                self.push_page_header(data, offset, header)
            } else {
                let left = usize::try_from(PAGE_BYTES - offset).unwrap_or_default();
                let piece = data.get(..left.min(data.len())).unwrap_or_default();
                self.push_records(piece);
                piece.len()
            };
            data = data.get(len..).unwrap_or_default();
        }
    }

    fn page_header_bytes(&self) -> usize {
        let page_start = self.position - self.position % PAGE_BYTES;
        if page_start.is_multiple_of(self.segment_bytes) {
            LONG_BYTES
        } else {
            SHORT_BYTES
        }
    }

    fn push_page_header(&mut self, data: &[u8], offset: usize, header: usize) -> usize {
        let len = (header - offset).min(data.len());
        if let (Some(to), Some(from)) = (self.page.get_mut(offset..offset + len), data.get(..len)) {
            to.copy_from_slice(from);
        }
        self.position += len as u64;
        self.page_len = offset + len;
        if self.page_len == header {
            self.begin_page(header);
        }
        len
    }

    /// Goes on with what the header of a page says.
    fn begin_page(&mut self, header: usize) {
        let start = self.position - header as u64;
        let first_of_segment = header == LONG_BYTES;
        if self.state == State::Ended && !first_of_segment {
            return;
        }
        let Some(page) = PageHeader::parse(&self.page, start) else {
            let is_zero = self
                .page
                .get(..header)
                .is_some_and(|page| page.iter().all(|&byte| byte == 0));
            self.problems += u64::from(!is_zero);
            self.state = if is_zero { State::Ended } else { State::Lost };
            return;
        };
        let unread = match self.state {
            State::Header if self.header_len > 0 => Some(self.left_of_header()),
            State::Payload(left) | State::Skip(left) => Some(left),
            _ => None,
        };
        self.state = match (unread, page.continues) {
            (Some(unread), Some(rest)) if unread == rest => return,
            // The record that was begun was given up after a crash.
            (_, None) => State::Header,
            // Its beginning was not seen.
            (None, Some(rest)) => State::Skip(rest),
            (Some(_), Some(rest)) => {
                self.problems += 1;
                State::Skip(rest)
            }
        };
        self.header_len = 0;
    }

    /// How much is missing of a record whose header is incomplete. Its length is there:
    /// records begin at multiples of 8.
    fn left_of_header(&self) -> u32 {
        let read = u32::try_from(self.header_len).unwrap_or_default();
        Record::total_len(&self.header).saturating_sub(read)
    }

    fn push_records(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let len = match self.state {
                State::Lost | State::Ended => data.len(),
                State::Header if self.header_len == 0 && !self.position.is_multiple_of(8) => {
                    let padding = 8 - self.position % 8;
                    data.len().min(usize::try_from(padding).unwrap_or_default())
                }
                State::Header => self.push_header(data),
                State::Payload(left) => self.push_payload(data, left),
                State::Skip(left) => {
                    let len = data.len().min(left as usize);
                    let left = left - u32::try_from(len).unwrap_or(left);
                    self.state = if left == 0 {
                        State::Header
                    } else {
                        State::Skip(left)
                    };
                    len
                }
            };
            self.position += len as u64;
            if self.state == State::Payload(0) {
                self.end_record();
            }
            data = data.get(len..).unwrap_or_default();
        }
    }

    fn push_header(&mut self, data: &[u8]) -> usize {
        let len = (HEADER_BYTES - self.header_len).min(data.len());
        let to = self.header.get_mut(self.header_len..self.header_len + len);
        if let (Some(to), Some(from)) = (to, data.get(..len)) {
            to.copy_from_slice(from);
        }
        self.header_len += len;
        if self.header_len >= 4 {
            let total = Record::total_len(&self.header);
            if total == 0 {
                self.state = State::Ended;
                self.header_len = 0;
            } else if (total as usize) < HEADER_BYTES {
                self.problems += 1;
                self.state = State::Lost;
                self.header_len = 0;
            } else if self.header_len == HEADER_BYTES {
                self.captured.clear();
                self.crc = 0;
                self.state = State::Payload(total - HEADER_LEN);
            }
        }
        len
    }

    fn push_payload(&mut self, data: &[u8], left: u32) -> usize {
        let len = data.len().min(left as usize);
        let piece = data.get(..len).unwrap_or_default();
        self.crc = crc32c::crc32c_append(self.crc, piece);
        let room = CAPTURE - self.captured.len();
        self.captured.extend(piece.iter().take(room));
        self.state = State::Payload(left - u32::try_from(len).unwrap_or(left));
        len
    }

    fn end_record(&mut self) {
        self.state = State::Header;
        self.header_len = 0;
        let record = Record::new(&self.header, &self.captured);
        if !record.crc_is(self.crc) {
            self.problems += 1;
            self.state = State::Lost;
            return;
        }
        self.valid_end = self.position.next_multiple_of(8);
        if let Some(commit) = record.commit_time() {
            self.newest_commit = Some(commit);
        } else if let Some((name, at)) = record.restore_point() {
            let end = Lsn::new(self.valid_end);
            self.restore_points.push((name, at, end));
        } else if record.is_switch() {
            self.state = State::Ended;
        }
    }
}

#[cfg(test)]
mod tests;
