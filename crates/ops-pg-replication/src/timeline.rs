//! Timelines: the histories of a cluster, one more at each promotion.

mod history;

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use ops_core::{Error, ErrorKind};

pub use history::{HistoryEntry, TimelineHistory};

use crate::text::{decimal, hex32, serde_as_text};

/// The number of a timeline, from 1 on. Written in decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timeline(NonZeroU32);

serde_as_text!(Timeline);

impl Timeline {
    /// The timeline of a new cluster.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// A timeline by its number.
    ///
    /// # Errors
    /// `InvalidInput` for 0.
    pub fn new(number: u32) -> Result<Self, Error> {
        NonZeroU32::new(number)
            .map(Self)
            .ok_or_else(|| invalid("there is no timeline 0"))
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The number as it stands in the names of files: 8 hexadecimal digits.
    pub fn hex8(self) -> String {
        format!("{:08X}", self.0)
    }

    /// Reads the 8 hexadecimal digits of the name of a file.
    ///
    /// # Errors
    /// `InvalidInput` for anything else.
    pub fn from_hex8(text: &str) -> Result<Self, Error> {
        hex32(text)
            .filter(|_| text.len() == 8)
            .and_then(NonZeroU32::new)
            .map(Self)
            .ok_or_else(|| invalid("not a timeline of 8 hexadecimal digits"))
    }

    /// The name of its history file, such as `00000002.history`. Timeline 1 has none.
    pub fn history_file_name(self) -> String {
        format!("{:08X}.history", self.0)
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Timeline {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        decimal(text)
            .and_then(|number| u32::try_from(number).ok())
            .and_then(NonZeroU32::new)
            .map(Self)
            .ok_or_else(|| invalid("not the number of a timeline"))
    }
}

impl TryFrom<u32> for Timeline {
    type Error = Error;

    fn try_from(number: u32) -> Result<Self, Error> {
        Self::new(number)
    }
}

impl From<Timeline> for u32 {
    fn from(timeline: Timeline) -> Self {
        timeline.get()
    }
}

#[cold]
fn invalid(problem: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_in_decimal_and_a_file_name_in_hex() {
        assert_eq!("12".parse::<Timeline>().unwrap().hex8(), "0000000C");
        assert_eq!(Timeline::from_hex8("0000000c").unwrap().to_string(), "12");
        assert_eq!(
            Timeline::new(0x1f).unwrap().history_file_name(),
            "0000001F.history"
        );
        for text in ["", "0", "-1", "+1", "4294967296", "1 ", "x"] {
            assert!(text.parse::<Timeline>().is_err(), "{text}");
        }
        for text in ["", "1", "00000000", "000000001", "0000000G", "+0000001"] {
            assert!(Timeline::from_hex8(text).is_err(), "{text}");
        }
        assert!(Timeline::new(0).is_err());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn it_is_kept_as_text() {
        let timeline = Timeline::new(3).unwrap();
        assert_eq!(serde_json::to_string(&timeline).unwrap(), "\"3\"");
        assert_eq!(serde_json::from_str::<Timeline>("\"3\"").unwrap(), timeline);
        assert!(serde_json::from_str::<Timeline>("\"0\"").is_err());
    }
}
