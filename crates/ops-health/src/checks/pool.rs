//! How full a connection pool is, told from its counters.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Percent;
use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind};

mod returns;

pub use returns::PoolReturns;

/// The counters of a pool, read without taking a connection from it.
pub trait PoolCounters: Send + Sync + 'static {
    /// The counters now. Must not block.
    fn usage(&self) -> PoolUsage;
}

impl<F: Fn() -> PoolUsage + Send + Sync + 'static> PoolCounters for F {
    fn usage(&self) -> PoolUsage {
        self()
    }
}

/// What a pool counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolUsage {
    /// Connections that are lent out.
    pub in_use: u64,
    /// The most connections that the pool opens.
    pub max: u64,
    /// Callers that wait for a connection.
    pub waiters: u64,
    /// How long ago a connection was last given back; [`Duration::MAX`] where none ever was,
    /// `None` where the pool does not tell.
    pub since_last_return: Option<Duration>,
}

impl PoolUsage {
    /// A pool that lends out `in_use` of at most `max` connections.
    #[must_use]
    pub const fn new(in_use: u64, max: u64) -> Self {
        Self {
            in_use,
            max,
            waiters: 0,
            since_last_return: None,
        }
    }

    /// Sets how many callers wait.
    #[must_use]
    pub const fn with_waiters(mut self, waiters: u64) -> Self {
        self.waiters = waiters;
        self
    }

    /// Sets how long ago a connection was last given back; [`Duration::MAX`] for never.
    #[must_use]
    pub const fn with_since_last_return(mut self, since: Duration) -> Self {
        self.since_last_return = Some(since);
        self
    }
}

/// Whether a pool is nearly full for long, or stuck.
///
/// A single reading cannot tell busy from stuck, so the check judges over time: it is
/// degraded ([`Code::Saturated`]) where 80 % or more were in use at every reading for
/// 30 s, and unhealthy ([`Code::Exhausted`]) where all were in use for 30 s and none was
/// given back. A pool that does not tell of returns is never called stuck, only saturated:
/// under load it looks the same. [`PoolReturns`] tells for it. The check never takes a
/// connection. Runs every 5 s; not critical.
///
/// ```
/// use ops_health::checks::{Pool, PoolUsage};
///
/// let check = Pool::new(|| PoolUsage::new(3, 10)).named("orders_pool");
/// ```
pub struct Pool {
    name: String,
    counters: Box<dyn PoolCounters>,
    warn_at: Percent,
    warn_for: Duration,
    stuck_for: Duration,
    since: Mutex<Since>,
}

impl Pool {
    /// Looks at these counters.
    pub fn new(counters: impl PoolCounters) -> Self {
        Self {
            name: "pool".to_owned(),
            counters: Box::new(counters),
            warn_at: Percent::new(80),
            warn_for: Duration::from_secs(30),
            stuck_for: Duration::from_secs(30),
            since: Mutex::default(),
        }
    }

    /// Sets the name. Defaults to `pool`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets from which use on, and after how long of it, the check is degraded.
    /// Defaults to 80 % and 30 s.
    #[must_use]
    pub fn warn_at(mut self, used: Percent, lasting: Duration) -> Self {
        self.warn_at = used;
        self.warn_for = lasting;
        self
    }

    /// Sets after how long without a return a full pool is stuck. Defaults to 30 s.
    #[must_use]
    pub fn stuck_after(mut self, lasting: Duration) -> Self {
        self.stuck_for = lasting;
        self
    }

    fn judge(&self, usage: PoolUsage, now: Instant) -> Outcome {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let used = ratio(usage);
        let busy = since.busy.hold(used >= self.warn_at.ratio(), now);
        let full = since
            .full
            .hold(usage.max > 0 && usage.in_use >= usage.max, now);
        // A return while the pool is full again at once counts: it is busy, not stuck.
        let unreturned = full
            .zip(usage.since_last_return)
            .map(|(full, returned)| returned.min(full));
        let outcome = if unreturned.is_some_and(|span| span >= self.stuck_for) {
            Outcome::unhealthy(Code::Exhausted)
        } else if busy.is_some_and(|span| span >= self.warn_for) {
            Outcome::degraded(Code::Saturated)
        } else {
            Outcome::healthy()
        };
        outcome
            .with_observation("utilization", used, Unit::Ratio)
            .with_observation("waiters", to_f64(usage.waiters), Unit::Count)
            .with_detail(format!(
                "{} of {} in use, {} waiting",
                usage.in_use, usage.max, usage.waiters
            ))
    }
}

