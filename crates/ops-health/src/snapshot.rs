//! The state that readers see: immutable, replaced as a whole, judged at the time of reading.

use std::sync::Arc;
use std::time::Instant;

use ops_core::Timestamp;

use crate::aggregate::{CheckInput, Question, Rules, Verdict, verdict};
use crate::check::DynCheck;
use crate::lifecycle::Lifecycle;
use crate::outcome::Observation;
use crate::policy::{Groups, Policy};
use crate::private::Private;
use crate::state::CheckState;
use crate::status::{Code, Criticality, Kind, Scope, Status};

/// A check with its policy. Never changes after the build.
pub(crate) struct Registration {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) policy: Policy,
    pub(crate) check: Arc<dyn DynCheck>,
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
}

impl Snapshot {
    /// Answers a question from the checks that `keep` lets through.
    pub(crate) fn verdict(
        &self,
        question: Question,
        registry: &[Registration],
        rules: Rules,
        alive: bool,
        now: Instant,
        keep: impl Fn(&Registration) -> bool,
    ) -> Verdict {
        let checks = registry
            .iter()
            .zip(&self.checks)
            .filter(|(registration, _)| keep(registration))
            .map(|(registration, state)| input(registration, state, now));
        verdict(question, alive, self.lifecycle, rules, checks)
    }
}

fn input(registration: &Registration, state: &CheckState, now: Instant) -> CheckInput {
    CheckInput {
        criticality: registration.policy.criticality(),
        scope: registration.policy.scope(),
        groups: registration.policy.groups(),
        status: state.status(now),
        stale: state.is_stale(now),
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
        Self {
            name: registration.name.clone(),
            kind: registration.kind,
            criticality: registration.policy.criticality(),
            scope: registration.policy.scope(),
            groups: registration.policy.groups(),
            status: state.status(now),
            code: state.code(now),
            pending: state.is_pending(),
            recovering: state.is_recovering(),
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
