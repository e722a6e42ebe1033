//! WAL segments: the files that the write-ahead log is cut into.

use std::fmt;
use std::str::FromStr;

use ops_core::{Error, ErrorKind};

use crate::lsn::Lsn;
use crate::text::{decimal, hex32, serde_as_text};
use crate::timeline::Timeline;

const MIB: u32 = 1 << 20;

/// The size of a WAL segment: a power of two from 1 MiB to 1 GiB, fixed by `initdb`.
///
/// Written as a number of bytes. [`from_setting`](Self::from_setting) reads what
/// `SHOW wal_segment_size` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WalSegmentSize(u32);

serde_as_text!(WalSegmentSize);

impl WalSegmentSize {
    /// 16 MiB, which nearly every cluster has.
    pub const DEFAULT: Self = Self(16 * MIB);

    /// A size in bytes.
    ///
    /// # Errors
    /// `InvalidInput` for what is no power of two from 1 MiB to 1 GiB.
    pub fn new(bytes: u64) -> Result<Self, Error> {
        u32::try_from(bytes)
            .ok()
            .filter(|bytes| bytes.is_power_of_two() && (MIB..=1024 * MIB).contains(bytes))
            .map(Self)
            .ok_or_else(|| {
                invalid("a WAL segment has a power of two from 1 MiB to 1 GiB as its size")
            })
    }

    /// Reads a setting such as `16MB`.
    ///
    /// # Errors
    /// `InvalidInput` for anything else, and as [`new`](Self::new).
    pub fn from_setting(text: &str) -> Result<Self, Error> {
        let unit = |suffix, bytes| Some((decimal(text.strip_suffix(suffix)?)?, bytes));
        let (number, unit) = unit("GB", 1 << 30)
            .or_else(|| unit("MB", 1 << 20))
            .or_else(|| unit("kB", 1 << 10))
            .or_else(|| unit("B", 1))
            .ok_or_else(|| invalid("not the size of a WAL segment, such as 16MB"))?;
        Self::new(number.saturating_mul(unit))
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        // `From` is not const.
        self.0 as u64
    }

    /// How many segments make up 4 GiB, after which the name counts up its middle part.
    pub const fn segments_per_log(self) -> u64 {
        (1 << 32) / self.bytes()
    }
}

impl Default for WalSegmentSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for WalSegmentSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for WalSegmentSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = decimal(text).ok_or_else(|| invalid("not a number of bytes"))?;
        Self::new(bytes)
    }
}

/// One segment of one timeline. Its file name depends on the size of the segments.
///
/// ```
/// use ops_pg_replication::{SegmentName, WalSegmentSize};
///
/// let size = WalSegmentSize::DEFAULT;
/// let segment = SegmentName::parse("0000000100000016000000B3", size)?;
/// assert_eq!(segment.start(size).to_string(), "16/B3000000");
/// assert_eq!(segment.next().file_name(size), "0000000100000016000000B4");
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName {
    timeline: Timeline,
    number: u64,
}

impl SegmentName {
    /// The segment of a timeline by its number, counted from 0 at `0/0`.
    pub const fn new(timeline: Timeline, number: u64) -> Self {
        Self { timeline, number }
    }

    /// Reads the 24 hexadecimal digits of a file name.
    ///
    /// # Errors
    /// `InvalidInput` for what is no name of a segment of this size.
    pub fn parse(text: &str, size: WalSegmentSize) -> Result<Self, Error> {
        let parts = || {
            let timeline = Timeline::from_hex8(text.get(..8)?).ok()?;
            let log = u64::from(hex32(text.get(8..16)?)?);
            let segment = u64::from(hex32(text.get(16..24)?)?);
            let fits = text.len() == 24 && segment < size.segments_per_log();
            fits.then_some(Self::new(timeline, log * size.segments_per_log() + segment))
        };
        parts().ok_or_else(|| invalid("not the name of a WAL segment of this size"))
    }

