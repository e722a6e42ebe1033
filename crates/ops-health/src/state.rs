//! The state machine of one check. No I/O, no clock: every input is an argument.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ops_core::Timestamp;

use crate::outcome::Outcome;
use crate::policy::{Mode, Policy};
use crate::private::Private;
use crate::status::{Code, Status};

/// The same moment on both clocks: decisions use `instant`, bodies show `wall`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the monotonic clock.
    pub instant: Instant,
    /// On the wall clock, which may jump.
    pub wall: Timestamp,
}

/// How a run of a check ended.
///
/// A run that was cancelled, by a shutdown for one, is no event at all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The check returned an outcome, after that long.
    Finished(Outcome, Duration),
    /// The check did not return in time.
    TimedOut(Duration),
    /// The check panicked, with that message.
    Panicked(Private<String>),
    /// A run that timed out long ago still blocks a thread, so no new one was started.
    Stuck,
}

impl Event {
    /// How the run ended, in a word.
    pub(crate) const fn result(&self) -> &'static str {
        match self {
            Self::Finished(outcome, _) => match outcome.status() {
                Status::Healthy => "pass",
                Status::Degraded => "warn",
                Status::Unknown | Status::Unhealthy => "fail",
            },
            Self::TimedOut(_) => "timeout",
            Self::Panicked(_) => "panic",
            Self::Stuck => "stuck",
        }
    }

    fn into_outcome(self) -> (Outcome, Option<Duration>) {
        match self {
            Self::Finished(outcome, took) => (outcome, Some(took)),
            Self::TimedOut(took) => (
                Outcome::unhealthy(Code::Timeout).with_detail(format!("no result within {took:?}")),
                Some(took),
            ),
            Self::Panicked(message) => (
                Outcome::unhealthy(Code::Panicked).with_private_detail(message),
                None,
            ),
            Self::Stuck => (
                Outcome::unhealthy(Code::Stuck).with_detail("the last run still blocks a thread"),
                None,
            ),
        }
    }
}

/// A change of the reported status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What was reported before.
    pub from: Status,
    /// What is reported now.
    pub to: Status,
    /// Why.
    pub code: Code,
}

/// How many results in a row were at least, or at most, that bad.
#[derive(Clone, Copy, Debug, Default)]
struct Streaks {
    unhealthy: u32,
    not_healthy: u32,
    up: u32,
    healthy: u32,
}

impl Streaks {
    fn push(&mut self, status: Status) {
        let step = |streak: &mut u32, goes_on: bool| {
            *streak = if goes_on { streak.saturating_add(1) } else { 0 };
        };
        step(&mut self.unhealthy, !status.is_up());
        step(&mut self.not_healthy, status != Status::Healthy);
        step(&mut self.up, status.is_up());
        step(&mut self.healthy, status == Status::Healthy);
    }
}

/// What is known of one check.
///
/// The reported status gets worse once `failure_threshold` results in a row are all at
/// least that bad, and better once `success_threshold` results in a row are all at
/// least that good. The first verdict stands at once. Age is judged by the reader, in
/// [`CheckState::status`]: a scheduler that has died cannot keep a verdict alive.
#[derive(Clone, Debug)]
pub struct CheckState {
    failure_threshold: u32,
    success_threshold: u32,
    stale_after: Duration,
    grace_ends: Instant,
    reported: Status,
    code: Code,
    /// The code of the last result that was not healthy.
    problem: Code,
    streaks: Streaks,
    last: Option<Last>,
    last_change: Moment,
    first_failure: Option<Timestamp>,
    last_success: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Last {
    outcome: Arc<Outcome>,
    at: Moment,
    took: Option<Duration>,
}

impl CheckState {
    /// A check of which nothing is known.
    #[must_use]
    pub fn new(policy: &Policy, now: Moment) -> Self {
        Self {
            failure_threshold: policy.failure_threshold(),
            success_threshold: policy.success_threshold(),
            // Nobody asks for days: what a check that runs on demand found last is no
            // older for that. See `Demand::is_overdue`.
            stale_after: match policy.mode() {
                Mode::Background => policy.stale_after(),
                Mode::OnDemand { .. } => Duration::MAX,
            },
            grace_ends: now.instant + policy.startup_grace(),
            reported: Status::Unknown,
            code: Code::Ok,
            problem: Code::Ok,
            streaks: Streaks::default(),
            last: None,
            last_change: now,
            first_failure: None,
            last_success: None,
        }
    }

