//! Whether our own sign of life gets out.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind};

/// When something last succeeded: whoever does it says so. Clones are the same.
///
/// ```
/// use std::time::Duration;
/// use ops_health::checks::{Heartbeat, LastSuccess};
///
/// let pushed = LastSuccess::new();
/// let check = Heartbeat::new(pushed.clone(), Duration::from_secs(60));
/// // After every push that was accepted:
/// pushed.succeeded();
/// ```
#[derive(Clone, Default)]
pub struct LastSuccess(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    at: Option<Instant>,
    failures: u64,
}

impl LastSuccess {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// It succeeded now.
    pub fn succeeded(&self) {
        *self.record() = Record {
            at: Some(Instant::now()),
            failures: 0,
        };
    }

    /// It failed now.
    pub fn failed(&self) {
        let mut record = self.record();
        record.failures = record.failures.saturating_add(1);
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LastSuccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LastSuccess").field(&*self.record()).finish()
    }
}

/// Whether our own sign of life, pushed to a monitor elsewhere, was accepted lately.
///
/// Degraded where the last one is older than two periods, unhealthy where it is older than
/// three or there never was one. Informational: it is the monitor elsewhere that raises the
/// alarm. Runs every 30 s.
#[derive(Debug)]
pub struct Heartbeat {
    name: String,
    last: LastSuccess,
    period: Duration,
    made: Instant,
}

impl Heartbeat {
    /// Looks at pushes that are made once in a period.
    #[must_use]
    pub fn new(last: LastSuccess, period: Duration) -> Self {
        Self {
            name: "heartbeat".to_owned(),
            last,
            period,
            made: Instant::now(),
        }
    }

    /// Sets the name. Defaults to `heartbeat`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    fn judge(&self, now: Instant) -> Outcome {
        let (at, failures) = {
            let record = self.last.record();
            (record.at, record.failures)
        };
        let age = now.saturating_duration_since(at.unwrap_or(self.made));
        let outcome = if age <= self.period.saturating_mul(2) {
            Outcome::healthy()
        } else if at.is_none() {
            Outcome::unhealthy(Code::NeverRan)
        } else if age <= self.period.saturating_mul(3) {
            Outcome::degraded(Code::Overdue)
        } else {
            Outcome::unhealthy(Code::Overdue)
        };
        let outcome = match at {
            Some(_) => outcome.with_observation("age", age.as_secs_f64(), Unit::Seconds),
            None => outcome,
        };
        if failures == 0 {
            outcome
        } else {
            outcome.with_detail(format!("{failures} pushes in a row failed"))
        }
    }
}

impl Check for Heartbeat {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Custom
    }

    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::Informational)
            .with_interval(Duration::from_secs(30))
            .with_thresholds(1, 1)
    }

    fn problems(&self) -> Vec<String> {
        self.period
            .is_zero()
            .then(|| "the period is zero".to_owned())
            .into_iter()
            .collect()
    }

    async fn run(&self, _ctx: &CheckCtx) -> Outcome {
        self.judge(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    #[tokio::test(start_paused = true)]
    async fn a_push_is_overdue_after_two_periods_and_lost_after_three() {
        let last = LastSuccess::new();
        let check = Heartbeat::new(last.clone(), Duration::from_secs(60));
        let found = || {
            let outcome = check.judge(Instant::now());
            (outcome.status(), outcome.code())
        };
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        assert_eq!(found(), (Status::Healthy, Code::Ok));
        pass(121).await;
        assert_eq!(found(), (Status::Unhealthy, Code::NeverRan));
        last.succeeded();
        assert_eq!(found(), (Status::Healthy, Code::Ok));
        pass(120).await;
        last.failed();
        assert_eq!(found(), (Status::Healthy, Code::Ok));
        pass(1).await;
        assert_eq!(found(), (Status::Degraded, Code::Overdue));
        pass(60).await;
        assert_eq!(found(), (Status::Unhealthy, Code::Overdue));
        last.succeeded();
        assert_eq!(found(), (Status::Healthy, Code::Ok));
    }
}
