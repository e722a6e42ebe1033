//! A request as it was sent, free of any transport.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

/// A request as a server has received it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query as sent: percent-encoded, without scheme and host.
    pub path_and_query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as sent.
    pub body: Bytes,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, path_and_query: impl Into<String>) -> Self {
        Self {
            method,
            path_and_query: path_and_query.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A request from the parts that a server has in hand.
    #[must_use]
    pub fn from_parts(
        method: Method,
        path_and_query: impl Into<String>,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            method,
            path_and_query: path_and_query.into(),
            headers,
            body: body.into(),
        }
    }

    /// With one more header.
    ///
    /// # Panics
    /// If name or value are none of HTTP.
    #[must_use]
    #[expect(clippy::expect_used, reason = "for tests, with literals")]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the name of a header");
        let value = HeaderValue::from_str(value).expect("the value of a header");
        self.headers.append(name, value);
        self
    }

    /// With a body of the given content type.
    ///
    /// # Panics
    /// If the content type is no value of a header.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.headers.remove(http::header::CONTENT_TYPE);
        self.with_header("content-type", content_type)
    }

    /// With a body of JSON.
    #[must_use]
    pub fn with_json(self, body: &Value) -> Self {
        self.with_body("application/json", body.to_string())
    }

    /// The same with the first label of the host as the first segment of the path.
    pub(crate) fn with_bucket_in_path(&self) -> Self {
        let host = self.header("host").unwrap_or_default();
        let bucket = host.split('.').next().unwrap_or_default();
        let target = match self.path_and_query.strip_prefix('/') {
            Some(rest) if rest.is_empty() || rest.starts_with('?') => format!("/{bucket}{rest}"),
            Some(rest) => format!("/{bucket}/{rest}"),
            None => self.path_and_query.clone(),
        };
        Self {
            path_and_query: target,
            ..self.clone()
        }
    }

    /// The same without the slash that may end a path of one segment: `/bucket/`.
    pub(crate) fn with_bare_bucket(&self) -> Self {
        let (path, query) = (self.path(), self.query());
        let bare = path.strip_suffix('/').filter(|it| it.rfind('/') == Some(0));
        let target = match (bare, query) {
            (None, _) => self.path_and_query.clone(),
            (Some(bare), "") => bare.to_owned(),
            (Some(bare), query) => format!("{bare}?{query}"),
        };
        Self {
            path_and_query: target,
            ..self.clone()
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.path_and_query
            .split_once('?')
            .map_or(self.path_and_query.as_str(), |(path, _)| path)
    }

    pub(crate) fn query(&self) -> &str {
        self.path_and_query
            .split_once('?')
            .map_or("", |(_, query)| query)
    }

    /// The value of a header, several of one name joined as HTTP has it.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<String> = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The content type in lower case, without its parameters.
    pub(crate) fn media_type(&self) -> Option<String> {
        self.header("content-type").map(|value| essence(&value))
    }
}

/// A media type in lower case, without its parameters.
pub(crate) fn essence(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}
