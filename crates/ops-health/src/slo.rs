//! Service level objectives: how much of the time, or of the requests, was good, and how
//! fast the rest of the budget is being spent.
//!
//! The period is 30 days, kept as 8640 buckets of five minutes beside 360 buckets of one
//! minute, 8 bytes each: about 74 KB per objective, whatever the load
//! ([`Slo::memory_bytes`]).
//!
//! | objective | bad time allowed in 30 days |
//! | --- | --- |
//! | 99 % | 7 h 12 min |
//! | 99.5 % | 3 h 36 min |
//! | 99.9 % | 43 min 12 s |

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ops_core::id::MonitorId;
use ops_core::monitor::{UptimeReport, UptimeSummary};
use ops_core::usage::Period;
use ops_core::{Clock, Error, Result, SystemClock};
use tokio::time::Instant;

use crate::aggregate::{Reason, Verdict};
use crate::builder::is_name;
use crate::incident::Incident;
use crate::state::Moment;
use crate::status::Status;

mod journal;
mod report;
mod ring;
mod tracker;

pub use report::SloReport;

use journal::{Journal, Layout, State};
use ring::Ring;
use tracker::{PERIOD, Pair, Tracker, unix_ms};

/// How a service is, as far as an objective is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SloState {
    /// Works, fully or not.
    Good,
    /// Does not work.
    Bad,
    /// Nobody knows, or it is planned: a start, a drain, maintenance. Counts neither way.
    Unknown,
}

impl From<Verdict> for SloState {
    /// What a verdict on [`Question::Health`](crate::Question::Health) means to an
    /// objective.
    fn from(verdict: Verdict) -> Self {
        match (verdict.reason, verdict.status) {
            (Some(Reason::Starting | Reason::Draining | Reason::Maintenance), _)
            | (_, Status::Unknown) => Self::Unknown,
            (_, Status::Unhealthy) => Self::Bad,
            (_, Status::Healthy | Status::Degraded) => Self::Good,
        }
    }
}

/// An objective and how it is being met. Clones are the same objective.
///
/// ```
/// use std::time::Duration;
/// use ops_health::slo::{Slo, SloState};
///
/// let slo = Slo::builder("availability").objective(0.999).build()?;
/// slo.observe(SloState::Good);
/// assert_eq!(slo.remaining(), 1.0);
/// assert_eq!(slo.burn(Duration::from_secs(3600)), 0.0);
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Slo(Arc<Inner>);

struct Inner {
    name: String,
    objective: f64,
    clock: Arc<dyn Clock>,
    tracker: Mutex<Tracker>,
    journal: Option<Mutex<Journal>>,
}

/// Describes an objective. Made by [`Slo::builder`].
#[derive(Debug)]
#[must_use]
pub struct SloBuilder {
    name: String,
    objective: f64,
    clock: Arc<dyn Clock>,
    with_requests: bool,
    journal: Option<PathBuf>,
}

impl SloBuilder {
    /// Sets the part that must be good, between 0 and 1. Defaults to 0.995.
    pub fn objective(mut self, objective: f64) -> Self {
        self.objective = objective;
        self
    }

    /// Counts requests too ([`Slo::record_requests`]): a window with 100 of them or more
    /// is judged by them, one with fewer by time. Doubles the memory. Defaults to not.
    pub fn with_requests(mut self) -> Self {
        self.with_requests = true;
        self
    }

