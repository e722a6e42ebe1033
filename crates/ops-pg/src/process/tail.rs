//! The last bytes of a stream, in bounded memory.

use std::collections::VecDeque;

/// Keeps the last bytes that were pushed.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    dropped: u64,
}

impl Tail {
    pub(super) const CAPACITY: usize = 16 * 1024;

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend(chunk);
        let excess = self.bytes.len().saturating_sub(Self::CAPACITY);
        self.bytes.drain(..excess);
        self.dropped += excess as u64;
    }

    /// How many bytes were let go.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn to_text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_stay_and_the_first_are_counted() {
        let mut tail = Tail::default();
        for line in 0..10_000 {
            tail.push(format!("line {line}\n").as_bytes());
        }
        let text = tail.to_text();
        assert_eq!(text.len(), Tail::CAPACITY);
        assert!(text.ends_with("line 9998\nline 9999\n"), "{text}");
        assert_eq!(tail.dropped(), 98_890 - 16_384);
    }

    #[test]
    fn a_chunk_larger_than_the_tail_is_cut() {
        let mut tail = Tail::default();
        tail.push(&vec![b'x'; Tail::CAPACITY * 3]);
        assert_eq!(tail.to_text().len(), Tail::CAPACITY);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let mut tail = Tail::default();
        tail.push(b"caf\xe9");
        assert_eq!(tail.to_text(), "caf\u{fffd}");
    }
}
