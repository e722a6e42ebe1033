//! Which cluster it is.

use std::fmt;
use std::str::FromStr;

use ops_core::{Error, ErrorKind};

use crate::text::{decimal, serde_as_text};

/// The identifier that `initdb` gives a cluster, and that its standbys and its physical
/// backups share. Written in decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SystemId(u64);

serde_as_text!(SystemId);

impl SystemId {
    /// An identifier by its number.
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for SystemId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        decimal(text)
            .map(Self)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "not a system identifier"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_64_bits_are_read_and_nothing_else() {
        let max = SystemId::new(u64::MAX);
        assert_eq!(max.to_string().parse::<SystemId>().unwrap(), max);
        for text in ["", "-1", "+1", "18446744073709551616", "7.0", "0x7"] {
            assert!(text.parse::<SystemId>().is_err(), "{text}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn it_is_kept_as_text_since_it_is_no_number_of_json() {
        let id = SystemId::new(u64::MAX);
        assert_eq!(
            serde_json::to_string(&id).unwrap(),
            "\"18446744073709551615\""
        );
        assert_eq!(
            serde_json::from_str::<SystemId>("\"18446744073709551615\"").unwrap(),
            id
        );
    }
}
