//! The state that readers see: immutable, replaced as a whole, judged at the time of reading.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use ops_core::{Clock, Timestamp};

use crate::aggregate::{CheckInput, Question, Verdict, verdict, worst};
use crate::check::DynCheck;
use crate::demand::Demand;
use crate::health::Inner;
use crate::lifecycle::Lifecycle;
use crate::maintenance::MaintenanceWindow;
use crate::outcome::Observation;
use crate::policy::{Groups, Mode, Policy};
use crate::private::Private;
use crate::state::CheckState;
use crate::status::{Code, Criticality, Kind, Scope, Status};

/// A check with its policy. Never changes after the build.
pub(crate) struct Registration {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) policy: Policy,
    pub(crate) check: Arc<dyn DynCheck>,
    /// Where the check runs on demand.
    pub(crate) demand: Option<Demand>,
}

impl Registration {
    pub(crate) fn new(check: Arc<dyn DynCheck>, policy: Policy) -> Self {
        let demand = match policy.mode() {
            Mode::Background => None,
            Mode::OnDemand { .. } => Some(Demand::new(policy.period(), policy.stale_after())),
        };
        Self {
            name: check.name().to_owned(),
            kind: check.kind(),
            policy,
            check,
            demand,
        }
    }

    /// What is reported of the check at that moment.
    pub(crate) fn judge(&self, state: &CheckState, now: Instant) -> Judged {
        let overdue = self
            .demand
            .as_ref()
            .is_some_and(|demand| demand.is_overdue(now.into()));
        if overdue || state.is_stale(now) {
            return Judged {
                status: Status::Unhealthy,
                code: Code::Stale,
                stale: true,
            };
        }
        let (status, code) = state.reported();
        Judged {
            status,
            code,
            stale: false,
        }
    }
}

/// What is reported of a check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) status: Status,
    pub(crate) code: Code,
    pub(crate) stale: bool,
}

/// A startup gate, as readers see it.
#[derive(Clone, Debug)]
pub(crate) struct GateState {
    pub(crate) name: Arc<str>,
    pub(crate) status: Status,
}

/// Everything at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) checks: Box<[CheckState]>,
    pub(crate) gates: Box<[GateState]>,
    pub(crate) windows: Arc<[MaintenanceWindow]>,
    /// Found out by the first who asks.
    pub(crate) standing: OnceLock<Standing>,
}

impl Snapshot {
    /// Where the service stands in its life. The clock is read only where there are
    /// windows.
    pub(crate) fn lifecycle(&self, clock: &dyn Clock) -> Lifecycle {
        if self.lifecycle != Lifecycle::Serving || self.windows.is_empty() {
            return self.lifecycle;
        }
        let now = clock.now();
        if self.windows.iter().any(|window| window.contains(now)) {
            Lifecycle::Maintenance
        } else {
            Lifecycle::Serving
        }
    }

    /// The check whose failure makes this one fail, at the end of the chain.
    pub(crate) fn cause<'a>(
        &self,
        registry: &'a [Registration],
        of: &Registration,
        now: Instant,
    ) -> Option<&'a str> {
        let mut cause = None;
        let mut of = of;
        // The chain has no circle, and is not longer than there are checks.
        for _ in 0..registry.len() {
            let failing = registry.iter().zip(&self.checks).find(|(entry, state)| {
                of.policy.depends_on().contains(&entry.name)
                    && entry.judge(state, now).status == Status::Unhealthy
            });
            let Some((entry, _)) = failing else { break };
            cause = Some(entry.name.as_str());
            of = entry;
        }
        cause
    }

    /// How every check stands that `keep` lets through.
    pub(crate) fn reports(
        &self,
        registry: &[Registration],
        now: Instant,
        keep: impl Fn(&Registration) -> bool,
    ) -> Vec<CheckReport> {
        registry
            .iter()
            .zip(&self.checks)
            .filter(|(entry, _)| keep(entry))
            .map(|(entry, state)| {
                let mut report = CheckReport::new(entry, state, now);
                if report.status == Status::Unhealthy {
                    report.caused_by = self.cause(registry, entry, now).map(str::to_owned);
                }
                report
            })
            .collect()
    }

    /// Answers a question from all checks.
    #[inline]
    pub(crate) fn verdict(&self, question: Question, inner: &Inner, now: Instant) -> Verdict {
        self.answer(question, inner, || {
            // A run on demand that is overdue is not part of what was published.
            if inner.has_on_demand {
                return self.worst(question, inner, now, |_| true);
            }
            let standing = self.standing.get_or_init(|| self.standing(inner, now));
            if standing.until.is_none_or(|until| now < until) {
                return match question {
                    Question::Ready => standing.ready,
                    _ => standing.health,
                };
            }
            self.worst(question, inner, now, |_| true)
        })
    }

    /// Answers a question from the checks that `keep` lets through.
    pub(crate) fn verdict_of(
        &self,
        question: Question,
        inner: &Inner,
        now: Instant,
        keep: impl Fn(&Registration) -> bool,
    ) -> Verdict {
        self.answer(question, inner, || self.worst(question, inner, now, keep))
    }

    fn answer(&self, question: Question, inner: &Inner, worst: impl FnOnce() -> Status) -> Verdict {
        let lifecycle = self.lifecycle(&*inner.settings.clock);
        let rules = inner.settings.rules;
        verdict(question, inner.is_alive(), lifecycle, rules, worst)
    }

    fn worst(
        &self,
        question: Question,
        inner: &Inner,
        now: Instant,
        keep: impl Fn(&Registration) -> bool,
    ) -> Status {
        let checks = inner.registry.iter().zip(&self.checks);
        let kept = checks.filter(|(registration, _)| keep(registration));
        let inputs = kept.map(|(registration, state)| input(registration, state, now));
        worst(question, inner.settings.rules, inputs)
    }

    #[cold]
    fn standing(&self, inner: &Inner, now: Instant) -> Standing {
        let worst = |question| self.worst(question, inner, now, |_| true);
        Standing {
            health: worst(Question::Health),
            ready: worst(Question::Ready),
            until: self
                .checks
                .iter()
                .filter_map(|state| state.changes_at(now))
                .min(),
        }
    }
}

