//! The words in which health is told.

use std::fmt;

/// How something is.
///
/// Ordered from best to worst, so that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Works.
    Healthy,
    /// Works, but something needs attention.
    Degraded,
    /// Nothing is known yet.
    Unknown,
    /// Does not work.
    Unhealthy,
}

impl Status {
    /// Every status, from best to worst.
    pub const ALL: [Self; 4] = [
        Self::Healthy,
        Self::Degraded,
        Self::Unknown,
        Self::Unhealthy,
    ];

    /// The status in lower case, as it stands in bodies and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Whether it works, fully or not: [`Status::Healthy`] or [`Status::Degraded`].
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a failing check does to the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Criticality {
    /// The service is unhealthy: 503.
    #[default]
    Critical,
    /// The service is degraded: 200.
    NonCritical,
    /// Nothing; the check is only shown.
    Informational,
}

/// What a check depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Something that this instance alone has: its disk, its memory, its pool.
    #[default]
    Instance,
    /// Something that every replica shares. Its failure takes no replica out of
    /// readiness, unless that is chosen: it would take out all of them together.
    SharedDependency,
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A database.
    Datastore,
    /// A cache.
    Cache,
    /// An object store.
    ObjectStore,
    /// An HTTP endpoint.
    Http,
    /// The machine: disk, memory, load.
    System,
    /// Backups.
    Backup,
    /// A certificate.
    Certificate,
    /// A connection pool.
    Pool,
    /// Anything else.
    Custom,
}

impl Kind {
    /// The kind in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Datastore => "datastore",
            Self::Cache => "cache",
            Self::ObjectStore => "object_store",
            Self::Http => "http",
            Self::System => "system",
            Self::Backup => "backup",
            Self::Certificate => "certificate",
            Self::Pool => "pool",
            Self::Custom => "custom",
        }
    }
}

/// Why a check is not healthy: all that an anonymous caller could ever learn of a cause.
///
/// The set is closed, so that no text of a driver can get into a public body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Nothing is wrong.
    Ok,
    /// No answer in time.
    Timeout,
    /// The peer cannot be reached.
    Unreachable,
    /// The peer refused the connection.
    Refused,
    /// The credential was refused.
    AuthFailed,
    /// The credential is good but does not allow this.
    Forbidden,
    /// It is not there.
    NotFound,
    /// The certificate cannot be trusted.
    TlsInvalid,
    /// The certificate expires soon.
    TlsExpiring,
    /// The certificate has expired.
    TlsExpired,
    /// The version of TLS is too old.
    TlsOutdated,
    /// The server is not the primary, or not the replica, that was expected.
    WrongRole,
    /// The server takes no writes.
    ReadOnly,
    /// Nearly everything is in use.
    Saturated,
    /// Everything is in use.
    Exhausted,
    /// A value is above the limit that warns.
    ThresholdWarn,
    /// A value is above the limit that fails.
    ThresholdFail,
    /// It should have happened by now.
    Overdue,
    /// It has never happened.
    NeverRan,
    /// A time stamp lies in the future.
    ClockSkew,
    /// The answer has an unexpected status.
    UnexpectedStatus,
    /// The answer lacks a header, or has another.
    UnexpectedHeader,
    /// The answer has an unexpected body.
    UnexpectedBody,
    /// Migrations are missing.
    MigrationsPending,
    /// The schema is newer than expected.
    SchemaAhead,
    /// The result is too old to be believed.
    Stale,
    /// The last run never ended.
    Stuck,
    /// The check panicked.
    Panicked,
    /// Anything else.
    Failed,
}

impl Code {
    /// The code in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::AuthFailed => "auth_failed",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::TlsInvalid => "tls_invalid",
            Self::TlsExpiring => "tls_expiring",
            Self::TlsExpired => "tls_expired",
            Self::TlsOutdated => "tls_outdated",
            Self::WrongRole => "wrong_role",
            Self::ReadOnly => "read_only",
            Self::Saturated => "saturated",
            Self::Exhausted => "exhausted",
            Self::ThresholdWarn => "threshold_warn",
            Self::ThresholdFail => "threshold_fail",
            Self::Overdue => "overdue",
            Self::NeverRan => "never_ran",
            Self::ClockSkew => "clock_skew",
            Self::UnexpectedStatus => "unexpected_status",
            Self::UnexpectedHeader => "unexpected_header",
            Self::UnexpectedBody => "unexpected_body",
            Self::MigrationsPending => "migrations_pending",
            Self::SchemaAhead => "schema_ahead",
            Self::Stale => "stale",
            Self::Stuck => "stuck",
            Self::Panicked => "panicked",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
