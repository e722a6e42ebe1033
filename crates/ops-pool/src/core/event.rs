//! What the core is told, and what it asks for.

use std::fmt;
use std::time::Duration;

use super::slab::Key;
use crate::close::CloseReason;

/// A point in time: nanoseconds since the pool was built, on a clock that never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Now(u64);

impl Now {
    #[cfg(not(feature = "test-util"))]
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    #[inline]
    pub(crate) fn after(self, span: Duration) -> Self {
        let seconds = span.as_secs().saturating_mul(1_000_000_000);
        let nanos = seconds.saturating_add(span.subsec_nanos().into());
        Self(self.0.saturating_add(nanos))
    }

    /// How long ago `earlier` was, zero where it is not in the past.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    #[inline]
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
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

/// `s` and what no other connection of the pool has at the same time.
impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0.index())
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

/// A lane of the queue, by its place in [`Settings::lanes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneId(pub(crate) usize);

/// What a lane of the queue is entitled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneSettings {
    /// How many waiters are served in a row before it is the next lane's turn. At least 1.
    pub(crate) weight: u32,
    /// How many connections no other lane may take.
    pub(crate) reserved: usize,
}

/// The settings that decide what the core does. Zero means never for the two timeouts.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) pool_size: usize,
    pub(crate) min_pool_size: usize,
    /// How many more connections are opened once the head of the queue has waited for
    /// `reserve_pool_timeout`.
    pub(crate) reserve_pool_size: usize,
    /// Zero: the reserve is never used.
    pub(crate) reserve_pool_timeout: Duration,
    /// At least one.
    pub(crate) lanes: Vec<LaneSettings>,
    /// The most waiters; None is without bound.
    pub(crate) max_waiting: Option<usize>,
    /// Whether a caller is refused whose patience will end before its turn.
    pub(crate) shed: bool,
    /// Use the connection that was idle for longest, not the one that was used last.
    pub(crate) round_robin: bool,
    /// How long a connection may be idle before it is checked; None is for ever.
    pub(crate) server_check_delay: Option<Duration>,
    /// Whether every connection needs a permit of a group.
    pub(crate) limited: bool,
    pub(crate) max_connecting: usize,
    /// Zero: a connection is used once.
    pub(crate) server_lifetime: Duration,
    /// Zero: never closed for being idle.
    pub(crate) server_idle_timeout: Duration,
    /// The longest time between two attempts to connect while they fail.
    pub(crate) server_login_retry: Duration,
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
    /// Somebody wants a connection, and will not wait for longer than `patience`. Answered
    /// at once.
    Acquire {
        lane: LaneId,
        patience: Option<Duration>,
    },
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
    /// The reset or the check ended.
    ResetDone(ServerId, Result<(), CloseReason>),
    /// The group has given this many permits.
    Granted(usize),
    /// The group needs the place of a connection that is idle.
    Evict,
    /// Nobody gets a connection until [`Event::Resume`], and every connection is closed as
    /// soon as nobody has it.
    Pause,
    /// Ends a pause.
    Resume,
    /// Every connection that stands is closed as soon as nobody has it, and replaced.
    Reconnect,
    /// The limits change.
    Resize {
        pool_size: usize,
        min_pool_size: usize,
        reserve_pool_size: usize,
    },
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
    /// `max_waiting` callers wait.
    QueueFull,
    /// At the rate at which waiters are served, the caller would wait for longer than its
    /// patience.
    Hopeless { expected: Duration },
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
    /// Check whether the connection still works.
    Check(ServerId),
    /// Ask the group for as many permits as the core wants; where it presses, also at the
    /// cost of what is idle elsewhere.
    Request,
    /// Give permits back to the group.
    GiveBack(usize),
    /// A connection of a pool in a group has nothing to do.
    Spare,
    /// Close the connection; its id is gone.
    Close(ServerId, CloseReason),
    /// Send [`Event::Tick`] at this time. Replaces what was asked before.
    Timer(Now),
    /// The last connection is gone after [`Event::Drain`] or [`Event::Pause`], or the last
    /// one that stood before [`Event::Reconnect`].
    Settled,
}