    /// Keeps everything in this file over a restart; it is made where it is missing, and
    /// never grows beyond 360 KB. Defaults to none.
    ///
    /// The time between the last record and the start is bad, unless the process had said
    /// that it leaves ([`Slo::mark_drained`]): then it is unknown.
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.journal = Some(path.into());
        self
    }

    /// Sets the wall clock. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the objective, and reads its journal. Blocks for as long as that takes.
    ///
    /// # Errors
    /// `InvalidConfig` for a name that is not a lowercase letter followed by at most 62
    /// lowercase letters, digits and underscores, and for an objective that is not between 0
    /// and 1; `Conflict` where another process has the journal; `NotFound`,
    /// `PermissionDenied`, `QuotaExceeded` and `Unavailable` where it cannot be opened. A
    /// file that is no journal is put aside, with a warning.
    pub fn build(self) -> Result<Slo> {
        let Self {
            name,
            objective,
            clock,
            with_requests,
            journal,
        } = self;
        let mut problems = Vec::new();
        if !is_name(&name) {
            problems.push(format!("the objective's name {name:?} is no name"));
        }
        if !(objective > 0.0 && objective < 1.0) {
            problems.push(format!("the objective {objective} is not between 0 and 1"));
        }
        if !problems.is_empty() {
            return Err(Error::invalid_config(problems).with_operation("slo.build"));
        }
        let mut tracker = Tracker::new(objective, with_requests);
        let journal = match journal {
            Some(path) => {
                let layout = Layout::of(&rings(&mut tracker));
                let (journal, kept) = Journal::open(&path, layout)?;
                if let Some(kept) = kept {
                    restore(&mut tracker, kept, unix_ms(clock.now()));
                }
                Some(Mutex::new(journal))
            }
            None => None,
        };
        Ok(Slo(Arc::new(Inner {
            name,
            objective,
            clock,
            tracker: Mutex::new(tracker),
            journal,
        })))
    }
}

/// The rings in the order of the journal.
fn rings(tracker: &mut Tracker) -> Vec<&mut Ring> {
    let Tracker { time, requests, .. } = tracker;
    let requests = requests.as_mut().map(Pair::rings);
    time.rings()
        .into_iter()
        .chain(requests.into_iter().flatten())
        .collect()
}

/// Takes over what the journal kept, and judges the time since then.
fn restore(tracker: &mut Tracker, kept: journal::Kept, now_ms: i64) {
    let at_ms = kept.state.at_ms;
    for (ring, buckets) in rings(tracker).into_iter().zip(kept.rings) {
        ring.restore(ring.index_of(at_ms), buckets.into_iter());
    }
    if !kept.state.drained {
        tracker.was_down(at_ms, now_ms);
    }
}

