//! What a check is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ops_core::{Clock, SystemClock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::status::Kind;

/// Something that is looked at from time to time.
///
/// Implemented by the checks of this crate and by applications; called by the
/// scheduler, never by a request.
///
/// # Contract
/// 1. The scheduler runs a check once at a time, in a task of its own, and drops the
///    future at the deadline. A run must therefore leave nothing behind when dropped.
/// 2. A call that blocks its thread goes through [`CheckCtx::blocking`].
/// 3. A panic makes the check unhealthy and harms nothing else.
///
/// ```
/// use ops_health::{Check, CheckCtx, Code, Kind, Outcome};
///
/// struct Queue;
///
/// impl Check for Queue {
///     fn name(&self) -> &str {
///         "queue"
///     }
///
///     fn kind(&self) -> Kind {
///         Kind::Custom
///     }
///
///     async fn run(&self, _ctx: &CheckCtx) -> Outcome {
///         Outcome::degraded(Code::Overdue).with_detail("the oldest job waits for 7 min")
///     }
/// }
/// ```
pub trait Check: Send + Sync + 'static {
    /// The name in bodies, metrics and logs: `[a-z][a-z0-9_]{0,62}`.
    fn name(&self) -> &str;

    /// What the check looks at.
    fn kind(&self) -> Kind;

    /// The policy that suits the check, unless the application chooses another.
    fn policy(&self) -> Policy {
        Policy::default()
    }

    /// Settings that cannot work; reported by [`HealthBuilder::build`](crate::HealthBuilder::build).
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// Looks once.
    ///
    /// # Cancel safety
    /// The future is dropped at the deadline and when the scheduler stops.
    fn run(&self, ctx: &CheckCtx) -> impl Future<Output = Outcome> + Send;
}

/// A future in a box.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Check`] for trait objects. Every check has it.
pub trait DynCheck: Send + Sync + 'static {
    /// See [`Check::name`].
    fn name(&self) -> &str;
    /// See [`Check::kind`].
    fn kind(&self) -> Kind;
    /// See [`Check::policy`].
    fn policy(&self) -> Policy;
    /// See [`Check::problems`].
    fn problems(&self) -> Vec<String>;
    /// See [`Check::run`].
    fn run<'a>(&'a self, ctx: &'a CheckCtx) -> BoxFuture<'a, Outcome>;
}

impl<C: Check> DynCheck for C {
    fn name(&self) -> &str {
        Check::name(self)
    }

    fn kind(&self) -> Kind {
        Check::kind(self)
    }

    fn policy(&self) -> Policy {
        Check::policy(self)
    }

    fn problems(&self) -> Vec<String> {
        Check::problems(self)
    }

    fn run<'a>(&'a self, ctx: &'a CheckCtx) -> BoxFuture<'a, Outcome> {
        Box::pin(Check::run(self, ctx))
    }
}

/// A check made of a function. See [`check_fn`].
pub struct FnCheck<F> {
    name: String,
    kind: Kind,
    run: F,
}

/// Makes a check of a function that returns a future.
///
/// ```
/// use ops_health::{Kind, Outcome, check_fn};
///
/// let check = check_fn("inbox", Kind::Custom, |_ctx| async { Outcome::healthy() });
/// ```
pub fn check_fn<F, Fut>(name: impl Into<String>, kind: Kind, run: F) -> FnCheck<F>
where
    F: Fn(CheckCtx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send,
{
    FnCheck {
        name: name.into(),
        kind,
        run,
    }
}

impl<F, Fut> Check for FnCheck<F>
where
    F: Fn(CheckCtx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn run(&self, ctx: &CheckCtx) -> impl Future<Output = Outcome> + Send {
        (self.run)(ctx.clone())
    }
}

impl<F> fmt::Debug for FnCheck<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnCheck")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What a run of a check is told.
#[derive(Clone, Debug)]
pub struct CheckCtx {
    pub(crate) timeout: Duration,
    pub(crate) deadline: Instant,
    pub(crate) attempt: u32,
    pub(crate) previous: Option<Arc<Outcome>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) blocked: BlockedThreads,
}

impl CheckCtx {
    /// A context outside a scheduler, for one run by hand and for tests of checks.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            deadline: Instant::now() + timeout,
            attempt: 1,
            previous: None,
            clock: Arc::new(SystemClock),
            shutdown: CancellationToken::new(),
            blocked: BlockedThreads::default(),
        }
    }

    /// Replaces the wall clock. Defaults to the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long the run may take in all.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How much of that is left.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// 1, and one more for every failure in a row before this run.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What the last finished run found.
    #[must_use]
    pub fn previous(&self) -> Option<&Outcome> {
        self.previous.as_deref()
    }

    /// The wall clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Whether the service is shutting down.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    /// Ends when the service shuts down.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn shutdown(&self) {
        self.shutdown.cancelled().await;
    }

    /// Runs a call that blocks its thread on a thread that may block.
    ///
    /// A blocked thread cannot be cancelled. While one goes on after the deadline, the
    /// check is [`Stuck`](crate::Code::Stuck) and is not started again.
    ///
    /// # Panics
    /// Where the call panics; the scheduler turns that into an outcome.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the call running and drops its result.
    pub async fn blocking<T, F>(&self, call: F) -> T
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let held = self.blocked.enter();
        let task = tokio::task::spawn_blocking(move || {
            let _held = held;
            call()
        });
        match task.await {
            Ok(value) => value,
            Err(err) if err.is_panic() => std::panic::resume_unwind(err.into_panic()),
            // The runtime is going away, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }
}

/// How many threads a check blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockedThreads(Arc<AtomicUsize>);

impl BlockedThreads {
    fn enter(&self) -> Blocked {
        self.0.fetch_add(1, Ordering::AcqRel);
        Blocked(Self(Arc::clone(&self.0)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

struct Blocked(BlockedThreads);

impl Drop for Blocked {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
