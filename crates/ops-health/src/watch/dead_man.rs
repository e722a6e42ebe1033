//! The heartbeat to somebody outside: when it stops, they raise the alarm.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ops_core::monitor::{Beat, Heartbeat, HeartbeatSpec};
use ops_core::{ErrorKind, Monitor, MonitorExt as _, Report, Result, Timestamp};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::Inner;
use crate::aggregate::Question;
use crate::builder::is_too_long;
use crate::checks::LastSuccess;
use crate::jitter::Jitter;
use crate::private::scrub;

/// How long one call of the vendor may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest pause after a call that failed.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A heartbeat at a [`Monitor`] outside, which beats while the process is alive and is
/// withheld while it is not: the alarm that goes off when nothing here can raise one.
#[derive(Clone)]
#[must_use]
pub struct DeadMan {
    monitor: Arc<dyn Monitor>,
    spec: HeartbeatSpec,
    question: Question,
    reports_to: Option<LastSuccess>,
}

impl DeadMan {
    /// Beats once a period of `spec`, while the process is alive
    /// ([`Question::Live`]) and this watch runs. The heartbeat is made at the vendor where
    /// it is missing.
    pub fn new(monitor: Arc<dyn Monitor>, spec: HeartbeatSpec) -> Self {
        Self {
            monitor,
            spec,
            question: Question::Live,
            reports_to: None,
        }
    }

    /// Sets the question whose answer must be good. Defaults to [`Question::Live`]; with
    /// [`Question::Health`] the alarm outside goes off for every outage.
    pub fn while_good(mut self, question: Question) -> Self {
        self.question = question;
        self
    }

    /// Tells a [`checks::Heartbeat`](crate::checks::Heartbeat) of every beat, so that the
    /// health shows whether beats arrive. Defaults to telling none.
    pub fn reports_to(mut self, last: LastSuccess) -> Self {
        self.reports_to = Some(last);
        self
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let key = &self.spec.key;
        if self.monitor.as_heartbeats().is_none() {
            let monitor = self.monitor.provider();
            problems.push(format!("heartbeat {key:?}: {monitor} has no heartbeats"));
        }
        if self.spec.period < Duration::from_secs(1) || is_too_long(self.spec.period) {
            problems.push(format!(
                "heartbeat {key:?}: the period is not between a second and a year"
            ));
        }
        problems
    }
}

impl fmt::Debug for DeadMan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadMan")
            .field("provider", &self.monitor.provider())
            .field("key", &self.spec.key)
            .field("period", &self.spec.period)
            .field("question", &self.question)
            .finish_non_exhaustive()
    }
}

/// How an outgoing heartbeat does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeadManReport {
    /// Its key.
    pub key: String,
    /// When a beat last arrived.
    pub last_beat: Option<Timestamp>,
    /// Beats that arrived.
    pub beats: u64,
    /// Beats that were due and withheld.
    pub withheld: u64,
    /// Calls in a row that failed.
    pub consecutive_failures: u32,
    /// Why the last call failed.
    pub last_failure: Option<ErrorKind>,
}

/// A heartbeat that runs.
pub(super) struct Heart {
    dead_man: DeadMan,
    report: Mutex<DeadManReport>,
}

impl Heart {
    pub(super) fn new(dead_man: DeadMan) -> Self {
        let report = DeadManReport {
            key: dead_man.spec.key.clone(),
            last_beat: None,
            beats: 0,
            withheld: 0,
            consecutive_failures: 0,
            last_failure: None,
        };
        Self {
            dead_man,
            report: Mutex::new(report),
        }
    }

    pub(super) fn report(&self) -> DeadManReport {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, DeadManReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Beats for ever.
    pub(super) async fn run(&self, inner: &Inner) {
        let period = self.dead_man.spec.period;
        let mut jitter = Jitter::new();
        let mut known: Option<Heartbeat> = None;
        let mut due = Instant::now();
        loop {
            tokio::time::sleep_until(due).await;
            let verdict = inner.health.verdict(self.dead_man.question);
            if !verdict.status.is_up() || !inner.is_watching() {
                let mut report = self.lock();
                report.withheld += 1;
                drop(report);
                // Looked at often, so that a service that is well again says so soon.
                due = Instant::now() + retry_pause(period);
                continue;
            }
            let sent = self.beat(&mut known).await;
            self.note(inner, &sent);
            if sent.is_ok() {
                // By the moment when it was due, so that pauses do not add up.
                due = (due + period).max(Instant::now());
            } else {
                sleep(jitter.around(retry_pause(period), 0.2)).await;
                due = Instant::now();
            }
        }
    }

    async fn beat(&self, known: &mut Option<Heartbeat>) -> Result<()> {
        let heartbeats = self.dead_man.monitor.require_heartbeats()?;
        if known.is_none() {
            let made = heartbeats.ensure_heartbeat(self.dead_man.spec.clone());
            *known = Some(
                timeout(CALL_TIMEOUT, made)
                    .await
                    .map_err(|_| too_slow())??
                    .resource,
            );
        }
        let Some(heartbeat) = &*known else {
            return Ok(());
        };
        let sent = heartbeats.beat(heartbeat, Beat::success());
        let result = timeout(CALL_TIMEOUT, sent).await.map_err(|_| too_slow())?;
        if result.as_ref().is_err_and(ops_core::Error::is_not_found) {
            // Somebody has deleted it: it is made again next time.
            *known = None;
        }
        result
    }

    fn note(&self, inner: &Inner, sent: &Result<()>) {
        match (&self.dead_man.reports_to, sent) {
            (Some(last), Ok(())) => last.succeeded(),
            (Some(last), Err(_)) => last.failed(),
            (None, _) => {}
        }
        let mut report = self.lock();
        match sent {
            Ok(()) => {
                report.beats += 1;
                report.last_beat = Some(inner.clock().now());
                report.consecutive_failures = 0;
                report.last_failure = None;
            }
            Err(err) => {
                report.consecutive_failures = report.consecutive_failures.saturating_add(1);
                report.last_failure = Some(err.kind());
                if report.consecutive_failures == 1 {
                    let error = scrub(&Report(err).to_string(), &[]);
                    tracing::warn!(target: "ops_health", heartbeat = %report.key, error, "a heartbeat was not sent");
                }
            }
        }
    }
}

/// How long to wait after a beat that was not sent: a tenth of the period.
fn retry_pause(period: Duration) -> Duration {
    (period / 10).clamp(Duration::from_secs(1).min(period), MAX_PAUSE)
}

#[cold]
fn too_slow() -> ops_core::Error {
    ops_core::Error::new(ErrorKind::Timeout, "the monitor did not answer in time")
}
