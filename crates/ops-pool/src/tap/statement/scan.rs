//! The scanner of statements.

/// A part of a statement, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A key word or a name without quotes.
    Word(&'a str),
    /// A name in quotes.
    Quoted(&'a str),
    Dot,
    Open,
    Semicolon,
    /// A string, a number, a parameter, an operator, any other sign.
    Other,
}

/// Cuts a statement into tokens.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    rest: &'a str,
    sure: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(query: &'a str) -> Self {
        Self {
            rest: query,
            sure: true,
        }
    }

    /// Whether everything so far has one reading.
    pub(super) fn is_sure(&self) -> bool {
        self.sure
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks();
        let first = self.rest.chars().next()?;
        Some(match first {
            '\'' => self.string(false),
            '"' => self.quoted(),
            '$' => self.dollar(),
            '.' => self.one(Token::Dot),
            '(' => self.one(Token::Open),
            ';' => self.one(Token::Semicolon),
            '0'..='9' => {
                self.take(|c| c.is_ascii_alphanumeric() || c == '_');
                Token::Other
            }
            _ if begins_word(first) => self.word(),
            _ => {
                self.skip(first.len_utf8());
                Token::Other
            }
        })
    }

    fn skip(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    fn one(&mut self, token: Token<'a>) -> Token<'a> {
        self.skip(1);
        token
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip_blanks(&mut self) {
        loop {
            self.rest = self
                .rest
                .trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
            if self.rest.starts_with("--") {
                self.take(|c| c != '\n' && c != '\r');
            } else if self.rest.starts_with("/*") {
                self.comment();
            } else {
                return;
            }
        }
    }

    /// Comments nest.
    fn comment(&mut self) {
        let mut depth = 0_u32;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
                if depth == 0 {
                    return;
                }
            } else {
                let Some(first) = self.rest.chars().next() else {
                    return self.doubt();
                };
                self.skip(first.len_utf8());
            }
        }
    }

    /// Whatever follows could be read in two ways, so nothing more is read.
    fn doubt(&mut self) {
        self.sure = false;
        self.rest = "";
    }

    fn string(&mut self, escapes: bool) -> Token<'a> {
        self.skip(1);
        loop {
            let Some(at) = self.rest.find(['\'', '\\']) else {
                self.doubt();
                return Token::Other;
            };
            let backslash = self.rest.get(at..).is_some_and(|it| it.starts_with('\\'));
            self.skip(at + 1);
            if backslash {
                // Elsewhere what it means depends on standard_conforming_strings.
                let Some(next) = self.rest.chars().next().filter(|_| escapes) else {
                    self.doubt();
                    return Token::Other;
                };
                self.skip(next.len_utf8());
            } else if self.rest.starts_with('\'') {
                self.skip(1);
            } else {
                return Token::Other;
            }
        }
    }

    fn quoted(&mut self) -> Token<'a> {
        self.skip(1);
        let inside = self.rest;
        loop {
            let Some(at) = self.rest.find('"') else {
                self.doubt();
                return Token::Other;
            };
            self.skip(at + 1);
            if !self.rest.starts_with('"') {
                let length = inside.len() - self.rest.len() - 1;
                return Token::Quoted(inside.get(..length).unwrap_or_default());
            }
            self.skip(1);
        }
    }

    /// A parameter, or a string between two equal tags.
    fn dollar(&mut self) -> Token<'a> {
        self.skip(1);
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            self.take(|c| c.is_ascii_digit());
            return Token::Other;
        }
        let mut ahead = Self::new(self.rest);
        let tag = ahead.take(|c| c != '$' && continues_word(c));
        let begins = tag.chars().next().is_none_or(begins_word);
        if !begins || !ahead.rest.starts_with('$') {
            return Token::Other;
        }
        ahead.skip(1);
        let end = format!("${tag}$");
        let Some(at) = ahead.rest.find(&end) else {
            self.doubt();
            return Token::Other;
        };
        ahead.skip(at + end.len());
        self.rest = ahead.rest;
        Token::Other
    }

    /// A word, or a string or a quoted name with a letter in front.
    fn word(&mut self) -> Token<'a> {
        let word = self.take(continues_word);
        let prefix = |of: &str| word.eq_ignore_ascii_case(of);
        if self.rest.starts_with('\'') && (prefix("e") || prefix("b") || prefix("x") || prefix("n"))
        {
            return self.string(prefix("e"));
        }
        if prefix("u") && (self.rest.starts_with("&'") || self.rest.starts_with("&\"")) {
            // With UESCAPE any character may be the one that escapes.
            self.doubt();
            return Token::Other;
        }
        Token::Word(word)
    }
}

fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn continues_word(c: char) -> bool {
    begins_word(c) || c.is_ascii_digit() || c == '$'
}
