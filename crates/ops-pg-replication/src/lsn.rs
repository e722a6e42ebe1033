//! Positions in the write-ahead log.

use std::fmt;
use std::str::FromStr;

use ops_core::{Error, ErrorKind};

use crate::segment::{SegmentName, WalSegmentSize};
use crate::text::{hex32, serde_as_text};
use crate::timeline::Timeline;

/// A log sequence number: the position of a byte in the write-ahead log.
///
/// Written as PostgreSQL writes it, in two hexadecimal halves.
///
/// ```
/// use ops_pg_replication::Lsn;
///
/// let lsn: Lsn = "16/B374D848".parse()?;
/// assert_eq!(lsn.as_u64(), 0x16_B374_D848);
/// assert_eq!(lsn.to_string(), "16/B374D848");
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lsn(u64);

serde_as_text!(Lsn);

impl Lsn {
    /// `0/0`: no position at all, as PostgreSQL uses it (`InvalidXLogRecPtr`).
    pub const INVALID: Self = Self(0);

    /// The largest position.
    pub const MAX: Self = Self(u64::MAX);

    /// The position of a byte.
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// The position as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Whether this is [`INVALID`](Self::INVALID).
    pub const fn is_invalid(self) -> bool {
        self.0 == 0
    }

    /// The position so many bytes on, unless that is past the largest one.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(position) => Some(Self(position)),
            None => None,
        }
    }

    /// The position so many bytes before, unless there is none.
    #[must_use]
    pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
        match self.0.checked_sub(bytes) {
            Some(position) => Some(Self(position)),
            None => None,
        }
    }

    /// The position so many bytes on, or the largest one.
    #[must_use]
    pub const fn saturating_add(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// How many bytes lie from `earlier` to this position; `None` where `earlier` is later.
    pub const fn distance_from(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }

    /// How many bytes lie from `earlier` to this position; 0 where `earlier` is later.
    pub const fn saturating_distance_from(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The number of the segment that holds the byte at this position.
    pub const fn segment_number(self, size: WalSegmentSize) -> u64 {
        self.0 / size.bytes()
    }

    /// The segment of a timeline that holds the byte at this position.
    pub const fn segment(self, timeline: Timeline, size: WalSegmentSize) -> SegmentName {
        SegmentName::new(timeline, self.segment_number(size))
    }

    /// The segment that holds the byte before this position: where a position is the end
    /// of something, the last segment that is needed. At `0/0` the first segment.
    pub const fn segment_of_end(self, timeline: Timeline, size: WalSegmentSize) -> SegmentName {
        Self(self.0.saturating_sub(1)).segment(timeline, size)
    }

    /// Where the segment that holds this position begins.
    #[must_use]
    pub const fn segment_start(self, size: WalSegmentSize) -> Self {
        Self(self.0 - self.offset_in_segment(size))
    }

    /// How many bytes of its segment lie before this position.
    pub const fn offset_in_segment(self, size: WalSegmentSize) -> u64 {
        self.0 % size.bytes()
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.split_once('/')
            .and_then(|(high, low)| Some((hex32(high)?, hex32(low)?)))
            .map(|(high, low)| Self(u64::from(high) << 32 | u64::from(low)))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidInput,
                    "not a log sequence number such as 16/B374D848",
                )
            })
    }
}

impl From<u64> for Lsn {
    fn from(position: u64) -> Self {
        Self(position)
    }
}

impl From<Lsn> for u64 {
    fn from(lsn: Lsn) -> Self {
        lsn.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_position_is_refused() {
        for text in [
            "",
            "/",
            "0",
            "0/",
            "/0",
            "+1/0",
            "0/-1",
            "1/2/3",
            "123456789/0",
            "0/G",
            " 0/0",
        ] {
            let err = text.parse::<Lsn>().unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput, "{text}");
        }
        assert_eq!("ffffffff/FFFFFFFF".parse::<Lsn>().unwrap(), Lsn::MAX);
        assert_eq!("0/0".parse::<Lsn>().unwrap(), Lsn::INVALID);
    }

    #[test]
    fn an_end_at_a_boundary_belongs_to_the_segment_before_it() {
        let size = WalSegmentSize::DEFAULT;
        let timeline = Timeline::FIRST;
        let boundary = Lsn::new(3 * size.bytes());
        assert_eq!(boundary.segment(timeline, size).number(), 3);
        assert_eq!(boundary.segment_of_end(timeline, size).number(), 2);
        assert_eq!(
            boundary
                .saturating_add(1)
                .segment_of_end(timeline, size)
                .number(),
            3
        );
        assert_eq!(Lsn::INVALID.segment_of_end(timeline, size).number(), 0);
    }

    #[test]
    fn arithmetic_neither_wraps_nor_goes_below_zero() {
        assert_eq!(Lsn::MAX.checked_add(1), None);
        assert_eq!(Lsn::INVALID.checked_sub(1), None);
        assert_eq!(Lsn::MAX.saturating_add(7), Lsn::MAX);
        assert_eq!(Lsn::new(5).distance_from(Lsn::new(7)), None);
        assert_eq!(Lsn::new(7).distance_from(Lsn::new(5)), Some(2));
        assert_eq!(Lsn::new(5).saturating_distance_from(Lsn::new(7)), 0);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn it_is_kept_as_text() {
        assert_eq!(
            serde_json::to_string(&Lsn::new(0x1_0000_00ff)).unwrap(),
            "\"1/FF\""
        );
        assert_eq!(
            serde_json::from_str::<Lsn>("\"1/FF\"").unwrap(),
            Lsn::new(0x1_0000_00ff)
        );
        assert!(serde_json::from_str::<Lsn>("\"1\"").is_err());
        assert!(serde_json::from_str::<Lsn>("1").is_err());
    }

    proptest! {
        #[test]
        fn it_survives_being_written(position: u64) {
            let lsn = Lsn::new(position);
            prop_assert_eq!(lsn.to_string().parse::<Lsn>().unwrap(), lsn);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,24}") {
            let _ = text.parse::<Lsn>();
        }

        #[test]
        fn start_and_offset_make_up_the_position(position: u64, power in 20_u32..=30) {
            let size = WalSegmentSize::new(1 << power).unwrap();
            let lsn = Lsn::new(position);
            let start = lsn.segment_start(size);
            prop_assert_eq!(start.offset_in_segment(size), 0);
            prop_assert_eq!(start.as_u64() + lsn.offset_in_segment(size), position);
            prop_assert_eq!(start.as_u64(), lsn.segment_number(size) * size.bytes());
        }
    }
}
