//! How long it takes until a fault is told.

use std::time::{Duration, Instant};

use ops_health::{Check, Code, Health, HealthBuilder, Policy, Scheduler, Status};

use crate::support::service;

/// What a check says.
pub(crate) type Found = (Status, Code);

pub(crate) const HEALTHY: Found = (Status::Healthy, Code::Ok);

/// What the machine may add to every bound: it is busy with other tests.
const ALLOWANCE: Duration = Duration::from_millis(500);

/// How often the state is read.
const LOOK: Duration = Duration::from_millis(2);

/// The rhythm of a check, and what follows from it.
#[derive(Clone, Copy)]
pub(crate) struct Rhythm {
    pub(crate) interval: Duration,
    pub(crate) retry: Duration,
    pub(crate) timeout: Duration,
    /// The fault is seen by one of so many runs.
    pub(crate) runs: u32,
}

/// A tenth of the defaults' interval and retry interval, and a fifth of their timeout.
pub(crate) const TENTH: Rhythm = Rhythm {
    interval: Duration::from_secs(1),
    retry: Duration::from_millis(500),
    timeout: Duration::from_millis(400),
    runs: 1,
};

const FAILURES: u32 = 3;
const SUCCESSES: u32 = 2;

impl Rhythm {
    fn apply(self, policy: Policy) -> Policy {
        policy
            .with_interval(self.interval)
            .with_retry_interval(self.retry)
            .with_timeout(self.timeout)
            .with_thresholds(FAILURES, SUCCESSES)
            .with_jitter(0.0)
    }

    /// From the moment when a fault is there to the moment when it is told.
    pub(crate) fn detection(self) -> Duration {
        self.interval * self.runs + self.retry * (FAILURES - 1) + self.timeout
    }

    /// The same for its end: while a check fails, every run looks for it.
    pub(crate) fn recovery(self) -> Duration {
        self.retry * SUCCESSES + self.timeout
    }
}

/// Checks that run.
pub(crate) struct Watched {
    pub(crate) health: Health,
    pub(crate) rhythm: Rhythm,
    _scheduler: Scheduler,
}

impl Watched {
    /// One check in this rhythm, once it has found what is expected.
    pub(crate) async fn start(check: impl Check, rhythm: Rhythm, first: Found) -> Self {
        let name = check.name().to_owned();
        let watched = Self::of(|builder| builder.check(check), rhythm);
        watched.first(&name, first).await;
        watched
    }

    /// As [`Watched::start`], for a service with more to say.
    pub(crate) fn of(add: impl FnOnce(HealthBuilder) -> HealthBuilder, rhythm: Rhythm) -> Self {
        let builder = add(service()).policy(|policy| rhythm.apply(policy));
        let health = builder.build().unwrap();
        let scheduler = health.start().unwrap();
        Self {
            health,
            rhythm,
            _scheduler: scheduler,
        }
    }

    pub(crate) fn found(&self, check: &str) -> Found {
        let all = self.health.checks();
        let one = all.iter().find(|one| one.name == check).unwrap();
        (one.status, one.code)
    }

    /// The first verdict stands at once: a second, and one run.
    pub(crate) async fn first(&self, check: &str, expected: Found) {
        let bound = Duration::from_secs(1) + self.rhythm.timeout;
        self.until(check, expected, Instant::now(), bound).await;
    }

    /// Waits until the check tells of a fault that has been there since `since`.
    pub(crate) async fn detects(&self, what: &str, check: &str, since: Instant, expected: Found) {
        let bound = self.rhythm.detection();
        let took = self.until(check, expected, since, bound).await;
        print(&format!("detected {what}"), expected, took, bound);
    }

    /// Waits until the check tells that a fault is over, `late` later than the rhythm says
    /// at most.
    pub(crate) async fn recovers(&self, what: &str, check: &str, since: Instant, late: Duration) {
        let bound = self.rhythm.recovery() + late;
        let took = self.until(check, HEALTHY, since, bound).await;
        print(&format!("recovered from {what}"), HEALTHY, took, bound);
    }

    async fn until(
        &self,
        check: &str,
        expected: Found,
        since: Instant,
        bound: Duration,
    ) -> Duration {
        let mut seen: Vec<(Duration, Found)> = Vec::new();
        loop {
            let (now, found) = (since.elapsed(), self.found(check));
            if found == expected {
                assert!(
                    now <= bound + ALLOWANCE,
                    "{check} took {now:?} of {bound:?} to be {expected:?}: {seen:?}"
                );
                return now;
            }
            if seen.last().is_none_or(|(_, last)| *last != found) {
                seen.push((now, found));
            }
            assert!(
                now <= bound + ALLOWANCE,
                "{check} is not {expected:?} after {now:?} of {bound:?}: {seen:?}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn print(what: &str, found: Found, took: Duration, bound: Duration) {
    let (took, bound) = (took.as_secs_f64(), bound.as_secs_f64());
    println!(
        "{what} in {took:.2} s (bound {bound:.2} s): {} {}",
        found.0, found.1
    );
}
