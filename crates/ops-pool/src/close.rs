//! Why connections are closed, and what became of a session.

use std::fmt;

/// Why the pool closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The session was in a transaction, failed or not. The server rolls it back.
    InTransaction,
    /// The session had a query or a `COPY` that was not over.
    QueryInFlight,
    /// The reset query failed.
    ResetFailed,
    /// The reset took longer than `reset_timeout`, with what had to be canceled or rolled
    /// back before.
    ResetTimedOut,
    /// The reset query left a transaction open.
    ResetLeftTransaction,
    /// The server's answers did not match the driver's requests anymore, as after a `COPY`
    /// that failed before it had begun. No answer was delivered from there on.
    OutOfStep,
    /// The connection broke.
    ServerGone,
    /// The connection was older than `server_lifetime`.
    LifetimeOver,
    /// The connection was idle for longer than `server_idle_timeout`.
    IdleTooLong,
    /// Nobody needed the connection anymore when it was to be opened.
    NotNeeded,
    /// The connection did not answer the check query.
    CheckFailed,
    /// The connection was opened before the pool was told to reconnect.
    Reconnect,
    /// The pool is paused.
    Paused,
    /// The pool was given a smaller size.
    PoolShrunk,
    /// Another pool of the group needed the place.
    Evicted,
    /// The pool is shutting down.
    ShuttingDown,
}

impl CloseReason {
    /// The reason in snake case, as it stands in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InTransaction => "in_transaction",
            Self::QueryInFlight => "query_in_flight",
            Self::ResetFailed => "reset_failed",
            Self::ResetTimedOut => "reset_timed_out",
            Self::ResetLeftTransaction => "reset_left_transaction",
            Self::OutOfStep => "out_of_step",
            Self::ServerGone => "server_gone",
            Self::LifetimeOver => "lifetime_over",
            Self::IdleTooLong => "idle_too_long",
            Self::NotNeeded => "not_needed",
            Self::CheckFailed => "check_failed",
            Self::Reconnect => "reconnect",
            Self::Paused => "paused",
            Self::PoolShrunk => "pool_shrunk",
            Self::Evicted => "evicted",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Whether the cause is what a session left behind.
    pub(crate) const fn is_dirty(self) -> bool {
        matches!(
            self,
            Self::InTransaction
                | Self::QueryInFlight
                | Self::ResetFailed
                | Self::ResetTimedOut
                | Self::ResetLeftTransaction
                | Self::OutOfStep
        )
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InTransaction => "the session was in a transaction",
            Self::QueryInFlight => "the session had a query in flight",
            Self::ResetFailed => "the reset query failed",
            Self::ResetTimedOut => "the reset query took too long",
            Self::ResetLeftTransaction => "the reset query left a transaction open",
            Self::OutOfStep => "the answers did not match the requests",
            Self::ServerGone => "the connection broke",
            Self::LifetimeOver => "server_lifetime is over",
            Self::IdleTooLong => "server_idle_timeout is over",
            Self::NotNeeded => "the connection was not needed anymore",
            Self::CheckFailed => "the check query failed",
            Self::Reconnect => "the pool reconnects",
            Self::Paused => "the pool is paused",
            Self::PoolShrunk => "the pool was made smaller",
            Self::Evicted => "another pool of the group needed the place",
            Self::ShuttingDown => "the pool is shutting down",
        })
    }
}

/// What became of a session that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a closed connection is worth knowing about"]
#[non_exhaustive]
pub enum Released {
    /// The connection serves the next caller.
    Clean,
    /// What ran was canceled, or a transaction rolled back, and the session reset. The
    /// connection serves the next caller.
    RolledBack,
    /// The connection was closed, so that nobody meets what was left in it.
    Closed(CloseReason),
}
