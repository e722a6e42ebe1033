//! Rust source, split into code, comments and literals.
//!
//! A check must not mistake a text for code, nor code in a comment for code. This knows
//! just enough of the lexical grammar to tell them apart, and nothing of the syntax.

/// A Rust file.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: String,
    /// The text with spaces for comments and `_` for what stands in literals.
    pub(super) code: String,
    /// The text with spaces for everything but comments.
    pub(super) comments: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let mut splitter = Splitter {
            chars: text.chars().collect(),
            at: 0,
            code: String::with_capacity(text.len()),
            comments: String::with_capacity(text.len()),
        };
        splitter.run();
        Self {
            path: path.to_owned(),
            code: splitter.code,
            comments: splitter.comments,
        }
    }

    /// Lines of code, counted from 1.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
    }

    /// Lines of comments, counted from 1.
    pub(super) fn comment_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.comments
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
    }
}

/// The line of a position, counted from 1.
pub(super) fn line_at(text: &str, position: usize) -> usize {
    text.bytes()
        .take(position)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Clone, Copy)]
enum Kind {
    Code,
    Comment,
    Literal,
}

struct Splitter {
    chars: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

impl Splitter {
    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.take_while(Kind::Comment, |c| c != '\n'),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('\'', _) => self.quote(),
                (c, _) if is_word(c) => self.word(),
                _ => self.take(Kind::Code),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn take(&mut self, kind: Kind) {
        let Some(c) = self.peek(0) else { return };
        self.at += 1;
        let (code, comment) = match kind {
            _ if c == '\n' => (c, c),
            Kind::Code => (c, ' '),
            Kind::Comment => (' ', c),
            Kind::Literal if c.is_whitespace() => (' ', ' '),
            Kind::Literal => ('_', ' '),
        };
        self.code.push(code);
        self.comments.push(comment);
    }

    fn take_n(&mut self, kind: Kind, count: usize) {
        for _ in 0..count {
            self.take(kind);
        }
    }

    fn take_while(&mut self, kind: Kind, goes_on: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&goes_on) {
            self.take(kind);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => {
                    depth += 1;
                    self.take_n(Kind::Comment, 2);
                }
                ('*', Some('/')) => {
                    depth -= 1;
                    self.take_n(Kind::Comment, 2);
                }
                _ => self.take(Kind::Comment),
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A string with escapes; the quotes count as code.
    fn string(&mut self) {
        self.take(Kind::Code);
        while let Some(c) = self.peek(0) {
            match c {
                '"' => return self.take(Kind::Code),
                '\\' => self.take_n(Kind::Literal, 2),
                _ => self.take(Kind::Literal),
            }
        }
    }

    /// A character, or the start of a lifetime.
    fn quote(&mut self) {
        match (self.peek(1), self.peek(2)) {
            (Some('\\'), _) => {
                self.take(Kind::Code);
                self.take_n(Kind::Literal, 2);
                self.take_while(Kind::Literal, |c| c != '\'');
                self.take(Kind::Code);
            }
            (Some(_), Some('\'')) => {
                self.take(Kind::Code);
                self.take(Kind::Literal);
                self.take(Kind::Code);
            }
            _ => self.take(Kind::Code),
        }
    }

    /// An identifier, a keyword, a number, or the prefix of a raw string.
    fn word(&mut self) {
        let start = self.at;
        self.take_while(Kind::Code, is_word);
        let word: String = self
            .chars
            .get(start..self.at)
            .unwrap_or_default()
            .iter()
            .collect();
        if !matches!(word.as_str(), "r" | "br" | "cr") {
            return;
        }
        let hashes = self
            .chars
            .iter()
            .skip(self.at)
            .take_while(|c| **c == '#')
            .count();
        if self.peek(hashes) == Some('"') {
            self.raw_string(hashes);
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        self.take_n(Kind::Code, hashes + 1);
        while let Some(c) = self.peek(0) {
            let ends = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if ends {
                return self.take_n(Kind::Code, hashes + 1);
            }
            self.take(Kind::Literal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (String, String) {
        let source = Source::new("a.rs", text);
        (source.code, source.comments)
    }

    #[test]
    fn comments_are_not_code() {
        let (code, comments) = split("a /* b /* c */ d */ e // f\ng");
        assert_eq!(code, "a                   e     \ng");
        assert_eq!(comments.trim_end(), "  /* b /* c */ d */   // f");
    }

    #[test]
    fn what_stands_in_a_literal_is_neither_code_nor_comment() {
        for literal in [
            r#""x! // y \" z""#,
            r##"r#"x! " // y"#"##,
            r#"b"x! /* y""#,
            r"'\u{41}'",
            r"'\''",
            r#"'"'"#,
        ] {
            let (code, comments) = split(&format!("f({literal}); // end"));
            assert!(!code.contains("x!") && code.contains(';'), "{code}");
            assert_eq!(comments.trim(), "// end", "{literal}");
        }
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        let text = "fn f<'a>(r#type: &'a str) -> &'static str { r }";
        assert_eq!(split(text).0, text);
    }

    #[test]
    fn an_empty_reason_stays_empty() {
        assert_eq!(split("#[ignore = \"\"]").0, "#[ignore = \"\"]");
        assert_eq!(split("#[ignore = \"slow\"]").0, "#[ignore = \"____\"]");
    }

    #[test]
    fn lines_are_kept() {
        let text = "a\n/* b\nc */\n\"d\ne\"\nf";
        let (code, comments) = split(text);
        let newlines = |text: &str| text.matches('\n').count();
        assert_eq!((newlines(&code), newlines(&comments)), (5, 5));
        assert_eq!(line_at(text, text.len()), 6);
    }

    #[test]
    fn unfinished_source_does_not_hang() {
        for text in ["\"abc", "/* abc", "r##\"abc\"#", "'", "'\\", "b'"] {
            assert_eq!(
                split(text).0.chars().count(),
                text.chars().count(),
                "{text}"
            );
        }
    }
}
