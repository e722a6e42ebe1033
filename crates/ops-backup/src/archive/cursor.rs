//! The numbers and strings of an archive.

/// Reads from a slice that may end too early: every method answers `None` then.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    int_size: usize,
}

/// A signed number as the archive writes it: a sign byte, then little-endian magnitude.
pub(super) type Int = i64;

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8], int_size: usize) -> Self {
        Self { rest, int_size }
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn int(&mut self) -> Option<Int> {
        let negative = self.byte()? != 0;
        let magnitude = self
            .bytes(self.int_size)?
            .iter()
            .rev()
            .fold(0_i64, |value, &byte| (value << 8) | i64::from(byte));
        Some(if negative { -magnitude } else { magnitude })
    }

    /// A string; the inner `None` is the archive's own "no string".
    #[expect(
        clippy::option_option,
        reason = "the outer one is every reader's \"not enough\""
    )]
    pub(super) fn string(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.int()?) {
            Ok(len) => self.bytes(len).map(Some),
            Err(_) => Some(None),
        }
    }
}
