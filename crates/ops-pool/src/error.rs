//! Why a caller got no session.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use ops_core::{Error, ErrorKind, Retry};

use crate::tap::CommandTag;

/// Why a caller got no session.
///
/// Its text is one line. The cause of a failed connection is its source; print the whole
/// chain with [`ops_core::Report`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// No session came free in time. The report names who has them.
    #[error("no session came free in {waited}: {report}", waited = Seconds(.0.waited), report = .0)]
    Timeout(Box<AcquireReport>),
    /// No session came free in time, and the caller's own task has one: it waits for
    /// itself. Told at once where everybody who has a session waits for another.
    #[error("the task waits for itself, as it has a session already: {0}")]
    NestedAcquire(Box<AcquireReport>),
    /// The pool is paused, and was not resumed in time.
    #[error("the pool is paused: {0}")]
    Paused(Box<AcquireReport>),
    /// `max_waiting` callers wait already.
    #[error("the queue is full: {0}")]
    QueueFull(Box<AcquireReport>),
    /// At the rate at which sessions come free the caller's turn would come too late.
    #[error("the wait would be {}: {report}", Seconds(*.expected))]
    Overloaded {
        /// How long the caller would have waited.
        expected: Duration,
        /// The state of the pool.
        report: Box<AcquireReport>,
    },
    /// The pool has no such lane.
    #[error("the pool has no lane {0:?}")]
    UnknownLane(Cow<'static, str>),
    /// No connection stands, and opening one has just failed.
    #[error(transparent)]
    ServerDown(Box<ServerDown>),
    /// The pool is shutting down, or its runtime is gone.
    #[error("the pool is shutting down")]
    ShuttingDown,
}

impl From<AcquireError> for Error {
    /// `Timeout` where the wait was in vain (nothing was done: it is safe to try again,
    /// unless the task waits for itself), `RateLimited` where the queue is too long, the
    /// kind of the cause or `Unavailable` for a server that is down, `InvalidInput` for a
    /// lane that is not there, and `Unavailable` for a pool that shuts down.
    fn from(err: AcquireError) -> Self {
        let (kind, retry) = match &err {
            AcquireError::Timeout(_) | AcquireError::Paused(_) => (ErrorKind::Timeout, Retry::Safe),
            AcquireError::QueueFull(_) => (ErrorKind::RateLimited, Retry::Safe),
            AcquireError::Overloaded { expected, .. } => {
                (ErrorKind::RateLimited, Retry::After(*expected))
            }
            AcquireError::NestedAcquire(_) => (ErrorKind::Timeout, Retry::Never),
            AcquireError::UnknownLane(_) => (ErrorKind::InvalidInput, Retry::Never),
            AcquireError::ServerDown(down) => {
                let kind = down.cause().map_or(ErrorKind::Unavailable, Self::kind);
                (kind, Retry::After(down.retry_in))
            }
            AcquireError::ShuttingDown => (ErrorKind::Unavailable, Retry::Never),
        };
        Self::new(kind, "no session")
            .with_operation("pool.acquire")
            .with_retry(retry)
            .with_source(err)
    }
}

/// The server cannot be reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerDown {
    pub(crate) cause: Option<Arc<Error>>,
    /// When the pool tries again at the earliest. Zero while an attempt is under way.
    pub retry_in: Duration,
}

impl ServerDown {
    /// Why the last attempt to connect failed.
    #[must_use]
    pub fn cause(&self) -> Option<&Error> {
        self.cause.as_deref()
    }
}

impl fmt::Display for ServerDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server is down")?;
        if self.retry_in > Duration::ZERO {
            write!(f, ", next attempt in {}", Seconds(self.retry_in))?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerDown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// The state of the pool when a caller got no session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AcquireReport {
    /// How long the caller waited. Zero where it was refused at once.
    pub waited: Duration,
    /// The most connections that the pool may have.
    pub pool_size: usize,
    /// Sessions in the hands of callers.
    pub active: usize,
    /// Connections that nobody uses.
    pub idle: usize,
    /// Connections that are being opened.
    pub connecting: usize,
    /// Sessions that are being reset.
    pub resetting: usize,
    /// How many others were waiting.
    pub waiting: usize,
    /// Who has the sessions, the longest first.
    pub holders: Vec<Holder>,
    pub(crate) last_error: Option<Arc<Error>>,
}

impl AcquireReport {
    /// Why the last attempt to connect failed, where it did.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_deref()
    }
}

/// How many holders the text of a report names.
const NAMED: usize = 3;

impl fmt::Display for AcquireReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pool_size,
            active,
            connecting,
            resetting,
            waiting,
            ..
        } = self;
        write!(
            f,
            "{active} of {pool_size} in use, {connecting} connecting, {resetting} resetting, \
             {waiting} others waiting",
        )?;
        for (index, holder) in self.holders.iter().take(NAMED).enumerate() {
            f.write_str(if index == 0 { "; held by " } else { ", " })?;
            holder.fmt(f)?;
        }
        if self.holders.len() > NAMED {
            write!(f, " and {} more", self.holders.len() - NAMED)?;
        }
        if let Some(err) = &self.last_error {
            write!(f, "; connecting fails: {err}")?;
        }
        Ok(())
    }
}

/// Somebody who has a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Holder {
    /// What the caller called itself.
    pub label: Option<Cow<'static, str>>,
    /// Where in the program the session was acquired.
    pub location: &'static Location<'static>,
    /// For how long.
    pub age: Duration,
    /// The command of its last statement that ended without an error, such as `UPDATE`.
    /// Nothing of the statement itself.
    pub last_command: Option<CommandTag>,
    /// Whether it is in a transaction in which nothing runs.
    pub idle_in_transaction: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = &self.label {
            write!(f, "{label} at ")?;
        }
        write!(
            f,
            "{}:{} for {}",
            self.location.file(),
            self.location.line(),
            Seconds(self.age)
        )?;
        if let Some(command) = &self.last_command {
            write!(f, " (last {command})")?;
        }
        if self.idle_in_transaction {
            f.write_str(", idle in transaction")?;
        }
        Ok(())
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}
