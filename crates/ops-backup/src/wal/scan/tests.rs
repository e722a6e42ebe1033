//! The scanner against WAL that is written here by the rules of the format. WAL of real
//! servers is compared with `pg_waldump` in the tests of the archiver.

use proptest::prelude::*;

use super::*;

const SIZE: u64 = 1 << 20;

/// Writes WAL: pages with headers, records that cross them.
struct Writer {
    wal: Vec<u8>,
    start: u64,
    previous: u64,
}

impl Writer {
    fn new(start: u64) -> Self {
        Self {
            wal: Vec::new(),
            start,
            previous: 0,
        }
    }

    fn position(&self) -> u64 {
        self.start + self.wal.len() as u64
    }

    fn page_header(&mut self, flags: u16, rest: u32) {
        let position = self.position();
        let long = position.is_multiple_of(SIZE);
        let flags = flags | if long { 2 } else { 0 };
        self.wal.extend(0xD110_u16.to_le_bytes());
        self.wal.extend(flags.to_le_bytes());
        self.wal.extend(1_u32.to_le_bytes());
        self.wal.extend(position.to_le_bytes());
        self.wal.extend(rest.to_le_bytes());
        self.wal.extend([0; 4]);
        if long {
            self.wal.extend(77_u64.to_le_bytes());
            self.wal.extend(u32::try_from(SIZE).unwrap().to_le_bytes());
            self.wal.extend(8192_u32.to_le_bytes());
        }
    }

    fn record(&mut self, rmid: u8, info: u8, payload: &[u8]) {
        let total = u32::try_from(24 + payload.len()).unwrap();
        let mut header = Vec::new();
        header.extend(total.to_le_bytes());
        header.extend(5_u32.to_le_bytes());
        header.extend(self.previous.to_le_bytes());
        header.extend([info, rmid, 0, 0]);
        let crc = crc32c::crc32c_append(crc32c::crc32c(payload), &header);
        header.extend(crc.to_le_bytes());
        if self.position().is_multiple_of(8192) {
            self.page_header(0, 0);
        }
        self.previous = self.position();
        let bytes = [&header[..], payload].concat();
        for (index, byte) in bytes.iter().enumerate() {
            if self.position().is_multiple_of(8192) {
                self.page_header(1, u32::try_from(bytes.len() - index).unwrap());
            }
            self.wal.push(*byte);
        }
        while !self.wal.len().is_multiple_of(8) {
            self.wal.push(0);
        }
    }

    fn commit(&mut self, micros: i64, padding: usize) {
        let mut payload = vec![255, 8];
        payload.extend(micros.to_le_bytes());
        payload.extend(vec![7; padding]);
        self.record(RM_XACT, 0x80, &payload);
    }
}

const RM_XACT: u8 = 1;

fn at(micros: i64) -> Timestamp {
    let micros = u64::try_from(micros).unwrap();
    let epoch = std::time::UNIX_EPOCH + std::time::Duration::from_secs(946_684_800);
    Timestamp::from(epoch + std::time::Duration::from_micros(micros))
}

fn scanner(start: u64) -> Scanner {
    Scanner::new(Lsn::new(start), WalSegmentSize::new(SIZE).unwrap())
}

#[test]
fn a_commit_is_seen_when_its_last_byte_is() {
    let mut wal = Writer::new(SIZE);
    wal.commit(1_000_000, 0);
    let mut scanner = scanner(SIZE);
    let len = 40 + 24 + 10;
    scanner.push(&wal.wal[..len - 1]);
    assert_eq!(scanner.newest_commit(), None);
    scanner.push(&wal.wal[len - 1..]);
    assert_eq!(scanner.newest_commit(), Some(at(1_000_000)));
    assert_eq!(scanner.valid_end().as_u64(), wal.position());
}

#[test]
fn the_last_commit_counts_where_the_clock_went_back() {
    let mut wal = Writer::new(SIZE);
    wal.commit(9_000_000, 0);
    wal.commit(1_000_000, 0);
    let mut scanner = scanner(SIZE);
    scanner.push(&wal.wal);
    assert_eq!(scanner.newest_commit(), Some(at(1_000_000)));
}

