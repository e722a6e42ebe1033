//! What all descriptions of HTTP interfaces have in common, whatever they are written in.

use http::Method;

use super::route::Route;

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    pub(crate) route: Route,
    pub(crate) parameters: Vec<Parameter>,
    /// Further headers that may be sent, in lower case. What ends with `-` is the beginning
    /// of any.
    pub(crate) further_headers: Vec<String>,
    pub(crate) body: Option<Body>,
    pub(crate) responses: Vec<Response>,
    /// Where the path is served. Empty for the server of the whole description.
    pub(crate) servers: Vec<String>,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum In {
    Path,
    Query,
    Header,
}

/// How a list or an object is written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Repeated names (`a=1&a=2`), and each field of an object under its own name.
    Exploded,
    /// One value with a separator (`a=1,2`).
    Separated(char),
    /// `a[field]=1`.
    DeepObject,
    /// JSON as text.
    Json,
}

/// A parameter in path, query or header.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) place: In,
    pub(crate) required: bool,
    /// Where its schema is.
    pub(crate) schema: Option<String>,
    pub(crate) style: Style,
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) required: bool,
    pub(crate) media: Vec<Media>,
}

/// A content type and its schema.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    /// Lower case, without parameters; may have `*`.
    pub(crate) content_type: String,
    pub(crate) schema: Option<String>,
    /// Answers that the description shows, each with a label.
    pub(crate) examples: Vec<(String, serde_json::Value)>,
}

impl Media {
    /// Whether a media type is the one meant here.
    pub(crate) fn covers(&self, media_type: &str) -> bool {
        match self.content_type.strip_suffix('*') {
            Some(start) => start == "*/" || media_type.starts_with(start),
            None => self.content_type == media_type,
        }
    }

    /// Whether its text is JSON.
    pub(crate) fn is_json(&self) -> bool {
        is_json(&self.content_type)
    }
}

pub(crate) fn is_json(media_type: &str) -> bool {
    media_type == "text/json" || media_type == "application/json" || media_type.ends_with("+json")
}

/// The status that an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Exact(u16),
    /// `4XX`.
    Class(u16),
    /// Any that is not named.
    Default,
}

impl Status {
    pub(crate) fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(status) => Self::Exact(status),
            Err(_) => match text.chars().next().and_then(|c| c.to_digit(10)) {
                Some(class) => Self::Class(u16::try_from(class).unwrap_or(5)),
                None => Self::Default,
            },
        }
    }

    /// How well a status fits: the smaller, the better.
    pub(crate) const fn fit(self, status: u16) -> Option<u8> {
        match self {
            Self::Exact(exact) if exact == status => Some(0),
            Self::Class(class) if class == status / 100 => Some(1),
            Self::Default => Some(2),
            _ => None,
        }
    }
}

/// What may be answered with one status.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: Status,
    /// Empty where there is no body.
    pub(crate) media: Vec<Media>,
    /// Names of headers and where their schemas are.
    pub(crate) headers: Vec<(String, Option<String>)>,
}
