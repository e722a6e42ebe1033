//! Replication slots.

use std::fmt;
use std::str::FromStr;

use ops_core::{Error, ErrorKind};

use crate::lsn::Lsn;
use crate::text::serde_as_text;
use crate::timeline::Timeline;

/// The longest name of a slot, in bytes (`NAMEDATALEN - 1`).
const MAX_BYTES: usize = 63;

/// The name of a replication slot: 1 to 63 lowercase letters, digits and underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotName(String);

serde_as_text!(SlotName);

impl SlotName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// `InvalidInput` for what PostgreSQL does not take as the name of a slot.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if name.is_empty() || name.len() > MAX_BYTES || !name.bytes().all(plain) {
            let message = "the name of a replication slot is 1 to 63 lowercase letters, digits and underscores";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SlotName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::new(name)
    }
}

/// How to create a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotOptions {
    /// Whether the slot goes away with the connection. Defaults to no.
    pub temporary: bool,
    /// Whether the slot holds WAL back at once, not only from the first use on. Defaults
    /// to yes.
    pub reserve_wal: bool,
}

impl Default for SlotOptions {
    fn default() -> Self {
        Self {
            temporary: false,
            reserve_wal: true,
        }
    }
}

impl SlotOptions {
    /// Sets whether the slot goes away with the connection.
    #[must_use]
    pub fn with_temporary(mut self, temporary: bool) -> Self {
        self.temporary = temporary;
        self
    }

    /// Sets whether the slot holds WAL back at once.
    #[must_use]
    pub fn with_reserve_wal(mut self, reserve_wal: bool) -> Self {
        self.reserve_wal = reserve_wal;
        self
    }
}

/// Where a physical slot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotPosition {
    /// The oldest WAL that it holds back; `None` where it holds none back, because it has
    /// never been used or because it was invalidated.
    pub restart_lsn: Option<Lsn>,
    /// The timeline of that WAL. `None` before PostgreSQL 15, too.
    pub restart_timeline: Option<Timeline>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_break_out_of_a_command_is_refused() {
        let long = "x".repeat(64);
        for name in ["", "A", "a b", "a;b", "a\"b", "a'b", "é", "a-b", &long] {
            assert!(SlotName::new(name).is_err(), "{name}");
        }
        assert_eq!(SlotName::new("ops_1").unwrap().to_string(), "ops_1");
        assert!(SlotName::new("x".repeat(63)).is_ok());
    }
}
