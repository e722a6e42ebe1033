//! A thread that looks whether the runtime still runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use ops_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;

use crate::health::Inner;
use crate::liveness::LivenessSignal;

mod ping;

use ping::{Echo, Lane};

/// How long the runtime takes to begin what it is given.
///
/// A loop that is blocked and a pool of threads that is exhausted have different causes: a
/// task that computes or blocks without leaving its worker, and blocking calls that do not
/// come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// Of a task, on the workers.
    pub event_loop: Duration,
    /// Of a blocking call, on the pool of blocking threads.
    pub blocking_pool: Duration,
}

/// Watches the tokio runtime from a thread of the operating system.
///
/// Every half second the thread gives the runtime a task and a blocking call, and measures
/// how long each takes to begin. A loop that does not begin a task for 30 s, twice in a
/// row, makes the process dead: as a liveness signal, that is what gets it restarted. An
/// exhausted pool of blocking threads does not, because the rest still works.
///
/// Clones are the same watchdog. It runs from [`Health::start`](crate::Health::start) on,
/// until the service has stopped.
///
/// ```
/// use ops_health::{Health, Watchdog};
///
/// let health = Health::builder().watchdog(Watchdog::new()).build()?;
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Watchdog {
    interval: Duration,
    dead_after: Duration,
    shared: Arc<Shared>,
}

/// What the thread, the pings and the readers share.
pub(crate) struct Shared {
    lanes: Mutex<Lanes>,
    answered: Condvar,
    strikes: AtomicU32,
    over: AtomicBool,
    running: AtomicBool,
    hooks: Mutex<Vec<Hook>>,
}

type Hook = Box<dyn Fn() + Send>;

#[derive(Default)]
struct Lanes {
    event_loop: Lane,
    blocking_pool: Lane,
}

impl Watchdog {
    /// A watchdog that calls the process dead after twice 30 s.
    #[must_use]
    pub fn new() -> Self {
        Self {
            interval: Duration::from_millis(500),
            dead_after: Duration::from_secs(30),
            shared: Arc::new(Shared {
                lanes: Mutex::default(),
                answered: Condvar::new(),
                strikes: AtomicU32::new(0),
                over: AtomicBool::new(false),
                running: AtomicBool::new(false),
                hooks: Mutex::default(),
            }),
        }
    }

    /// Sets the pause between two measurements. Defaults to 500 ms.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the lag that, twice in a row, makes the process dead. Defaults to 30 s.
    #[must_use]
    pub fn dead_after(mut self, lag: Duration) -> Self {
        self.dead_after = lag;
        self
    }

