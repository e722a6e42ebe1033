//! The one error that crosses a provider trait.
//!
//! [`Error`] is opaque and one word wide. A caller branches on [`Error::kind`],
//! decides about repeating from [`Error::retry`], and prints the whole chain with
//! [`Report`]. `Display` never includes the source: printing the chain and the
//! outer text together would say everything twice.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use crate::id::ProviderId;

mod kind;

pub use kind::{ErrorKind, Retry};

/// A boxed source error.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error from a provider.
///
/// ```
/// use ops_core::{Error, ErrorKind, Report};
///
/// let io = std::io::Error::other("connection reset");
/// let err = Error::new(ErrorKind::Unavailable, "the server closed the connection")
///     .with_provider("postgres")
///     .with_operation("database.ping")
///     .with_source(io);
///
/// assert_eq!(err.to_string(), "postgres: database.ping: the server closed the connection");
/// assert_eq!(
///     Report(&err).to_string(),
///     "postgres: database.ping: the server closed the connection: connection reset",
/// );
/// assert!(err.is_retryable());
/// ```
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

#[derive(Debug, thiserror::Error)]
#[error("{}{message}", Prefix { provider, operation })]
struct Inner {
    kind: ErrorKind,
    retry: Retry,
    provider: Option<ProviderId>,
    operation: Option<Cow<'static, str>>,
    resource: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
    attempts: u32,
    message: Cow<'static, str>,
    #[source]
    source: Option<BoxError>,
}

struct Prefix<'a> {
    provider: &'a Option<ProviderId>,
    operation: &'a Option<Cow<'static, str>>,
}

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = self.provider {
            write!(f, "{provider}: ")?;
        }
        if let Some(operation) = self.operation {
            write!(f, "{operation}: ")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            retry,
            provider,
            operation,
            resource,
            status,
            code,
            request_id,
            attempts,
            message,
            source,
        } = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", kind).field("retry", retry);
        if let Some(provider) = provider {
            out.field("provider", &provider.as_str());
        }
        if let Some(operation) = operation {
            out.field("operation", operation);
        }
        if let Some(resource) = resource {
            out.field("resource", resource);
        }
        if let Some(status) = status {
            out.field("status", status);
        }
        if let Some(code) = code {
            out.field("code", code);
        }
        if let Some(request_id) = request_id {
            out.field("request_id", request_id);
        }
        out.field("attempts", attempts).field("message", message);
        if let Some(source) = source {
            out.field("source", &format_args!("{}", Report(&**source)));
        }
        out.finish()
    }
}

impl Error {
    /// Makes an error of a kind, with the retry advice that goes with the kind.
    ///
    /// `Unavailable` and `RateLimited` are [`Retry::Safe`], `Timeout` is
    /// [`Retry::OutcomeUnknown`], everything else is [`Retry::Never`].
    /// The message is one lowercase line without a final stop, and never holds a secret.
    /// A control character in it, such as a line end in a vendor's text, becomes a space.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: kind.default_retry(),
            provider: None,
            operation: None,
            resource: None,
            status: None,
            code: None,
            request_id: None,
            attempts: 1,
            message: one_line(message.into()),
            source: None,
        }))
    }

    /// The named ability is not offered by this provider.
    #[cold]
    pub fn unsupported(ability: &'static str) -> Self {
        Self::new(
            ErrorKind::Unsupported,
            format!("{ability} is not supported"),
        )
    }

    /// The named resource does not exist.
    #[cold]
    pub fn not_found(resource: impl Into<String>) -> Self {
        let resource = resource.into();
        Self::new(ErrorKind::NotFound, format!("{resource} does not exist")).with_resource(resource)
    }

    /// Several configuration problems, reported together.
    #[cold]
    pub fn invalid_config<I>(problems: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut message = String::new();
        for problem in problems {
            if !message.is_empty() {
                message.push_str("; ");
            }
            message.push_str(problem.as_ref());
        }
        Self::new(ErrorKind::InvalidConfig, message)
    }

    /// Names the provider.
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<ProviderId>) -> Self {
        self.0.provider = Some(provider.into());
        self
    }

    /// Names the operation, such as `object_store.put`.
    #[must_use]
    pub fn with_operation(mut self, operation: impl Into<Cow<'static, str>>) -> Self {
        self.0.operation = Some(operation.into());
        self
    }

    /// Names the resource that the operation was about.
    #[must_use]
    pub fn with_resource(mut self, resource: impl Into<String>) -> Self {
        self.0.resource = Some(resource.into());
        self
    }

    /// Sets the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Sets the vendor's own code, for PostgreSQL the SQLSTATE.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Sets the vendor's request id.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.request_id = Some(request_id.into());
        self
    }

    /// Sets how often the request was sent.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Replaces the retry advice.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Sets the source. It must not hold a secret in its `Display` or `Debug`.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the operation may be repeated.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether repeating is harmless: [`Retry::Safe`] or [`Retry::After`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.retry, Retry::Safe | Retry::After(_))
    }

    /// The provider that failed.
    #[must_use]
    pub fn provider(&self) -> Option<&ProviderId> {
        self.0.provider.as_ref()
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// The resource that the operation was about.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.0.resource.as_deref()
    }

    /// The HTTP status, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The vendor's own code; for PostgreSQL the SQLSTATE.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The vendor's request id, to quote to its support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How often the request was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The message alone, without provider and operation.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the kind is [`ErrorKind::NotFound`].
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the kind is [`ErrorKind::Conflict`] or [`ErrorKind::AlreadyExists`].
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists)
    }

    /// Whether the kind is [`ErrorKind::Unsupported`].
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.kind() == ErrorKind::Unsupported
    }
}

/// A text that can neither break a log line nor steer a terminal.
fn one_line(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.contains(char::is_control) {
        return text.replace(char::is_control, " ").into();
    }
    text
}

/// Prints an error with its whole chain of sources on one line.
///
/// A cause whose text already ends the text before it is not repeated: some
/// foreign errors print their source inside their own text.
pub struct Report<'a>(pub &'a (dyn StdError + 'static));

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut cause = self.0.source();
        while let Some(err) = cause {
            let text = err.to_string();
            if !last.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            cause = err.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
