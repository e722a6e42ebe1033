//! Counting and hashing rows, whatever their order.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// How many rows there are, and a hash of them that does not depend on their order.
///
/// The hash is the sum, modulo 2^128, of the XXH3-128 of each row in `COPY` text form.
/// A sum keeps duplicates apart, where an exclusive or would cancel them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowsDigest {
    /// How many rows.
    pub rows: u64,
    /// The sum of the rows' hashes.
    #[serde(with = "hex128")]
    pub hash: u128,
}

impl RowsDigest {
    /// The rows of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            hash: self.hash.wrapping_add(other.hash),
        }
    }

    fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.hash = self.hash.wrapping_add(hash);
    }
}

mod hex128 {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

/// Digests the lines of a `COPY ... TO STDOUT` in text format, cut anywhere.
#[derive(Default)]
pub(crate) struct RowHasher {
    digest: RowsDigest,
    /// The start of a row whose end has not come yet.
    partial: Option<Box<Partial>>,
    /// `\.` was seen: what follows are empty lines of `pg_dump`.
    ended: bool,
}

struct Partial {
    hasher: Xxh3,
    len: usize,
    /// The first two bytes, to know `\.` also where it is cut.
    head: [u8; 2],
}

impl RowHasher {
    pub(crate) fn update(&mut self, mut data: &[u8]) {
        while !self.ended && !data.is_empty() {
            let Some(end) = memchr::memchr(b'\n', data) else {
                self.partial.get_or_insert_default().extend(data);
                return;
            };
            let (line, rest) = data.split_at(end);
            data = rest.get(1..).unwrap_or_default();
            match self.partial.take() {
                None if line == b"\\." => self.ended = true,
                None => self.digest.add(xxh3_128(line)),
                Some(mut partial) => {
                    partial.extend(line);
                    if partial.is_end_marker() {
                        self.ended = true;
                    } else {
                        self.digest.add(partial.hasher.digest128());
                    }
                }
            }
        }
    }

    pub(crate) fn finish(mut self) -> RowsDigest {
        if let Some(partial) = self.partial.take()
            && !partial.is_end_marker()
        {
            self.digest.add(partial.hasher.digest128());
        }
        self.digest
    }
}

impl Default for Partial {
    fn default() -> Self {
        Self {
            hasher: Xxh3::new(),
            len: 0,
            head: [0; 2],
        }
    }
}

impl Partial {
    fn extend(&mut self, data: &[u8]) {
        for (slot, &byte) in self.head.iter_mut().skip(self.len).zip(data) {
            *slot = byte;
        }
        self.len += data.len();
        self.hasher.update(data);
    }

    fn is_end_marker(&self) -> bool {
        self.len == 2 && &self.head == b"\\."
    }
}

/// Digests large objects: each counts as one row made of its oid and its content.
#[derive(Default)]
pub(crate) struct LargeObjectsHasher {
    digest: RowsDigest,
    current: Option<Box<Xxh3>>,
}

impl LargeObjectsHasher {
    pub(crate) fn start(&mut self, oid: u32) {
        let mut hasher = Box::new(Xxh3::new());
        hasher.update(&oid.to_le_bytes());
        self.current = Some(hasher);
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        if let Some(hasher) = &mut self.current {
            hasher.update(data);
        }
    }

    pub(crate) fn end(&mut self) {
        if let Some(hasher) = self.current.take() {
            self.digest.add(hasher.digest128());
        }
    }

    pub(crate) fn finish(self) -> RowsDigest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(pieces: &[&[u8]]) -> RowsDigest {
        let mut hasher = RowHasher::default();
        for piece in pieces {
            hasher.update(piece);
        }
        hasher.finish()
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_duplicates_do() {
        assert_eq!(digest(&[b"a\nb\nc\n\\.\n\n\n"]), digest(&[b"c\na\nb\n"]));
        assert_ne!(digest(&[b"a\na\n"]).hash, digest(&[b"b\nb\n"]).hash);
        assert_ne!(digest(&[b"a\na\na\n"]), digest(&[b"a\n"]));
    }

    #[test]
    fn an_empty_row_is_a_row_and_the_lines_after_the_end_marker_are_not() {
        assert_eq!(digest(&[b"\n\n\\.\n\n\n"]).rows, 2);
        assert_eq!(digest(&[b"\\.\n\n\n"]).rows, 0);
        assert_eq!(digest(&[b"\\\\.\n"]).rows, 1);
    }

    proptest! {
        #[test]
        fn the_place_of_the_cuts_does_not_matter(
            rows in prop::collection::vec("[a-z\\\\.]{0,6}", 0..20),
            cuts in prop::collection::vec(0_usize..200, 0..8),
        ) {
            let rows: Vec<_> = rows.into_iter().filter(|row| row != "\\.").collect();
            let mut text: Vec<u8> = rows.iter().flat_map(|row| [row.as_bytes(), b"\n"].concat()).collect();
            text.extend_from_slice(b"\\.\n\n\n");
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % text.len()).collect();
            cuts.sort_unstable();
            let mut hasher = RowHasher::default();
            let mut from = 0;
            for cut in cuts {
                hasher.update(&text[from..cut]);
                from = cut;
            }
            hasher.update(&text[from..]);
            let found = hasher.finish();
            prop_assert_eq!(found, digest(&[&text]));
            prop_assert_eq!(found.rows, rows.len() as u64);
        }
    }
}
