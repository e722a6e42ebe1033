//! Requests as values: built and looked at without a network.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ops_core::object_store::ByteStream;
use ops_core::{Error, ErrorKind, Result, Secret};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::encode;
use crate::errors::ParseError;
use crate::multipart::Multipart;
use crate::operation::{Idempotency, Operation};

/// An answer whose body has been read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, not longer than the request allows.
    pub body: Bytes,
}

/// How a body is turned into what the caller wants.
pub(crate) type Decode<T> = fn(&Response) -> Result<T>;

/// What is sent.
pub(crate) enum Body {
    Empty,
    Json(Bytes),
    Form(Bytes),
    Raw {
        content_type: Cow<'static, str>,
        bytes: Bytes,
    },
    Multipart(Multipart),
    /// A stream is sent once: it cannot be read again.
    Stream {
        content_type: Cow<'static, str>,
        length: Option<u64>,
        stream: ByteStream,
    },
}

/// A request, ready to be sent, that knows how its answer is decoded.
///
/// ```
/// use ops_http::{ApiRequest, Operation};
///
/// static SHOW: Operation = Operation::get("Apps_show", "/apps/{app_name}");
///
/// #[derive(serde::Deserialize)]
/// struct App {
///     name: String,
/// }
///
/// let call = ApiRequest::new(&SHOW).segment("app_name", "a/b?").query("full", true).json::<App>();
/// assert_eq!(call.path_and_query(), "/apps/a%2Fb%3F?full=true");
/// ```
pub struct ApiRequest<T = ()> {
    pub(crate) operation: &'static Operation,
    pub(crate) class: Idempotency,
    pub(crate) segments: Vec<(&'static str, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Body,
    pub(crate) problem: Option<Error>,
    pub(crate) max_body: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) absent_is_none: bool,
    pub(crate) under_success: Option<ParseError>,
    /// Instead of the base URL, the path and the query.
    pub(crate) absolute: Option<Url>,
    pub(crate) resource: Option<String>,
    pub(crate) decode: Decode<T>,
}

/// The largest answer that is read unless a request allows another: 8 MiB.
pub const DEFAULT_MAX_BODY: usize = 8 * 1024 * 1024;

impl ApiRequest {
    /// A request without a body whose answer is not looked at.
    #[must_use]
    pub fn new(operation: &'static Operation) -> Self {
        Self {
            operation,
            class: operation.class(),
            segments: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Empty,
            problem: None,
            max_body: DEFAULT_MAX_BODY,
            timeout: None,
            absent_is_none: false,
            under_success: None,
            absolute: None,
            resource: None,
            decode: |_| Ok(()),
        }
    }
}