    /// Takes the end of a run in, and tells if the reported status changed by it.
    pub fn on(&mut self, event: Event, now: Moment) -> Option<Transition> {
        let (outcome, took) = event.into_outcome();
        let raw = outcome.status();
        self.streaks.push(raw);
        if raw.is_up() {
            self.first_failure = None;
            self.last_success = Some(now.wall);
        } else if self.first_failure.is_none() {
            self.first_failure = Some(now.wall);
        }
        let from = self.reported;
        let to = self.next_status(raw, now.instant);
        if raw != Status::Healthy {
            self.problem = outcome.code();
        }
        if to == raw || to == Status::Unknown {
            self.code = outcome.code();
        } else if to != from {
            self.code = self.problem;
        }
        self.reported = to;
        self.last = Some(Last {
            outcome: Arc::new(outcome),
            at: now,
            took,
        });
        if from == to {
            return None;
        }
        self.last_change = now;
        Some(Transition {
            from,
            to,
            code: self.code,
        })
    }

    fn next_status(&self, raw: Status, now: Instant) -> Status {
        let Streaks {
            unhealthy,
            not_healthy,
            up,
            healthy,
        } = self.streaks;
        let (worse, better) = (self.failure_threshold, self.success_threshold);
        match self.reported {
            Status::Unknown if !raw.is_up() && now < self.grace_ends => Status::Unknown,
            Status::Unknown => raw,
            Status::Healthy | Status::Degraded if unhealthy >= worse => Status::Unhealthy,
            Status::Healthy if not_healthy >= worse => Status::Degraded,
            Status::Degraded | Status::Unhealthy if healthy >= better => Status::Healthy,
            Status::Unhealthy if up >= better => Status::Degraded,
            unchanged => unchanged,
        }
    }

    /// What is reported at that moment. A result that is too old makes it unhealthy.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        if self.is_stale(now) {
            Status::Unhealthy
        } else {
            self.reported
        }
    }

    /// Why the check is what [`CheckState::status`] says.
    #[must_use]
    pub fn code(&self, now: Instant) -> Code {
        if self.is_stale(now) {
            Code::Stale
        } else {
            self.code
        }
    }

    /// What is reported as long as the last result is believed.
    pub(crate) const fn reported(&self) -> (Status, Code) {
        (self.reported, self.code)
    }

    /// Whether the last result is too old to be believed.
    #[must_use]
    pub fn is_stale(&self, now: Instant) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| now.saturating_duration_since(last.at.instant) > self.stale_after)
    }

    /// The next moment at which time alone may change how the check is judged.
    pub(crate) fn changes_at(&self, now: Instant) -> Option<Instant> {
        let last = self.last.as_ref();
        let stale = last.and_then(|last| last.at.instant.checked_add(self.stale_after));
        let grace = self.in_grace(now).then_some(self.grace_ends);
        let to_come = [stale, grace].into_iter().flatten();
        to_come.filter(|at| *at >= now).min()
    }

    /// Whether nothing is known yet, but need not be so soon after the start.
    #[must_use]
    pub fn in_grace(&self, now: Instant) -> bool {
        self.reported == Status::Unknown && now < self.grace_ends
    }

    /// Whether the last result was worse than what is reported.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.reported.is_up() && self.raw().is_some_and(|raw| raw > self.reported)
    }

    /// Whether the last result was better than what is reported.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        self.reported != Status::Unknown && self.raw().is_some_and(|raw| raw < self.reported)
    }

    /// Whether the check works and its last result says the same as its status.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.reported.is_up() && self.raw() == Some(self.reported)
    }

    /// What the last run found.
    #[must_use]
    pub fn last_outcome(&self) -> Option<&Arc<Outcome>> {
        self.last.as_ref().map(|last| &last.outcome)
    }

    /// When the last run ended.
    #[must_use]
    pub fn last_run(&self) -> Option<Moment> {
        self.last.as_ref().map(|last| last.at)
    }

    /// How long the last run took; `None` where it did not end by itself.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        self.last.as_ref().and_then(|last| last.took)
    }

    /// When the reported status changed last.
    #[must_use]
    pub fn last_change(&self) -> Timestamp {
        self.last_change.wall
    }

    /// For how long it has been reported unhealthy without a break, its age apart.
    #[must_use]
    pub fn unhealthy_for(&self, now: Instant) -> Option<Duration> {
        (self.reported == Status::Unhealthy)
            .then(|| now.saturating_duration_since(self.last_change.instant))
    }

    /// When the failures that go on now began.
    #[must_use]
    pub fn first_failure(&self) -> Option<Timestamp> {
        self.first_failure
    }

    /// When a run last found it working.
    #[must_use]
    pub fn last_success(&self) -> Option<Timestamp> {
        self.last_success
    }

    /// How many runs in a row failed.
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        self.streaks.unhealthy
    }

    fn raw(&self) -> Option<Status> {
        self.last.as_ref().map(|last| last.outcome.status())
    }
}
