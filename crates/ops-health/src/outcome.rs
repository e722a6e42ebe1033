//! What one run of a check found.

use std::io;

use ops_core::{Error, ErrorKind, Report};

use crate::private::Private;
use crate::status::{Code, Status};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// A share between 0 and 1.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A number of things.
    Count,
}

impl Unit {
    /// The unit in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Count => "count",
        }
    }
}

/// A number that a check measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// Its name in snake case, such as `utilization`.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What it counts.
    pub unit: Unit,
}

/// What one run of a check found.
///
/// The public part is a [`Status`], a [`Code`] and numbers. Free text goes into the
/// detail, which only logs and authorized callers ever see.
///
/// ```
/// use ops_health::{Code, Outcome, Status, Unit};
///
/// let outcome = Outcome::degraded(Code::ThresholdWarn)
///     .with_observation("utilization", 0.83, Unit::Ratio)
///     .with_detail("/var/lib/postgresql is 83 % full");
/// assert_eq!(outcome.status(), Status::Degraded);
/// assert!(!format!("{outcome:?}").contains("/var"));
/// ```
#[derive(Clone, Debug)]
pub struct Outcome {
    status: Status,
    code: Code,
    observations: Vec<Observation>,
    detail: Private<String>,
}

impl Outcome {
    /// It works.
    #[must_use]
    pub fn healthy() -> Self {
        Self::new(Status::Healthy, Code::Ok)
    }

    /// It works, but needs attention.
    #[must_use]
    pub fn degraded(code: Code) -> Self {
        Self::new(Status::Degraded, code)
    }

    /// It does not work.
    #[must_use]
    pub fn unhealthy(code: Code) -> Self {
        Self::new(Status::Unhealthy, code)
    }

    fn new(status: Status, code: Code) -> Self {
        Self {
            status,
            code,
            observations: Vec::new(),
            detail: Private::default(),
        }
    }

    /// Adds a number.
    #[must_use]
    pub fn with_observation(mut self, name: &'static str, value: f64, unit: Unit) -> Self {
        self.observations.push(Observation { name, value, unit });
        self
    }

    /// Sets the diagnostic, for logs and authorized callers.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Private::new(detail.into());
        self
    }

    #[cfg(feature = "tls")]
    pub(crate) fn with_observations_of(mut self, other: &Self) -> Self {
        self.observations.clone_from(&other.observations);
        self
    }

    pub(crate) fn with_private_detail(mut self, detail: Private<String>) -> Self {
        self.detail = detail;
        self
    }

    /// How it is: healthy, degraded or unhealthy, never unknown.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Why it is so.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What was measured.
    #[must_use]
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    pub(crate) fn detail(&self) -> &Private<String> {
        &self.detail
    }
}

impl From<Error> for Outcome {
    /// An unhealthy outcome: the kind of the error chooses the code, its text is the detail.
    fn from(err: Error) -> Self {
        let code = match err.kind() {
            ErrorKind::Unauthenticated => Code::AuthFailed,
            ErrorKind::PermissionDenied => Code::Forbidden,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::QuotaExceeded => Code::Exhausted,
            ErrorKind::RateLimited => Code::Saturated,
            ErrorKind::Unavailable => Code::Unreachable,
            ErrorKind::Timeout => Code::Timeout,
            ErrorKind::Decode => Code::UnexpectedBody,
            _ => Code::Failed,
        };
        Self::unhealthy(code).with_detail(Report(&err).to_string())
    }
}

impl From<io::Error> for Outcome {
    /// An unhealthy outcome: the kind of the error chooses the code, its text is the detail.
    fn from(err: io::Error) -> Self {
        let code = match err.kind() {
            io::ErrorKind::NotFound => Code::NotFound,
            io::ErrorKind::PermissionDenied => Code::Forbidden,
            io::ErrorKind::ConnectionRefused => Code::Refused,
            io::ErrorKind::TimedOut => Code::Timeout,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::UnexpectedEof => Code::Unreachable,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::Exhausted,
            io::ErrorKind::ReadOnlyFilesystem => Code::ReadOnly,
            _ => Code::Failed,
        };
        Self::unhealthy(code).with_detail(err.to_string())
    }
}
