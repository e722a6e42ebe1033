//! The one error of this crate.

use std::borrow::Cow;
use std::fmt;

use ops_core::BoxError;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller would act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work; every problem that was found is in the message.
    InvalidConfig,
    /// An argument is not acceptable.
    InvalidInput,
    /// The database refused the credential.
    Unauthenticated,
    /// The role may not read everything that has to be backed up.
    PermissionDenied,
    /// The database cannot be reached.
    SourceUnavailable,
    /// The connection to the database was lost in the middle.
    SourceLost,
    /// No client program of PostgreSQL that is needed was found.
    ClientMissing,
    /// The client programs are older than the server.
    ClientTooOld,
    /// A client program failed or was killed.
    ClientFailed,
    /// What `pg_dump` wrote, or the server sent, is not complete or not what it should be.
    Archive,
    /// The server is not set up for replication: `wal_level` is `minimal`, or
    /// `max_wal_senders` is 0.
    SourceSettings,
    /// All WAL senders of the server are in use.
    SourceBusy,
    /// The server is another than before: a standby was promoted in the middle, or it is
    /// another cluster.
    SourceChanged,
    /// The cluster has damaged pages.
    DamagedPages,
    /// The WAL that a backup needs is not to be had, or WAL that should be archived is not.
    WalMissing,
    /// The object store is full.
    StoreFull,
    /// The object store is read-only, or does not allow the operation.
    StoreDenied,
    /// The object store failed in another way.
    Store,
    /// Another process took this backup for abandoned and is removing it.
    Fenced,
    /// There is no such backup, or it was never committed.
    NotFound,
    /// None of the given keys opens the backup.
    WrongKey,
    /// Stored bytes are not what was written: truncated, altered, or in the wrong place.
    Integrity,
    /// The stored backup has a format that this version does not know.
    UnknownFormat,
    /// The target of a restore holds data.
    TargetNotEmpty,
    /// The target of a restore cannot be reached or refuses the credential.
    TargetUnavailable,
    /// The file system of the target of a restore is full.
    TargetFull,
    /// What was asked for lies outside of what can be recovered; the message says what can.
    NotRecoverable,
    /// A restored server did not get to where recovery was to end.
    RecoveryShort,
    /// `pg_restore` failed.
    RestoreFailed,
    /// A throwaway server could not be run.
    Server,
    /// The WAL is that of another cluster than the archive's.
    WrongSystem,
    /// The job was canceled.
    Canceled,
    /// A deadline passed.
    Timeout,
    /// A defect in this crate.
    Internal,
}

/// An error of a backup, a restore or a drill.
///
/// Says what happened, what was left behind, and what to do. `Display` is one line
/// without the source; [`ops_core::Report`] prints the chain.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

#[derive(Debug, thiserror::Error)]
#[error("{operation}: {message}{}{}", Clause(left_behind), Clause(hint))]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    message: Cow<'static, str>,
    left_behind: Option<Cow<'static, str>>,
    hint: Option<Cow<'static, str>>,
    #[source]
    source: Option<BoxError>,
}

struct Clause<'a>(&'a Option<Cow<'static, str>>);

impl fmt::Display for Clause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |text| write!(f, "; {text}"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            operation,
            message,
            left_behind,
            hint,
            source,
        } = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", kind)
            .field("operation", operation)
            .field("message", message);
        if let Some(left_behind) = left_behind {
            out.field("left_behind", left_behind);
        }
        if let Some(hint) = hint {
            out.field("hint", hint);
        }
        if let Some(source) = source {
            out.field("source", &format_args!("{}", ops_core::Report(&**source)));
        }
        out.finish()
    }
}

impl Error {
    /// Makes an error. The message is one lowercase line and holds no secret.
    #[cold]
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (message, left_behind, hint) = (message.into(), None, None);
        Self(Box::new(Inner {
            kind,
            operation,
            message,
            left_behind,
            hint,
            source: None,
        }))
    }

    /// Names the operation that a part of it failed in.
    #[must_use]
    pub(crate) fn during(mut self, operation: &'static str) -> Self {
        self.0.operation = operation;
        self
    }

    #[must_use]
    pub(crate) fn with_left_behind(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.0.left_behind = Some(text.into());
        self
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(text.into());
        self
    }

    #[must_use]
    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// An error of the object store.
    #[cold]
    pub(crate) fn store(operation: &'static str, source: ops_core::Error) -> Self {
        use ops_core::ErrorKind as Core;
        let (kind, message) = match source.kind() {
            Core::QuotaExceeded => (ErrorKind::StoreFull, "the object store is full"),
            Core::PermissionDenied | Core::Unauthenticated => {
                (ErrorKind::StoreDenied, "the object store does not allow it")
            }
            Core::Integrity => (
                ErrorKind::Integrity,
                "a stored object is not what was written",
            ),
            Core::NotFound => (ErrorKind::NotFound, "a stored object is missing"),
            Core::InvalidConfig => (ErrorKind::InvalidConfig, "the object store cannot be used"),
            _ => (ErrorKind::Store, "the object store failed"),
        };
        Self::new(kind, operation, message).with_source(source)
    }

    /// An error of the database that is backed up.
    #[cold]
    pub(crate) fn source_database(operation: &'static str, source: ops_core::Error) -> Self {
        use ops_core::ErrorKind as Core;
        let (kind, message) = match source.kind() {
            Core::Unauthenticated => (ErrorKind::Unauthenticated, "the database refused the login"),
            Core::PermissionDenied => (
                ErrorKind::PermissionDenied,
                "the role may not read the database",
            ),
            Core::InvalidConfig | Core::InvalidInput => (
                ErrorKind::InvalidConfig,
                "the connection settings cannot be used",
            ),
            Core::NotFound => (ErrorKind::SourceUnavailable, "the database does not exist"),
            _ => (
                ErrorKind::SourceUnavailable,
                "the database cannot be reached",
            ),
        };
        Self::new(kind, operation, message).with_source(source)
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed: `dump`, `base_backup`, `restore`, `drill`, `catalogue`,
    /// `sweep` or `build`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What the failure left behind, where that is worth knowing.
    #[must_use]
    pub fn left_behind(&self) -> Option<&str> {
        self.0.left_behind.as_deref()
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether running the same job again may succeed without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::SourceUnavailable
                | ErrorKind::SourceLost
                | ErrorKind::SourceBusy
                | ErrorKind::Store
                | ErrorKind::Fenced
                | ErrorKind::TargetUnavailable
                | ErrorKind::Timeout
        )
    }
}
