//! Headers of pages.

use ops_pg_replication::{Lsn, SystemId};

/// The size of a page of WAL, `XLOG_BLCKSZ`.
pub(super) const PAGE_BYTES: u64 = 8192;
/// The size of `XLogPageHeaderData`.
pub(super) const SHORT_BYTES: usize = 24;
/// The size of `XLogLongPageHeaderData`, which begins each segment.
pub(super) const LONG_BYTES: usize = 40;

/// `XLOG_PAGE_MAGIC` of PostgreSQL 13 to 18.
const MAGICS: [u16; 6] = [0xD106, 0xD10D, 0xD110, 0xD113, 0xD116, 0xD118];

const FIRST_IS_CONTRECORD: u16 = 0x0001;
const LONG_HEADER: u16 = 0x0002;
const FIRST_IS_OVERWRITE_CONTRECORD: u16 = 0x0008;

/// What the header of a page says of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// How much of a record that began before is on this page and the following ones.
    pub(super) continues: Option<u32>,
}

impl PageHeader {
    /// `None` where it is no header of the page at this position.
    pub(super) fn parse(bytes: &[u8], position: u64) -> Option<Self> {
        let (info, _, address) = fields(bytes)?;
        let rest = u32::from_le_bytes(array(bytes, 16)?);
        (address == position).then_some(())?;
        let begins_anew = info & FIRST_IS_OVERWRITE_CONTRECORD != 0;
        let continues = info & FIRST_IS_CONTRECORD != 0 && !begins_anew && rest > 0;
        Some(Self {
            continues: continues.then_some(rest),
        })
    }
}

/// The header of the first page of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongHeader {
    pub(crate) timeline: u32,
    pub(crate) page_address: Lsn,
    pub(crate) system_id: SystemId,
    pub(crate) segment_size: u32,
}

impl LongHeader {
    /// `None` where it is no such header of a version that is known.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (info, timeline, address) = fields(bytes)?;
        let page_bytes = u32::from_le_bytes(array(bytes, 36)?);
        let fits = info & LONG_HEADER != 0 && u64::from(page_bytes) == PAGE_BYTES;
        fits.then_some(())?;
        Some(Self {
            timeline,
            page_address: Lsn::new(address),
            system_id: SystemId::new(u64::from_le_bytes(array(bytes, 24)?)),
            segment_size: u32::from_le_bytes(array(bytes, 32)?),
        })
    }
}

/// Flags, timeline and position of a page of a known version.
fn fields(bytes: &[u8]) -> Option<(u16, u32, u64)> {
    let magic = u16::from_le_bytes(array(bytes, 0)?);
    MAGICS.contains(&magic).then_some(())?;
    Some((
        u16::from_le_bytes(array(bytes, 2)?),
        u32::from_le_bytes(array(bytes, 4)?),
        u64::from_le_bytes(array(bytes, 8)?),
    ))
}

pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}
