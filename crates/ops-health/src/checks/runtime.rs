//! How late the runtime is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind};
use crate::watchdog::{Lag, Watchdog};

/// How late the tokio runtime begins what it is given, as its [`Watchdog`] measures it, and
/// how busy its workers are.
///
/// The longest lag since the last run counts. From 500 ms on the check is degraded, from
/// 30 s on unhealthy: with [`Code::ThresholdWarn`] and [`Code::ThresholdFail`] where the
/// event loop is blocked, with [`Code::Saturated`] and [`Code::Exhausted`] where the
/// blocking threads are. Runs every 10 s; not critical. Made by
/// [`HealthBuilder::watchdog`](crate::HealthBuilder::watchdog).
#[derive(Debug)]
pub struct Runtime {
    name: String,
    watchdog: Watchdog,
    warn_at: Duration,
    fail_at: Duration,
    last_busy: Mutex<Option<(Instant, Duration)>>,
}

impl Runtime {
    /// Looks at what this watchdog measures.
    #[must_use]
    pub fn new(watchdog: Watchdog) -> Self {
        Self {
            name: "runtime".to_owned(),
            watchdog,
            warn_at: Duration::from_millis(500),
            fail_at: Duration::from_secs(30),
            last_busy: Mutex::default(),
        }
    }

    /// Sets the name. Defaults to `runtime`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets from which lag on the check is degraded, and from which on unhealthy. Defaults
    /// to 500 ms and 30 s.
    #[must_use]
    pub fn limits(mut self, warn_at: Duration, fail_at: Duration) -> Self {
        self.warn_at = warn_at;
        self.fail_at = fail_at;
        self
    }

    fn judge(&self, lag: Lag) -> Outcome {
        let outcome = if lag.event_loop >= self.fail_at {
            Outcome::unhealthy(Code::ThresholdFail).with_detail("the event loop was blocked")
        } else if lag.blocking_pool >= self.fail_at {
            Outcome::unhealthy(Code::Exhausted).with_detail("the blocking threads were exhausted")
        } else if lag.event_loop >= self.warn_at {
            Outcome::degraded(Code::ThresholdWarn).with_detail("the event loop was late")
        } else if lag.blocking_pool >= self.warn_at {
            Outcome::degraded(Code::Saturated).with_detail("the blocking threads were late")
        } else {
            Outcome::healthy()
        };
        outcome
            .with_observation(
                "event_loop_lag",
                lag.event_loop.as_secs_f64(),
                Unit::Seconds,
            )
            .with_observation(
                "blocking_pool_lag",
                lag.blocking_pool.as_secs_f64(),
                Unit::Seconds,
            )
    }

    /// The share of time that the workers have worked since the last run.
    fn busy_ratio(&self) -> Option<f64> {
        let metrics = Handle::try_current().ok()?.metrics();
        let workers = metrics.num_workers();
        let busy: Duration = (0..workers)
            .map(|worker| metrics.worker_total_busy_duration(worker))
            .sum();
        let now = Instant::now();
        let mut last = self
            .last_busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (then, busy_then) = last.replace((now, busy))?;
        drop(last);
        let span = now.saturating_duration_since(then).as_secs_f64();
        let count = u32::try_from(workers).unwrap_or(u32::MAX);
        let ratio = busy.saturating_sub(busy_then).as_secs_f64() / (span * f64::from(count));
        ratio.is_finite().then(|| ratio.clamp(0.0, 1.0))
    }
}

impl Check for Runtime {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::System
    }

    /// The watchdog has measured many times already: a worse result stands at once.
    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_thresholds(1, 2)
    }

    fn problems(&self) -> Vec<String> {
        (self.warn_at.is_zero() || self.warn_at >= self.fail_at)
            .then(|| {
                format!(
                    "it warns at {:?} and fails at {:?}; the first must be shorter, and not zero",
                    self.warn_at, self.fail_at
                )
            })
            .into_iter()
            .collect()
    }

    async fn run(&self, _ctx: &CheckCtx) -> Outcome {
        if !self.watchdog.is_running() {
            return Outcome::unhealthy(Code::NeverRan)
                .with_detail("the watchdog was never started: give it to the builder");
        }
        let outcome = self.judge(self.watchdog.take_peak());
        match self.busy_ratio() {
            Some(ratio) => outcome.with_observation("busy", ratio, Unit::Ratio),
            None => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    fn judged(event_loop: u64, blocking_pool: u64) -> (Status, Code) {
        let lag = Lag {
            event_loop: Duration::from_millis(event_loop),
            blocking_pool: Duration::from_millis(blocking_pool),
        };
        let outcome = Runtime::new(Watchdog::new()).judge(lag);
        (outcome.status(), outcome.code())
    }

    #[test]
    fn the_code_tells_a_blocked_loop_from_exhausted_threads() {
        assert_eq!(judged(499, 499), (Status::Healthy, Code::Ok));
        assert_eq!(judged(500, 0), (Status::Degraded, Code::ThresholdWarn));
        assert_eq!(judged(0, 500), (Status::Degraded, Code::Saturated));
        assert_eq!(judged(30_000, 0), (Status::Unhealthy, Code::ThresholdFail));
        assert_eq!(judged(0, 30_000), (Status::Unhealthy, Code::Exhausted));
        assert_eq!(judged(500, 30_000), (Status::Unhealthy, Code::Exhausted));
    }

    #[tokio::test]
    async fn a_watchdog_that_nobody_started_is_not_believed() {
        let check = Runtime::new(Watchdog::new());
        let outcome = check.run(&CheckCtx::new(Duration::from_secs(1))).await;
        assert_eq!(outcome.code(), Code::NeverRan);
    }
}
