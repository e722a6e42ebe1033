//! How often a check runs, and what its results do.

use std::time::Duration;

use crate::builder::is_too_long;
use crate::status::{Criticality, Scope};

/// Which routes a check takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Groups {
    pub(crate) ready: bool,
    pub(crate) health: bool,
    pub(crate) startup: bool,
}

impl Groups {
    /// `/health/ready` and `/health`, the default.
    pub const READY_AND_HEALTH: Self = Self {
        ready: true,
        health: true,
        startup: false,
    };
    /// `/health` alone.
    pub const HEALTH: Self = Self {
        ready: false,
        health: true,
        startup: false,
    };
    /// `/health/startup` alone: the check runs until it is healthy once, then no more.
    pub const STARTUP: Self = Self {
        ready: false,
        health: false,
        startup: true,
    };
    /// Everything.
    pub const ALL: Self = Self {
        ready: true,
        health: true,
        startup: true,
    };
}

impl Default for Groups {
    fn default() -> Self {
        Self::READY_AND_HEALTH
    }
}

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
    interval: Duration,
    min_interval: Duration,
    retry_interval: Option<Duration>,
    jitter: f64,
    timeout: Duration,
    failure_threshold: u32,
    success_threshold: u32,
    stale_after: Option<Duration>,
    startup_grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            criticality: Criticality::Critical,
            scope: Scope::Instance,
            groups: Groups::default(),
            interval: Duration::from_secs(10),
            min_interval: Duration::ZERO,
            retry_interval: None,
            jitter: 0.1,
            timeout: Duration::from_secs(2),
            failure_threshold: 3,
            success_threshold: 2,
            stale_after: None,
            startup_grace: Duration::ZERO,
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

    /// Sets the age at which a result is no longer believed. Defaults to three intervals
    /// and the timeout.
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
        self.stale_after.unwrap_or_else(|| {
            self.interval()
                .saturating_mul(3)
                .saturating_add(self.timeout)
        })
    }

    /// For how long after the start a failing first run leaves the check unknown.
    #[must_use]
    pub fn startup_grace(&self) -> Duration {
        self.startup_grace
    }

    /// Everything that cannot work.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.interval.is_zero() {
            problems.push("the interval is zero".to_owned());
        }
        if self.timeout.is_zero() {
            problems.push("the timeout is zero".to_owned());
        }
        if self.failure_threshold == 0 || self.success_threshold == 0 {
            problems.push("a threshold is zero".to_owned());
        }
        if !(0.0..=0.5).contains(&self.jitter) {
            problems.push(format!(
                "the jitter of {} is not between 0 and 0.5",
                self.jitter
            ));
        }
        if let Some(retry) = self.retry_interval {
            if retry.is_zero() {
                problems.push("the retry interval is zero".to_owned());
            } else if retry > self.interval {
                problems.push(format!(
                    "the retry interval of {retry:?} is longer than the interval of {:?}",
                    self.interval
                ));
            }
        }
        let spans = [
            self.interval(),
            self.retry_interval(),
            self.timeout,
            self.stale_after(),
            self.startup_grace,
        ];
        if spans.into_iter().any(is_too_long) {
            problems.push("a span is longer than a year".to_owned());
        }
        let least = self.interval().saturating_add(self.timeout);
        if self.stale_after() < least {
            problems.push(format!(
                "stale_after of {:?} is shorter than interval and timeout together, {least:?}",
                self.stale_after()
            ));
        }
        problems
    }
}
