//! Records.

use std::time::{Duration, SystemTime};

use ops_core::Timestamp;

use super::page::array;

/// The size of `XLogRecord`.
pub(super) const HEADER_LEN: u32 = 24;
pub(super) const HEADER_BYTES: usize = HEADER_LEN as usize;
/// How much of a payload is kept: a restore point is the longest of what is read.
pub(super) const CAPTURE: usize = 96;

const RM_XLOG: u8 = 0;
const RM_XACT: u8 = 1;

const XLOG_SWITCH: u8 = 0x40;
const XLOG_RESTORE_POINT: u8 = 0x70;
const XACT_OPMASK: u8 = 0x70;
const XACT_COMMIT: u8 = 0x00;
const XACT_COMMIT_PREPARED: u8 = 0x30;

const DATA_SHORT: u8 = 255;
const DATA_LONG: u8 = 254;
const ORIGIN: u8 = 253;
const TOPLEVEL_XID: u8 = 252;

/// Seconds from 1970-01-01 to 2000-01-01, where PostgreSQL's time begins.
const EPOCH_SECONDS: u64 = 946_684_800;

/// A complete record, with the beginning of its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    header: &'a [u8; HEADER_BYTES],
    payload: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn new(header: &'a [u8; HEADER_BYTES], payload: &'a [u8]) -> Self {
        Self { header, payload }
    }

    pub(super) fn total_len(header: &[u8; HEADER_BYTES]) -> u32 {
        let [a, b, c, d, ..] = *header;
        u32::from_le_bytes([a, b, c, d])
    }

    /// Whether the record's checksum is that of a payload and of the header.
    pub(super) fn crc_is(&self, payload: u32) -> bool {
        let (covered, stored) = self.header.split_at(HEADER_BYTES - 4);
        array(stored, 0).map(u32::from_le_bytes) == Some(crc32c::crc32c_append(payload, covered))
    }

    fn info(&self) -> u8 {
        let [.., info, _, _, _, _, _, _, _] = *self.header;
        info
    }

    fn resource_manager(&self) -> u8 {
        let [.., rmid, _, _, _, _, _, _] = *self.header;
        rmid
    }

    pub(super) fn is_switch(&self) -> bool {
        self.resource_manager() == RM_XLOG && self.info() & 0xF0 == XLOG_SWITCH
    }

    /// The time in a record of a commit.
    pub(super) fn commit_time(&self) -> Option<Timestamp> {
        let is_commit = self.resource_manager() == RM_XACT
            && matches!(
                self.info() & XACT_OPMASK,
                XACT_COMMIT | XACT_COMMIT_PREPARED
            );
        is_commit.then_some(())?;
        time(self.main_data()?)
    }

    /// The name and the time in a record of a restore point.
    pub(super) fn restore_point(&self) -> Option<(String, Timestamp)> {
        let is_point =
            self.resource_manager() == RM_XLOG && self.info() & 0xF0 == XLOG_RESTORE_POINT;
        is_point.then_some(())?;
        let data = self.main_data()?;
        let name = data.get(8..)?.split(|&byte| byte == 0).next()?;
        Some((String::from_utf8_lossy(name).into_owned(), time(data)?))
    }

    /// The data of a record that refers to no blocks, as far as it was kept.
    fn main_data(&self) -> Option<&'a [u8]> {
        let mut rest = self.payload;
        loop {
            let (&id, after) = rest.split_first()?;
            rest = match id {
                DATA_SHORT => return after.get(1..),
                DATA_LONG => return after.get(4..),
                ORIGIN => after.get(2..)?,
                TOPLEVEL_XID => after.get(4..)?,
                _ => return None,
            };
        }
    }
}

/// The microseconds since 2000 that begin the data.
fn time(data: &[u8]) -> Option<Timestamp> {
    let micros = i64::from_le_bytes(array(data, 0)?);
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH_SECONDS);
    let span = Duration::from_micros(micros.unsigned_abs());
    let at = if micros < 0 {
        epoch.checked_sub(span)
    } else {
        epoch.checked_add(span)
    };
    at.map(Timestamp::from)
}
