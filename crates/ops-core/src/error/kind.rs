//! What went wrong, and whether to repeat it.

use std::fmt;
use std::time::Duration;

/// What went wrong, as far as a caller would act on it.
///
/// The set grows only when a caller would do something different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work; every problem that was found is in the message.
    InvalidConfig,
    /// An argument is not acceptable.
    InvalidInput,
    /// No credential, or one that was refused.
    Unauthenticated,
    /// The credential is good but does not allow this.
    PermissionDenied,
    /// Something that must exist does not.
    NotFound,
    /// Something that must not exist does, or a create-only write lost its race.
    AlreadyExists,
    /// The present state refuses the operation, or a compare-and-swap lost its race.
    Conflict,
    /// A quota, a plan limit or a disk is exhausted.
    QuotaExceeded,
    /// Too many requests.
    RateLimited,
    /// The peer cannot be reached or cannot answer now.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// This provider or plan cannot do that.
    Unsupported,
    /// The peer answered something that is not understood.
    Decode,
    /// Data is not what was written: a checksum, a truncation, a wrong order.
    Integrity,
    /// A defect in this library.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of the declaration.
    pub const ALL: &'static [Self] = &[
        Self::InvalidConfig,
        Self::InvalidInput,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::QuotaExceeded,
        Self::RateLimited,
        Self::Unavailable,
        Self::Timeout,
        Self::Unsupported,
        Self::Decode,
        Self::Integrity,
        Self::Internal,
    ];

    /// The kind in snake case, as it stands in spans and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfig => "invalid_config",
            Self::InvalidInput => "invalid_input",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Unsupported => "unsupported",
            Self::Decode => "decode",
            Self::Integrity => "integrity",
            Self::Internal => "internal",
        }
    }

    pub(super) const fn default_retry(self) -> Retry {
        match self {
            Self::Unavailable | Self::RateLimited => Retry::Safe,
            Self::Timeout => Retry::OutcomeUnknown,
            _ => Retry::Never,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the operation may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// Repeating will not help, or the layer that retries has already spent its attempts.
    Never,
    /// Nothing happened, or repeating is harmless.
    Safe,
    /// As [`Retry::Safe`], but not before this long.
    After(Duration),
    /// The request may have been applied. Read the state before trying again.
    OutcomeUnknown,
}