impl<T> ApiRequest<T> {
    /// Fills a variable segment of the template. The value is percent-encoded here, and
    /// nowhere else; the values `.` and `..` are refused.
    #[must_use]
    pub fn segment(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.segments.push((name, value.into()));
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Adds a query parameter where there is a value.
    #[must_use]
    pub fn query_opt(self, name: impl Into<String>, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header. Its value is public: secrets go through [`secret_header`](Self::secret_header).
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        match HeaderValue::from_str(value.as_ref()) {
            Ok(value) => self.headers.push((name, value)),
            Err(_) => self.refuse(format!("the value of header {name} is not valid")),
        }
        self
    }

    /// Adds a header that is never printed.
    #[must_use]
    pub fn secret_header(mut self, name: HeaderName, value: &Secret) -> Self {
        match HeaderValue::from_str(value.expose()) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.push((name, value));
            }
            Err(_) => self.refuse(format!("the value of header {name} is not valid")),
        }
        self
    }

    /// Sends a value as JSON.
    #[must_use]
    pub fn body_json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.body = Body::Json(bytes.into()),
            Err(err) => self.refuse(format!("the body is not JSON: {err}")),
        }
        self
    }

    /// Sends pairs as a form (`application/x-www-form-urlencoded`).
    #[must_use]
    pub fn body_form<K: AsRef<str>, V: AsRef<str>>(
        mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(pairs);
        self.body = Body::Form(form.finish().into());
        self
    }

    /// Sends bytes as they are.
    #[must_use]
    pub fn body_raw(
        mut self,
        content_type: impl Into<Cow<'static, str>>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        self.body = Body::Raw {
            content_type: content_type.into(),
            bytes: bytes.into(),
        };
        self
    }

    /// Sends a form of parts (`multipart/form-data`). A form with a stream in it is sent once.
    #[must_use]
    pub fn body_multipart(mut self, form: Multipart) -> Self {
        self.body = Body::Multipart(form);
        self
    }

    /// Sends a stream, which never lies in memory whole. It is read once: a request with it
    /// is not sent again. A stream that is shorter or longer than the length that is given
    /// fails the request.
    #[must_use]
    pub fn body_stream(
        mut self,
        content_type: impl Into<Cow<'static, str>>,
        length: Option<u64>,
        stream: ByteStream,
    ) -> Self {
        self.body = Body::Stream {
            content_type: content_type.into(),
            length,
            stream,
        };
        self
    }

    /// Names the resource, for errors.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Declares that this call may be repeated, for example because it carries an
    /// idempotency key that is the same for each attempt.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.class = Idempotency::Idempotent;
        self
    }

    /// Sets the time that one attempt may take, instead of the client's.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the size in bytes beyond which an answer is refused. Defaults to
    /// [`DEFAULT_MAX_BODY`].
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// The path and the query as they are sent, relative to the base URL.
    ///
    /// A segment that is missing or refused stands there as its name in braces; sending the
    /// request fails then.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let value = |name: &str| {
            let found = self.segments.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| value.as_str())
        };
        let (path, _) = encode::path(self.operation.template(), value);
        encode::with_query(path, &self.query)
    }

    /// The path and the query, where every segment is there.
    pub(crate) fn checked_path_and_query(&self) -> Result<String> {
        if let Some(problem) = &self.problem {
            return Err(Error::new(problem.kind(), problem.message().to_owned()));
        }
        let value = |name: &str| {
            let found = self.segments.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| value.as_str())
        };
        let (path, problem) = encode::path(self.operation.template(), value);
        match problem {
            Some(problem) => Err(Error::new(ErrorKind::InvalidInput, problem)),
            None => Ok(encode::with_query(path, &self.query)),
        }
    }

    /// The operation.
    #[must_use]
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// Whether it may be sent again when its outcome is not known.
    #[must_use]
    pub fn class(&self) -> Idempotency {
        self.class
    }

    /// The bytes of the body, where it is neither a stream nor a form of parts.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Empty => Some(&[]),
            Body::Json(bytes) | Body::Form(bytes) | Body::Raw { bytes, .. } => Some(bytes),
            Body::Multipart(_) | Body::Stream { .. } => None,
        }
    }

    fn refuse(&mut self, problem: String) {
        if self.problem.is_none() {
            self.problem = Some(Error::new(ErrorKind::InvalidInput, problem));
        }
    }

    /// The same request once more; `None` where its body is a stream.
    pub(crate) fn again(&self) -> Option<Self> {
        let body = match &self.body {
            Body::Empty => Body::Empty,
            Body::Json(bytes) => Body::Json(bytes.clone()),
            Body::Form(bytes) => Body::Form(bytes.clone()),
            Body::Raw {
                content_type,
                bytes,
            } => Body::Raw {
                content_type: content_type.clone(),
                bytes: bytes.clone(),
            },
            Body::Multipart(form) => Body::Multipart(form.again()?),
            Body::Stream { .. } => return None,
        };
        let problem = self.problem.as_ref();
        let problem = problem.map(|it| Error::new(it.kind(), it.message().to_owned()));
        Some(Self {
            segments: self.segments.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            absolute: self.absolute.clone(),
            resource: self.resource.clone(),
            body,
            problem,
            ..*self
        })
    }

    /// Sets a query parameter to one value.
    pub(crate) fn set_query(&mut self, name: &str, value: String) {
        self.query.retain(|(of, _)| of != name);
        self.query.push((name.to_owned(), value));
    }

    /// Sets what a JSON pointer of the body points to.
    pub(crate) fn set_in_body(&mut self, pointer: &str, value: &str) -> Option<()> {
        let Body::Json(bytes) = &self.body else {
            return None;
        };
        let mut body: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let (parent, name) = pointer.rsplit_once('/')?;
        let parent = body.pointer_mut(parent)?.as_object_mut()?;
        parent.insert(name.to_owned(), value.into());
        self.body = Body::Json(serde_json::to_vec(&body).ok()?.into());
        Some(())
    }

    fn decoding<U>(self, decode: Decode<U>) -> ApiRequest<U> {
        let Self {
            operation,
            class,
            segments,
            query,
            headers,
            body,
            problem,
            max_body,
            timeout,
            absent_is_none,
            under_success,
            absolute,
            resource,
            decode: _,
        } = self;
        ApiRequest {
            operation,
            class,
            segments,
            query,
            headers,
            body,
            problem,
            max_body,
            timeout,
            absent_is_none,
            under_success,
            absolute,
            resource,
            decode,
        }
    }

    /// Decodes the answer as JSON: unknown fields are ignored, an error names the field.
    #[must_use]
    pub fn json<U: DeserializeOwned>(self) -> ApiRequest<U> {
        self.decoding(crate::decode::json)
    }

    /// Decodes the answer as JSON, and a 404 as `None`.
    #[must_use]
    pub fn json_or_absent<U: DeserializeOwned>(mut self) -> ApiRequest<Option<U>> {
        self.absent_is_none = true;
        self.decoding(crate::decode::json_or_absent)
    }

    /// Answers whether the thing was there: `true` for success, `false` for a 404 or 410.
    #[must_use]
    pub fn existed(mut self) -> ApiRequest<bool> {
        self.absent_is_none = true;
        self.decoding(|response| Ok(response.status.is_success()))
    }

    /// Hands over the answer as it came, for what is not JSON.
    #[must_use]
    pub fn decoded_by<U>(self, decode: fn(&Response) -> Result<U>) -> ApiRequest<U> {
        self.decoding(decode)
    }
}

impl<T> fmt::Debug for ApiRequest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of segments, parameters, headers and bodies may be anybody's secrets.
        f.debug_struct("ApiRequest")
            .field("operation", &self.operation.id())
            .field("method", self.operation.method())
            .field("template", &self.operation.template())
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