impl Check for Pool {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Pool
    }

    /// Already judged over time, so that a worse result stands at once.
    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_interval(Duration::from_secs(5))
            .with_thresholds(1, 2)
    }

    fn problems(&self) -> Vec<String> {
        let share = self.warn_at.ratio();
        (share == 0.0 || share > 1.0)
            .then(|| "the share to warn at is not between 1 % and 100 %".to_owned())
            .into_iter()
            .collect()
    }

    async fn run(&self, _ctx: &CheckCtx) -> Outcome {
        let usage = self.counters.usage();
        let label = [("pool", self.name.as_str())];
        crate::metrics::set("ops_pool_in_use", &label, to_f64(usage.in_use));
        crate::metrics::set("ops_pool_max", &label, to_f64(usage.max));
        crate::metrics::set("ops_pool_waiters", &label, to_f64(usage.waiters));
        self.judge(usage, Instant::now())
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Since when conditions hold at every reading.
#[derive(Debug, Default)]
struct Since {
    busy: Held,
    full: Held,
}

#[derive(Debug, Default)]
struct Held(Option<Instant>);

impl Held {
    /// For how long the condition has held; `None` where it does not.
    fn hold(&mut self, holds: bool, now: Instant) -> Option<Duration> {
        self.0 = holds.then(|| self.0.unwrap_or(now));
        self.0.map(|since| now.saturating_duration_since(since))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "pools have fewer than 2^52 connections"
)]
const fn to_f64(n: u64) -> f64 {
    n as f64
}

fn ratio(usage: PoolUsage) -> f64 {
    if usage.max == 0 {
        0.0
    } else {
        to_f64(usage.in_use) / to_f64(usage.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    /// Reads the usages, one every 5 s, and returns the last verdict.
    fn after(usages: impl IntoIterator<Item = PoolUsage>) -> (Status, Code) {
        let pool = Pool::new(|| PoolUsage::new(0, 0));
        let start = Instant::now();
        let mut last = None;
        for (i, usage) in (0..).zip(usages) {
            last = Some(pool.judge(usage, start + Duration::from_secs(5) * i));
        }
        let last = last.unwrap();
        (last.status(), last.code())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_short_peak_is_no_saturation() {
        let busy = PoolUsage::new(8, 10).with_since_last_return(SECOND);
        let calm = PoolUsage::new(7, 10).with_since_last_return(SECOND);
        assert_eq!(after([busy; 6]), (Status::Healthy, Code::Ok));
        let dip = [busy, busy, busy, busy, busy, busy, calm, busy];
        assert_eq!(after(dip), (Status::Healthy, Code::Ok));
    }

    #[test]
    fn eighty_percent_for_thirty_seconds_is_saturated() {
        let busy = PoolUsage::new(8, 10)
            .with_waiters(3)
            .with_since_last_return(SECOND);
        assert_eq!(after([busy; 7]), (Status::Degraded, Code::Saturated));
    }

    #[test]
    fn a_full_pool_that_gets_connections_back_is_busy_and_not_stuck() {
        let full = PoolUsage::new(10, 10)
            .with_waiters(50)
            .with_since_last_return(SECOND);
        assert_eq!(after([full; 100]), (Status::Degraded, Code::Saturated));
    }

    #[test]
    fn a_full_pool_without_a_return_for_thirty_seconds_is_stuck() {
        let held = |seconds| PoolUsage::new(10, 10).with_since_last_return(SECOND * seconds);
        assert_eq!(
            after((0..6).map(|i| held(5 * i))),
            (Status::Healthy, Code::Ok)
        );
        assert_eq!(
            after((0..7).map(|i| held(5 * i))),
            (Status::Unhealthy, Code::Exhausted)
        );
    }

    #[test]
    fn a_pool_that_never_got_a_connection_back_is_stuck() {
        let held = PoolUsage::new(10, 10).with_since_last_return(Duration::MAX);
        assert_eq!(after([held; 6]), (Status::Healthy, Code::Ok));
        assert_eq!(after([held; 7]), (Status::Unhealthy, Code::Exhausted));
    }

    #[test]
    fn a_pool_that_tells_no_returns_is_saturated_and_never_called_stuck() {
        let full = PoolUsage::new(10, 10);
        assert_eq!(after([full; 6]), (Status::Healthy, Code::Ok));
        assert_eq!(after([full; 100]), (Status::Degraded, Code::Saturated));
    }

    #[test]
    fn a_pool_that_fills_up_after_a_quiet_hour_is_not_stuck_yet() {
        let hour = SECOND * 3600;
        let full = PoolUsage::new(10, 10).with_since_last_return(hour);
        assert_eq!(
            after([PoolUsage::new(0, 10), full, full]),
            (Status::Healthy, Code::Ok)
        );
    }

    #[test]
    fn a_pool_without_a_size_is_healthy() {
        assert_eq!(
            after([PoolUsage::new(0, 0); 9]),
            (Status::Healthy, Code::Ok)
        );
    }
}
