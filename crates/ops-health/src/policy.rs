//! How often a check runs, and what its results do.

use std::time::Duration;

use crate::scheduler::MIN_PAUSE;
use crate::status::{Criticality, Scope};

mod groups;
mod mode;
mod problems;

pub use groups::Groups;
pub use mode::Mode;

/// How often a check runs, how long it may take, and how its results are damped.
///
/// ```
/// use std::time::Duration;
/// use ops_health::Policy;
///
/// let policy = Policy::default().with_interval(Duration::from_secs(30));
/// assert_eq!(policy.retry_interval(), Duration::from_secs(15));
/// assert_eq!(policy.stale_after(), Duration::from_secs(92));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    criticality: Criticality,
    scope: Scope,
    groups: Groups,
    mode: Mode,
    depends_on: Vec<String>,
    interval: Duration,
    min_interval: Duration,
    retry_interval: Option<Duration>,
    jitter: f64,
    timeout: Duration,
    failure_threshold: u32,
    success_threshold: u32,
    stale_after: Option<Duration>,
    startup_grace: Duration,
    unrecoverable_after: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            criticality: Criticality::Critical,
            scope: Scope::Instance,
            groups: Groups::default(),
            mode: Mode::Background,
            depends_on: Vec::new(),
            interval: Duration::from_secs(10),
            min_interval: Duration::ZERO,
            retry_interval: None,
            jitter: 0.1,
            timeout: Duration::from_secs(2),
            failure_threshold: 3,
            success_threshold: 2,
            stale_after: None,
            startup_grace: Duration::ZERO,
            unrecoverable_after: None,
        }
    }
}

impl Policy {
    /// Sets what a failure does to the verdict. Defaults to [`Criticality::Critical`].
    #[must_use]
    pub fn with_criticality(mut self, criticality: Criticality) -> Self {
        self.criticality = criticality;
        self
    }

    /// Sets what the check depends on. Defaults to [`Scope::Instance`].
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets the routes that the check takes part in. Defaults to
    /// [`Groups::READY_AND_HEALTH`].
    #[must_use]
    pub fn with_groups(mut self, groups: Groups) -> Self {
        self.groups = groups;
        self
    }

    /// Sets what makes the check run. Defaults to [`Mode::Background`].
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Names a check without which this one cannot work. While that one fails, it is told
    /// as the cause of this one's failure, which then raises no alert of its own. May be
    /// called again.
    #[must_use]
    pub fn with_dependency(mut self, check: impl Into<String>) -> Self {
        self.depends_on.push(check.into());
        self
    }

    /// Sets the time from the start of a run to the start of the next. Defaults to 10 s.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets a lower limit of the interval and of the retry interval, for peers that are
    /// paid by the request. Defaults to none.
    #[must_use]
    pub fn with_min_interval(mut self, min_interval: Duration) -> Self {
        self.min_interval = min_interval;
        self
    }

    /// Sets the interval while the check fails or changes. Defaults to half the
    /// interval, but not below 1 s.
    #[must_use]
    pub fn with_retry_interval(mut self, retry_interval: Duration) -> Self {
        self.retry_interval = Some(retry_interval);
        self
    }

    /// Sets by which share an interval is shortened or lengthened at random, so that
    /// replicas do not run together. Between 0 and 0.5; defaults to 0.1.
    #[must_use]
    pub fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets how long a run may take. Defaults to 2 s.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many results in a row make a check worse, and how many make it better.
    /// Defaults to 3 and 2.
    #[must_use]
    pub fn with_thresholds(mut self, failure: u32, success: u32) -> Self {
        self.failure_threshold = failure;
        self.success_threshold = success;
        self
    }

    /// Sets the age at which a result is no longer believed; for a check that runs on
    /// demand, how long a reader's demand may stay without a result. Defaults to three
    /// intervals, or three times the ttl, and the timeout.
    #[must_use]
    pub fn with_stale_after(mut self, stale_after: Duration) -> Self {
        self.stale_after = Some(stale_after);
        self
    }

    /// Sets for how long after the start a failing first run leaves the check unknown.
    /// Defaults to zero: the first verdict stands at once.
    #[must_use]
    pub fn with_startup_grace(mut self, startup_grace: Duration) -> Self {
        self.startup_grace = startup_grace;
        self
    }

    /// Sets after how long without a break of being unhealthy the service gives up: it
    /// drains, and [`Health::gave_up_on`](crate::Health::gave_up_on) names the check, so
    /// that the process can end and be started anew. For critical checks of something
    /// that a restart can repair. Defaults to never.
    #[must_use]
    pub fn with_unrecoverable_after(mut self, limit: Duration) -> Self {
        self.unrecoverable_after = Some(limit);
        self
    }

    /// What a failure does to the verdict.
    #[must_use]
    pub fn criticality(&self) -> Criticality {
        self.criticality
    }

    /// What the check depends on.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The routes that the check takes part in.
    #[must_use]
    pub fn groups(&self) -> Groups {
        self.groups
    }

    /// What makes the check run.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The checks without which this one cannot work.
    #[must_use]
    pub fn depends_on(&self) -> &[String] {
        &self.depends_on
    }

    /// After how long of being unhealthy the service gives up; `None` for never.
    #[must_use]
    pub fn unrecoverable_after(&self) -> Option<Duration> {
        self.unrecoverable_after
    }

    /// The time from the start of a run to the start of the next.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval.max(self.min_interval)
    }

    /// The interval while the check fails or changes.
    #[must_use]
    pub fn retry_interval(&self) -> Duration {
        self.retry_interval
            .unwrap_or_else(|| {
                (self.interval / 2)
                    .max(Duration::from_secs(1))
                    .min(self.interval)
            })
            .max(self.min_interval)
    }

    /// By which share an interval is shortened or lengthened at random.
    #[must_use]
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// How long a run may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many results in a row make a check worse.
    #[must_use]
    pub fn failure_threshold(&self) -> u32 {
        self.failure_threshold
    }

    /// How many results in a row make a check better.
    #[must_use]
    pub fn success_threshold(&self) -> u32 {
        self.success_threshold
    }

    /// The age at which a result is no longer believed.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.stale_after
            .unwrap_or_else(|| self.period().saturating_mul(3).saturating_add(self.timeout))
    }

    /// How long a result is good for.
    pub(crate) fn period(&self) -> Duration {
        match self.mode {
            Mode::Background => self.interval(),
            Mode::OnDemand { ttl } => ttl.max(self.min_interval),
        }
    }

    /// The longest time from a fault to its verdict, for a check in the background: an
    /// interval until a run meets it, a retry interval for each further failure that the
    /// threshold asks for, and the timeout of the last run. 22 s by default.
    ///
    /// A run that hangs for longer than the retry interval is followed 100 ms later. Not
    /// counted are jitter, which can lengthen each pause by its share, and the wait of a run
    /// while [`HealthBuilder::max_concurrency`](crate::HealthBuilder::max_concurrency) others
    /// hang.
    #[must_use]
    pub fn detection_time(&self) -> Duration {
        let retry = self.retry_interval();
        let hung = self.timeout.saturating_add(retry.min(MIN_PAUSE));
        retry
            .max(hung)
            .saturating_mul(self.failure_threshold.saturating_sub(1))
            .saturating_add(self.interval())
            .saturating_add(self.timeout)
    }

    /// For how long after the start a failing first run leaves the check unknown.
    #[must_use]
    pub fn startup_grace(&self) -> Duration {
        self.startup_grace
    }
}