/// What the checks come to, as long as time alone changes none of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    health: Status,
    ready: Status,
    /// When the first of them is to be judged anew.
    until: Option<Instant>,
}

fn input(registration: &Registration, state: &CheckState, now: Instant) -> CheckInput {
    let judged = registration.judge(state, now);
    CheckInput {
        criticality: registration.policy.criticality(),
        scope: registration.policy.scope(),
        groups: registration.policy.groups(),
        status: judged.status,
        stale: judged.stale,
        in_grace: state.in_grace(now),
    }
}

/// How one check stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// What it looks at.
    pub kind: Kind,
    /// What its failure does to the verdict.
    pub criticality: Criticality,
    /// What it depends on.
    pub scope: Scope,
    /// The routes it takes part in.
    pub groups: Groups,
    /// How it is, damped and judged by age.
    pub status: Status,
    /// Why.
    pub code: Code,
    /// The last result was worse, but not often enough in a row.
    pub pending: bool,
    /// The last result was better, but not often enough in a row.
    pub recovering: bool,
    /// A reader has asked for a new result, which is not there yet.
    pub refreshing: bool,
    /// The checks without which it cannot work.
    pub depends_on: Vec<String>,
    /// The failing check at the end of that chain, while this one is unhealthy.
    pub caused_by: Option<String>,
    /// Since when it has this status.
    pub since: Timestamp,
    /// When the last run ended.
    pub checked_at: Option<Timestamp>,
    /// How long the last run took.
    pub latency: Option<std::time::Duration>,
    /// How many runs in a row failed.
    pub consecutive_failures: u32,
    /// When those failures began.
    pub first_failure: Option<Timestamp>,
    /// When a run last found it working.
    pub last_success: Option<Timestamp>,
    /// What the last run measured.
    pub observations: Vec<Observation>,
    /// What the last run said.
    pub detail: Private<String>,
}

impl CheckReport {
    pub(crate) fn new(registration: &Registration, state: &CheckState, now: Instant) -> Self {
        let last = state.last_outcome();
        let judged = registration.judge(state, now);
        Self {
            name: registration.name.clone(),
            kind: registration.kind,
            criticality: registration.policy.criticality(),
            scope: registration.policy.scope(),
            groups: registration.policy.groups(),
            status: judged.status,
            code: judged.code,
            pending: state.is_pending(),
            recovering: state.is_recovering(),
            refreshing: registration.demand.as_ref().is_some_and(Demand::is_asked),
            depends_on: registration.policy.depends_on().to_vec(),
            caused_by: None,
            since: state.last_change(),
            checked_at: state.last_run().map(|at| at.wall),
            latency: state.took(),
            consecutive_failures: state.consecutive_failures(),
            first_failure: state.first_failure(),
            last_success: state.last_success(),
            observations: last
                .map(|last| last.observations().to_vec())
                .unwrap_or_default(),
            detail: last.map(|last| last.detail().clone()).unwrap_or_default(),
        }
    }
}