impl Slo {
    /// Starts a description of an objective, with the name that metrics and alerts have
    /// for it.
    pub fn builder(name: impl Into<String>) -> SloBuilder {
        SloBuilder {
            name: name.into(),
            objective: 0.995,
            clock: Arc::new(SystemClock),
            with_requests: false,
            journal: None,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The part that must be good.
    #[must_use]
    pub fn objective(&self) -> f64 {
        self.0.objective
    }

    /// Takes in how the service is now. What was said last held until now, but not for
    /// longer than a minute: say it at least that often.
    pub fn observe(&self, state: SloState) {
        let now = Moment {
            instant: Instant::now().into_std(),
            wall: self.0.clock.now(),
        };
        self.tracker().observe(state, now);
    }

    /// Counts requests that have ended now. Does nothing without
    /// [`SloBuilder::with_requests`].
    pub fn record_requests(&self, good: u32, bad: u32) {
        let now_ms = self.now_ms();
        self.tracker().record_requests(good, bad, now_ms);
    }

    /// How many times faster than allowed the budget was spent in the last `window`. At 1
    /// it lasts exactly 30 days.
    ///
    /// Of requests where the window has at least 100, else of time. Time about which
    /// nothing is known spends nothing.
    #[must_use]
    pub fn burn(&self, window: Duration) -> f64 {
        let now_ms = self.now_ms();
        self.tracker().burn(window, now_ms)
    }

    /// The part of the budget of the last 30 days that is left: 1 where nothing was bad, 0
    /// where it is spent, below 0 where it is overspent.
    #[must_use]
    pub fn remaining(&self) -> f64 {
        let now_ms = self.now_ms();
        self.tracker().remaining(now_ms)
    }

    /// How long the budget lasts if it is spent on as in the last hour. `None` where
    /// nothing is being spent, zero where nothing is left.
    #[must_use]
    pub fn time_to_exhaustion(&self) -> Option<Duration> {
        let now_ms = self.now_ms();
        self.tracker()
            .time_to_exhaustion(Duration::from_secs(3600), now_ms)
    }

    /// How the objective was met in a period, with the incidents that were opened in it.
    /// What is older than 30 days is unknown.
    #[must_use]
    pub fn report(&self, period: Period, incidents: &[Incident]) -> SloReport {
        let now_ms = self.now_ms();
        let (from_ms, to_ms) = (unix_ms(period.start), unix_ms(period.end));
        let tracker = self.tracker();
        let time = tracker.time_between(from_ms, to_ms, now_ms);
        let requests = tracker.requests_between(from_ms, to_ms, now_ms);
        drop(tracker);
        report::make(
            &self.0.name,
            self.0.objective,
            period,
            time,
            requests,
            incidents,
        )
    }

    /// Takes in what somebody outside has found; it wins over what was seen from inside.
    ///
    /// From inside, the time in which the process itself was gone cannot be seen. The
    /// total of the period becomes what was found; bad time that was not known of goes
    /// where nothing was known. Only complete buckets that lie within the period change.
    /// A summary without a ratio changes nothing.
    ///
    /// Returns whether anything changed.
    #[expect(clippy::must_use_candidate, reason = "called for its effect")]
    pub fn merge(&self, summary: &UptimeSummary) -> bool {
        let Some(up) = summary.ratio.filter(|ratio| ratio.is_finite()) else {
            return false;
        };
        let (from_ms, to_ms) = (unix_ms(summary.period.start), unix_ms(summary.period.end));
        let now_ms = self.now_ms();
        self.tracker().merge(from_ms, to_ms, up, now_ms) > 0
    }

    /// Asks a monitor outside how a period was, and [merges](Self::merge) the answer. The
    /// shorter the period, the nearer to its place the bad time is put.
    ///
    /// # Errors
    /// As [`UptimeReport::uptime`].
    ///
    /// # Cancel safety
    /// Dropping the future merges nothing.
    pub async fn pull(
        &self,
        from: &dyn UptimeReport,
        monitor: &MonitorId,
        period: Period,
    ) -> Result<UptimeSummary> {
        let summary = from.uptime(monitor, period).await?;
        self.merge(&summary);
        Ok(summary)
    }

    /// Writes what has changed to the journal. Blocks; does nothing without one.
    ///
    /// # Errors
    /// `QuotaExceeded` for a full disk, `Unavailable` and `PermissionDenied`; what was not
    /// written is written next time.
    pub fn flush(&self) -> Result<()> {
        self.write(false)
    }

    /// Writes everything, and that the process leaves on purpose: the time until it
    /// starts again is then unknown, not bad. The next [`flush`](Self::flush) takes that
    /// back. Blocks.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn mark_drained(&self) -> Result<()> {
        self.write(true)
    }

    fn write(&self, drained: bool) -> Result<()> {
        let Some(journal) = &self.0.journal else {
            return Ok(());
        };
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Vec::new();
        let mut tracker = self.tracker();
        let at_ms = unix_ms(self.0.clock.now());
        for (at, ring) in rings(&mut tracker).into_iter().enumerate() {
            let buckets = ring.take_dirty().into_iter();
            changed.extend(buckets.map(|(index, bucket)| (at, index, bucket)));
        }
        drop(tracker);
        let written = journal.write(&changed, State { at_ms, drained }, drained);
        if written.is_err() {
            let mut tracker = self.tracker();
            for (at, ring) in rings(&mut tracker).into_iter().enumerate() {
                let own = changed.iter().filter(|(ring, ..)| *ring == at);
                ring.mark_dirty(own.map(|(_, index, _)| *index));
            }
        }
        written
    }

    /// The memory that the objective takes, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Inner>() + self.tracker().memory_bytes()
    }

    /// The period of every budget: 30 days.
    pub const PERIOD: Duration = PERIOD;

    fn now_ms(&self) -> i64 {
        unix_ms(self.0.clock.now())
    }

    fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.0
            .tracker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slo")
            .field("name", &self.0.name)
            .field("objective", &self.0.objective)
            .finish_non_exhaustive()
    }
}
