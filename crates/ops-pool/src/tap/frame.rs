//! Cutting a stream of bytes into messages.

/// What is told about the messages of one direction.
pub(super) trait Messages {
    /// A message begins. The answer is whether its body is of interest.
    fn begin(&mut self, kind: u8, length: usize) -> bool;
    /// A piece of a body that is of interest.
    fn body(&mut self, piece: &[u8]);
    /// The message is complete.
    fn end(&mut self, kind: u8);
    /// The bytes make no sense anymore.
    fn lost(&mut self);
}

/// The length of a message without its body.
pub(super) const HEADER: usize = 5;
/// The kind under which the startup message is told, which has none.
pub(super) const STARTUP: u8 = 0;

/// Finds the borders of messages in pieces of any size.
#[derive(Debug)]
pub(super) struct Framer {
    head: [u8; HEADER],
    have: usize,
    /// What is missing of the body.
    left: usize,
    kind: u8,
    wanted: bool,
    startup: bool,
    lost: bool,
}

impl Framer {
    /// What a client sends, which begins with a message without a kind.
    pub(super) fn frontend() -> Self {
        Self {
            startup: true,
            have: 1,
            ..Self::backend()
        }
    }

    /// What a server sends.
    pub(super) fn backend() -> Self {
        Self {
            head: [STARTUP; HEADER],
            have: 0,
            left: 0,
            kind: STARTUP,
            wanted: false,
            startup: false,
            lost: false,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], to: &mut impl Messages) {
        while !bytes.is_empty() && !self.lost {
            bytes = if self.left > 0 {
                self.body(bytes, to)
            } else if self.have == 0
                && let Some((head, rest)) = bytes.split_first_chunk()
            {
                // Nearly always a header is in one piece.
                self.head = *head;
                self.begin(to);
                rest
            } else {
                self.header(bytes, to)
            };
        }
    }

    #[inline]
    fn body<'a>(&mut self, bytes: &'a [u8], to: &mut impl Messages) -> &'a [u8] {
        let (piece, rest) = bytes.split_at(self.left.min(bytes.len()));
        self.left -= piece.len();
        if self.wanted {
            to.body(piece);
        }
        if self.left == 0 {
            to.end(self.kind);
        }
        rest
    }

    fn header<'a>(&mut self, bytes: &'a [u8], to: &mut impl Messages) -> &'a [u8] {
        let missing = self.head.get_mut(self.have..).unwrap_or_default();
        let (piece, rest) = bytes.split_at(missing.len().min(bytes.len()));
        if let Some(missing) = missing.get_mut(..piece.len()) {
            missing.copy_from_slice(piece);
        }
        self.have += piece.len();
        if self.have == self.head.len() {
            self.have = 0;
            self.begin(to);
        }
        rest
    }

    #[inline]
    fn begin(&mut self, to: &mut impl Messages) {
        let [kind, length @ ..] = self.head;
        // The length counts itself.
        let Some(left) = u32::from_be_bytes(length).checked_sub(4) else {
            self.lost = true;
            return to.lost();
        };
        self.left = left as usize;
        self.kind = if std::mem::take(&mut self.startup) {
            STARTUP
        } else {
            kind
        };
        self.wanted = to.begin(self.kind, self.left);
        if self.left == 0 {
            to.end(self.kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default, Debug, PartialEq)]
    struct Seen {
        messages: Vec<(u8, Vec<u8>)>,
        body: Vec<u8>,
        lost: bool,
    }

    impl Messages for Seen {
        fn begin(&mut self, _: u8, length: usize) -> bool {
            self.body = Vec::with_capacity(length);
            true
        }

        fn body(&mut self, piece: &[u8]) {
            self.body.extend(piece);
        }

        fn end(&mut self, kind: u8) {
            self.messages.push((kind, std::mem::take(&mut self.body)));
        }

        fn lost(&mut self) {
            self.lost = true;
        }
    }

    fn encode(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        if kind != STARTUP {
            bytes.push(kind);
        }
        bytes.extend((u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    proptest! {
        #[test]
        fn messages_are_found_however_the_stream_is_cut(
            startup in prop::collection::vec(any::<u8>(), 0..20),
            messages in prop::collection::vec((1u8.., prop::collection::vec(any::<u8>(), 0..30)), 0..20),
            cuts in prop::collection::vec(1usize..9, 1..200),
        ) {
            let mut expected = vec![(STARTUP, startup)];
            expected.extend(messages);
            let stream: Vec<u8> = expected.iter().flat_map(|(kind, body)| encode(*kind, body)).collect();
            let mut framer = Framer::frontend();
            let mut seen = Seen::default();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                framer.feed(piece, &mut seen);
                rest = after;
            }
            prop_assert_eq!(seen.messages, expected);
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_told_once_and_nothing_is_read_after_it() {
        let mut framer = Framer::backend();
        let mut seen = Seen::default();
        framer.feed(&[b'Z', 0, 0, 0, 3, b'Z', 0, 0, 0, 5, b'I'], &mut seen);
        assert!(seen.lost);
        assert_eq!(seen.messages, []);
    }
}
