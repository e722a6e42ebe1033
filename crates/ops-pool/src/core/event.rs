//! What the core is told, and what it asks for.

use std::time::Duration;

use super::slab::Key;
use crate::close::CloseReason;

/// A point in time: nanoseconds since the pool was built, on a clock that never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Now(u64);

impl Now {
    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn after(self, span: Duration) -> Self {
        let seconds = span.as_secs().saturating_mul(1_000_000_000);
        let nanos = seconds.saturating_add(span.subsec_nanos().into());
        Self(self.0.saturating_add(nanos))
    }

    /// How long ago `earlier` was, zero where it is not in the past.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A connection to the server, from the decision to open it until it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ServerId(pub(super) Key);

impl ServerId {
    pub(crate) fn index(self) -> usize {
        self.0.index()
    }
}

/// A caller that could not be served at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WaiterId(pub(super) Key);

impl WaiterId {
    pub(crate) fn index(self) -> usize {
        self.0.index()
    }
}

/// The settings that decide what the core does. Zero means never for the two timeouts.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) pool_size: usize,
    pub(crate) min_pool_size: usize,
    pub(crate) max_connecting: usize,
    /// Zero: a connection is used once.
    pub(crate) server_lifetime: Duration,
    /// Zero: never closed for being idle.
    pub(crate) server_idle_timeout: Duration,
    /// The longest time between two attempts to connect while they fail.
    pub(crate) server_login_retry: Duration,
    /// Whether a returned connection is reset before anybody gets it.
    pub(crate) reset: bool,
    /// Where the jitter starts.
    pub(crate) seed: u64,
}

/// What is to become of a session that is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may be used again as it is.
    Clean,
    /// It may be used again, after its reset.
    Reusable,
    /// It may not.
    Close(CloseReason),
}

/// Why a connection could not be opened, as far as the next attempt depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server refuses this login: the next attempt will most likely fail too.
    Permanent,
    /// The server cannot be reached.
    Unreachable,
    /// The server is starting up or shutting down: it answers soon.
    Starting,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody wants a connection. Answered at once.
    Acquire,
    /// A waiter asks whether it has been served. Answered at once.
    Collect(WaiterId),
    /// A waiter went away or ran out of time.
    CancelWait { waiter: WaiterId, timed_out: bool },
    /// A session came back.
    Release(ServerId, Verdict),
    /// A session left the pool for good.
    Detach(ServerId),
    /// The connection is about to be dialed; it is given up where nobody needs it anymore.
    Dial(ServerId),
    /// The connection stands.
    Connected(ServerId),
    /// The connection could not be opened.
    ConnectFailed(ServerId, Failure),
    /// The reset ended.
    ResetDone(ServerId, Result<(), CloseReason>),
    /// The connection broke.
    ServerGone(ServerId),
    /// The time of the last [`Action::Timer`] has come.
    Tick,
    /// No more sessions are given out, and what comes back is closed.
    Drain,
}

/// Why a caller gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No connection stands and opening one has just failed.
    ServerDown { retry_in: Duration },
    /// The pool is shutting down.
    ShuttingDown,
}

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The answer to `Acquire` or `Collect`: this connection is the caller's.
    Grant(ServerId),
    /// The answer to `Acquire` or `Collect`: wait for [`Action::Wake`].
    Wait(WaiterId),
    /// The answer to `Acquire` or `Collect`: nothing.
    Refuse(Refusal),
    /// The waiter can collect.
    Wake(WaiterId),
    /// Open a connection.
    Connect(ServerId),
    /// Reset the connection.
    Reset(ServerId),
    /// Close the connection; its id is gone.
    Close(ServerId, CloseReason),
    /// Send [`Event::Tick`] at this time. Replaces what was asked before.
    Timer(Now),
    /// The last connection is gone after [`Event::Drain`].
    Drained,
}