#[test]
fn a_damaged_record_is_counted_and_the_next_page_is_read_again() {
    let mut wal = Writer::new(SIZE);
    for number in 0..2000 {
        wal.commit(number, 30);
    }
    wal.wal[300] ^= 1;
    let mut scanner = scanner(SIZE);
    scanner.push(&wal.wal);
    assert_eq!(scanner.problems(), 1);
    assert_eq!(scanner.newest_commit(), Some(at(1999)));
}

#[test]
fn nothing_is_read_between_a_switch_and_the_next_segment() {
    let mut wal = Writer::new(SIZE);
    wal.commit(1, 0);
    wal.record(0, 0x40, &[]);
    let end = wal.position();
    wal.wal.resize(usize::try_from(SIZE).unwrap(), 0);
    let mut scanner = scanner(SIZE);
    scanner.push(&wal.wal);
    assert_eq!(scanner.valid_end().as_u64(), end);
    let mut next = Writer::new(2 * SIZE);
    next.commit(2, 0);
    scanner.push(&next.wal);
    assert_eq!(scanner.newest_commit(), Some(at(2)));
    assert_eq!(scanner.problems(), 0);
}

#[test]
fn a_record_that_was_given_up_after_a_crash_is_forgotten() {
    let mut wal = Writer::new(SIZE);
    wal.commit(1, 0);
    wal.commit(2, 20_000);
    wal.wal.truncate(8192);
    wal.page_header(8, 0);
    wal.commit(3, 0);
    let mut scanner = scanner(SIZE);
    scanner.push(&wal.wal);
    assert_eq!(scanner.newest_commit(), Some(at(3)));
    assert_eq!(scanner.problems(), 0);
}

#[test]
fn a_restore_point_is_found_by_its_name() {
    let mut wal = Writer::new(SIZE);
    let mut payload = vec![255, 72];
    payload.extend(5_i64.to_le_bytes());
    let mut name = b"before the migration".to_vec();
    name.resize(64, 0);
    payload.extend(name);
    wal.record(0, 0x70, &payload);
    let mut scanner = scanner(SIZE);
    scanner.push(&wal.wal);
    let end = Lsn::new(wal.position());
    let expected = ("before the migration".to_owned(), at(5), end);
    assert_eq!(scanner.take_restore_points(), [expected]);
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_what_the_whole_gives(
        sizes in proptest::collection::vec(0_usize..30_000, 1..40),
        cuts in proptest::collection::vec(1_usize..5_000, 1..50),
    ) {
        let mut wal = Writer::new(SIZE);
        let mut last = 0;
        for size in sizes {
            last += 1;
            wal.commit(last, size);
        }
        let mut whole = scanner(SIZE);
        whole.push(&wal.wal);
        prop_assert_eq!(whole.newest_commit(), Some(at(last)));
        prop_assert_eq!(whole.problems(), 0);
        let mut pieces = scanner(SIZE);
        let mut rest = &wal.wal[..];
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(pieces.newest_commit(), whole.newest_commit());
        prop_assert_eq!(pieces.valid_end(), whole.valid_end());
        prop_assert_eq!(pieces.problems(), 0);
    }

    #[test]
    fn a_scan_that_begins_in_the_middle_finds_its_way(skipped in 1_u64..30) {
        let mut wal = Writer::new(SIZE);
        for number in 0..60 {
            wal.commit(number, 9000);
        }
        let mut scanner = scanner(SIZE + skipped * 8192);
        let from = usize::try_from(skipped * 8192).unwrap();
        scanner.push(&wal.wal[from..]);
        prop_assert_eq!(scanner.newest_commit(), Some(at(59)));
        prop_assert_eq!(scanner.problems(), 0);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        let mut scanner = scanner(0);
        scanner.push(&bytes);
    }
}