    /// The file name: timeline, then the position in two parts, 8 hexadecimal digits each.
    pub fn file_name(self, size: WalSegmentSize) -> String {
        let per_log = size.segments_per_log();
        format!(
            "{:08X}{:08X}{:08X}",
            self.timeline.get(),
            self.number / per_log,
            self.number % per_log
        )
    }

    /// The timeline.
    pub const fn timeline(self) -> Timeline {
        self.timeline
    }

    /// The number, counted from 0 at `0/0`, the same on every timeline.
    pub const fn number(self) -> u64 {
        self.number
    }

    /// The position of its first byte, or the largest position where it lies past that.
    pub const fn start(self, size: WalSegmentSize) -> Lsn {
        Lsn::new(self.number.saturating_mul(size.bytes()))
    }

    /// The position after its last byte, or the largest position where it lies past that.
    pub const fn end(self, size: WalSegmentSize) -> Lsn {
        self.start(size).saturating_add(size.bytes())
    }

    /// The next segment of the same timeline.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.timeline, self.number.saturating_add(1))
    }

    /// The segment before it on the same timeline, if there is one.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self.number.checked_sub(1) {
            Some(number) => Some(Self::new(self.timeline, number)),
            None => None,
        }
    }

    /// The same part of the log on another timeline.
    #[must_use]
    pub const fn on(self, timeline: Timeline) -> Self {
        Self::new(timeline, self.number)
    }
}

#[cold]
fn invalid(problem: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, problem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_the_server() {
        // SELECT pg_walfile_name('1/FF000028'), pg_walfile_name('2/28') with 16 and 64 MB.
        let timeline = Timeline::FIRST;
        for (megabytes, lsn, name) in [
            (16, "1/FF000028", "0000000100000001000000FF"),
            (16, "2/28", "000000010000000200000000"),
            (64, "1/FF000028", "00000001000000010000003F"),
            (64, "2/28", "000000010000000200000000"),
            (1024, "1/FF000028", "000000010000000100000003"),
        ] {
            let size = WalSegmentSize::new(megabytes << 20).unwrap();
            let lsn: Lsn = lsn.parse().unwrap();
            assert_eq!(lsn.segment(timeline, size).file_name(size), name);
        }
    }

    #[test]
    fn what_is_no_name_of_a_segment_is_refused() {
        let size = WalSegmentSize::DEFAULT;
        for text in [
            "",
            "000000010000000100000100",
            "000000000000000100000001",
            "0000000100000001000000FF.partial",
            "0000000100000001000000F",
            "0000000G00000001000000FF",
            "00000002.history",
            "ééééééééé",
        ] {
            assert!(SegmentName::parse(text, size).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_read_from_the_setting() {
        for (text, bytes) in [("16MB", 16 << 20), ("1GB", 1 << 30), ("1024kB", 1 << 20)] {
            assert_eq!(WalSegmentSize::from_setting(text).unwrap().bytes(), bytes);
        }
        for text in [
            "",
            "16",
            "MB",
            "17MB",
            "2GB",
            "512kB",
            "0MB",
            "99999999999999999999GB",
        ] {
            assert!(WalSegmentSize::from_setting(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_name_survives_being_written(timeline in 1_u32.., log: u32, power in 20_u32..=30) {
            let size = WalSegmentSize::new(1 << power).unwrap();
            let number = u64::from(log) * size.segments_per_log() + 1;
            let name = SegmentName::new(Timeline::new(timeline).unwrap(), number);
            prop_assert_eq!(SegmentName::parse(&name.file_name(size), size).unwrap(), name);
            prop_assert_eq!(name.next().previous(), Some(name));
            prop_assert_eq!(name.end(size), name.next().start(size));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = SegmentName::parse(&text, WalSegmentSize::DEFAULT);
            let _ = WalSegmentSize::from_setting(&text);
        }
    }
}
