//! What is wrong with a request or an answer, and where.

use std::fmt;

/// The part of a message that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// Method and path together.
    Operation,
    /// A segment of the path.
    Path,
    /// The query string.
    Query,
    /// A header.
    Header,
    /// The body.
    Body,
    /// The document of a GraphQL request.
    Document,
    /// The variables of a GraphQL request.
    Variables,
    /// The status of an answer.
    Status,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Body => "body",
            Self::Document => "document",
            Self::Variables => "variables",
            Self::Status => "status",
        }
    }
}

/// The rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// No operation has this method and path, or this status.
    Undescribed,
    /// A field, parameter or body that the description does not name.
    Unknown,
    /// A field that only answers may have.
    ReadOnly,
    /// Something required is missing.
    Required,
    /// The value has another type.
    Type,
    /// The value is not one of those listed.
    Enum,
    /// The value is not of the format or pattern.
    Format,
    /// The value is too small, too large, too short or too long.
    Range,
    /// The content type is not one of those listed.
    ContentType,
    /// The text is not of its own kind: not JSON, not UTF-8, not a form.
    Syntax,
    /// Another rule of the description.
    Schema,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The part of the message.
    pub place: Place,
    /// A JSON pointer within that part. For parameters and headers its first token is their
    /// name. Empty for the whole part.
    pub pointer: String,
    /// The rule.
    pub rule: Rule,
    /// What is wrong, as one line.
    pub message: String,
}

impl Violation {
    pub(crate) fn new(
        place: Place,
        pointer: impl Into<String>,
        rule: Rule,
        message: impl Into<String>,
    ) -> Self {
        Self {
            place,
            pointer: pointer.into(),
            rule,
            message: message.into(),
        }
    }

    /// The same at a place further up: its pointer gets `name` in front.
    pub(crate) fn below(mut self, place: Place, name: &str) -> Self {
        self.place = place;
        self.pointer = format!("/{}{}", escape(name), self.pointer);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.place.name())?;
        if !self.pointer.is_empty() {
            write!(f, " {}", self.pointer)?;
        }
        write!(f, ": {} ({:?})", self.message, self.rule)
    }
}

/// All violations as lines of one text, for the message of a test that fails.
#[must_use]
pub fn lines(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A name as one token of a JSON pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A token of a JSON pointer as the name that it stands for.
pub(crate) fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
