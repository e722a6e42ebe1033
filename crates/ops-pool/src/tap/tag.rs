//! What kind of statement was the last.

use std::fmt;

/// The longest of PostgreSQL's is `CREATE TEXT SEARCH CONFIGURATION`.
const LONGEST: usize = 32;

/// The command of a statement, such as `UPDATE` or `CREATE TABLE`, by what the server says
/// when it has run. It holds nothing of the statement's data.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandTag {
    text: [u8; LONGEST],
    length: usize,
}

impl CommandTag {
    /// Reads the body of a `CommandComplete`, without the numbers at its end. None where
    /// that is not the name of a command.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut words = body.strip_suffix(&[0])?;
        while let Some(space) = words.iter().rposition(|byte| *byte == b' ')
            && let Some((rest, [_, number @ ..])) = words.split_at_checked(space)
            && number.iter().all(u8::is_ascii_digit)
        {
            words = rest;
        }
        // It may end up in a log.
        let harmless = |byte: &u8| byte.is_ascii_uppercase() || *byte == b' ';
        if words.is_empty() || !words.iter().all(harmless) {
            return None;
        }
        let mut text = [0; LONGEST];
        text.get_mut(..words.len())?.copy_from_slice(words);
        let length = words.len();
        Some(Self { text, length })
    }

    /// The command, in capital letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..self.length).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Display for CommandTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CommandTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The body of a `CommandComplete` while it comes.
#[derive(Debug)]
pub(super) struct Body {
    bytes: [u8; Self::ROOM],
    length: usize,
}

impl Body {
    /// `INSERT` with the largest two numbers takes 39.
    const ROOM: usize = 48;

    pub(super) fn new() -> Self {
        Self {
            bytes: [0; Self::ROOM],
            length: 0,
        }
    }

    pub(super) fn begin(&mut self) {
        self.length = 0;
    }

    /// What is too long is cut, and then is no tag.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let fits = room.len().min(piece.len());
        if let (Some(room), Some(piece)) = (room.get_mut(..fits), piece.get(..fits)) {
            room.copy_from_slice(piece);
            self.length += fits;
        }
    }

    pub(super) fn tag(&self) -> Option<CommandTag> {
        CommandTag::read(self.bytes.get(..self.length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(body: &str) -> Option<String> {
        let mut whole = Body::new();
        whole.begin();
        // In pieces of any size.
        for piece in [body.as_bytes(), &[0]].concat().chunks(3) {
            whole.push(piece);
        }
        whole.tag().map(|tag| tag.to_string())
    }

    #[test]
    fn a_tag_is_the_command_without_its_numbers() {
        for (body, command) in [
            ("SELECT 1", "SELECT"),
            ("UPDATE 0", "UPDATE"),
            ("INSERT 0 5", "INSERT"),
            ("INSERT 4294967295 18446744073709551615", "INSERT"),
            ("CREATE TABLE", "CREATE TABLE"),
            (
                "CREATE TEXT SEARCH CONFIGURATION",
                "CREATE TEXT SEARCH CONFIGURATION",
            ),
            ("COPY 12", "COPY"),
        ] {
            assert_eq!(tag(body).as_deref(), Some(command));
        }
    }

    #[test]
    fn what_no_server_says_is_no_tag() {
        let long = "A".repeat(60);
        let longer_than_any = "A".repeat(LONGEST + 1);
        for body in [
            "",
            " ",
            "5",
            " 5",
            "select 1",
            "DROP\nTABLE",
            "A\u{1b}[2J",
            &long,
            &longer_than_any,
        ] {
            assert_eq!(tag(body), None, "{body:?}");
        }
        assert_eq!(CommandTag::read(b"SELECT 1"), None, "it does not end");
    }
}