    /// The lag now: of the last ping, or of the one that goes on and is later already.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let lanes = self.shared.lanes();
        Lag {
            event_loop: lanes.event_loop.lag(),
            blocking_pool: lanes.blocking_pool.lag(),
        }
    }

    /// The longest lag since this was last asked.
    pub(crate) fn take_peak(&self) -> Lag {
        let mut lanes = self.shared.lanes();
        Lag {
            event_loop: lanes.event_loop.take_peak(),
            blocking_pool: lanes.blocking_pool.take_peak(),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.shared.running.load(Ordering::Acquire)
    }

    #[cfg(all(feature = "systemd", target_os = "linux"))]
    pub(crate) const fn period(&self) -> Duration {
        self.interval
    }

    /// Calls `hook` from the thread after every ping that the loop has answered in time.
    #[cfg(all(feature = "systemd", target_os = "linux"))]
    pub(crate) fn on_answer(&self, hook: impl Fn() + Send + 'static) {
        let mut hooks = self
            .shared
            .hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        hooks.push(Box::new(hook));
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.interval.is_zero() {
            problems.push("the watchdog's interval is zero".to_owned());
        }
        if self.dead_after < self.interval {
            problems.push(format!(
                "the watchdog calls the process dead after {:?}, but looks only every {:?}",
                self.dead_after, self.interval
            ));
        }
        problems
    }

    /// Starts the thread, for the runtime that this is called on.
    pub(crate) fn spawn(&self, inner: &Arc<Inner>) -> Result<()> {
        if self.shared.running.swap(true, Ordering::AcqRel) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the watchdog watches another service",
            ));
        }
        let (watchdog, runtime) = (self.clone(), Handle::current());
        let service = Arc::downgrade(inner);
        thread::Builder::new()
            .name("ops-health-watchdog".to_owned())
            .spawn(move || watchdog.watch(&runtime, &service))
            .map(drop)
            .map_err(|source| {
                Error::new(ErrorKind::Internal, "the watchdog's thread does not start")
                    .with_source(source)
            })
    }

    fn watch(&self, runtime: &Handle, service: &Weak<Inner>) {
        let mut said = Said::default();
        while !self.shared.over.load(Ordering::Acquire)
            && service
                .upgrade()
                .is_some_and(|inner| !inner.stopped.is_cancelled())
        {
            self.ping(runtime);
            self.pause();
            self.count_strikes();
            said.tell(self.lag());
            if self.shared.lanes().event_loop.is_answered() {
                let hooks = self
                    .shared
                    .hooks
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                hooks.iter().for_each(|hook| hook());
            }
        }
    }

    /// Gives the runtime something to do on each lane where nothing is waited for.
    fn ping(&self, runtime: &Handle) {
        let mut lanes = self.shared.lanes();
        let event_loop = lanes.event_loop.send();
        let blocking_pool = lanes.blocking_pool.send();
        drop(lanes);
        if event_loop {
            let echo = Echo::new(&self.shared, |lanes| &mut lanes.event_loop);
            runtime.spawn(async move { echo.answer() });
        }
        if blocking_pool {
            let echo = Echo::new(&self.shared, |lanes| &mut lanes.blocking_pool);
            runtime.spawn_blocking(move || echo.answer());
        }
    }

    /// Waits for the interval, whether or not the answers come.
    fn pause(&self) {
        let until = Instant::now() + self.interval;
        let mut lanes = self.shared.lanes();
        while !self.shared.over.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (lanes, _) = self
                .shared
                .answered
                .wait_timeout(lanes, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How often in a row a ping of the loop took too long.
    fn count_strikes(&self) {
        let lanes = self.shared.lanes();
        let windows = lanes.event_loop.lag().as_nanos() / self.dead_after.as_nanos().max(1);
        let now = u32::try_from(windows).unwrap_or(u32::MAX);
        let earlier = lanes
            .event_loop
            .earlier()
            .filter(|lag| *lag >= self.dead_after);
        let strikes = if now == 0 {
            0
        } else {
            now.saturating_add(u32::from(earlier.is_some()))
        };
        self.shared.strikes.store(strikes, Ordering::Release);
    }
}

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::new()
    }
}

impl LivenessSignal for Watchdog {
    fn is_alive(&self) -> bool {
        self.shared.strikes.load(Ordering::Acquire) < 2
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog")
            .field("interval", &self.interval)
            .field("dead_after", &self.dead_after)
            .field("lag", &self.lag())
            .finish_non_exhaustive()
    }
}

/// From which lag on it is worth a line in the log.
const STALL: Duration = Duration::from_secs(5);

/// What the log was told, so that it is told once. The log is written from this thread:
/// where the loop is blocked, nobody else can.
#[derive(Default)]
struct Said {
    event_loop: bool,
    blocking_pool: bool,
}

impl Said {
    fn tell(&mut self, lag: Lag) {
        Self::one(
            &mut self.event_loop,
            lag.event_loop,
            "the event loop is blocked",
        );
        Self::one(
            &mut self.blocking_pool,
            lag.blocking_pool,
            "the blocking threads are exhausted",
        );
    }

    fn one(said: &mut bool, lag: Duration, what: &'static str) {
        let stalls = lag >= STALL;
        if stalls && !*said {
            tracing::error!(target: "ops_health", lag_ms = lag.as_secs_f64() * 1e3, "{what}");
        }
        *said = stalls;
    }
}
