//! From the state of the checks to the verdict of a route. No I/O, no clock.

use crate::lifecycle::Lifecycle;
use crate::policy::Groups;
use crate::status::{Criticality, Scope, Status};

/// A question that a verdict answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Should the process be restarted?
    Live,
    /// Has it started?
    Startup,
    /// Should it get traffic?
    Ready,
    /// How is it?
    Health,
}

/// Why a verdict is not healthy, where no check is the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A liveness signal is false, or a beacon silent.
    NotAlive,
    /// The service has not started.
    Starting,
    /// The service shuts down.
    Draining,
    /// The service is in maintenance.
    Maintenance,
}

impl Reason {
    /// The reason in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAlive => "not_alive",
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
        }
    }
}

/// The answer to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// How it is: never [`Status::Unknown`].
    pub status: Status,
    /// Why, where no check is the reason.
    pub reason: Option<Reason>,
}

impl Verdict {
    const fn of(status: Status) -> Self {
        Self {
            status,
            reason: None,
        }
    }

    const fn because(status: Status, reason: Reason) -> Self {
        Self {
            status,
            reason: Some(reason),
        }
    }
}

/// One check, as far as a verdict depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckInput {
    pub(crate) criticality: Criticality,
    pub(crate) scope: Scope,
    pub(crate) groups: Groups,
    pub(crate) status: Status,
    pub(crate) stale: bool,
    pub(crate) in_grace: bool,
}

/// What an application may choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) ready_on_shared_failure: bool,
    pub(crate) ready_in_maintenance: bool,
}

/// Answers a question. The first condition that holds decides; what the checks come to is the
/// last.
pub(crate) fn verdict(
    question: Question,
    alive: bool,
    lifecycle: Lifecycle,
    rules: Rules,
    worst: impl FnOnce() -> Status,
) -> Verdict {
    use Question::{Health, Live, Ready, Startup};

    if !alive {
        return Verdict::because(Status::Unhealthy, Reason::NotAlive);
    }
    match (question, lifecycle) {
        (Live, _) => Verdict::of(Status::Healthy),
        (_, Lifecycle::Starting) => Verdict::because(Status::Unhealthy, Reason::Starting),
        (Startup, _) => Verdict::of(Status::Healthy),
        (_, Lifecycle::Draining | Lifecycle::Stopped) => {
            Verdict::because(Status::Unhealthy, Reason::Draining)
        }
        (Health, Lifecycle::Maintenance) => Verdict::because(Status::Degraded, Reason::Maintenance),
        (Ready, Lifecycle::Maintenance) if !rules.ready_in_maintenance => {
            Verdict::because(Status::Unhealthy, Reason::Maintenance)
        }
        (Ready | Health, _) => Verdict::of(worst()),
    }
}

/// What the checks come to.
pub(crate) fn worst(
    question: Question,
    rules: Rules,
    checks: impl Iterator<Item = CheckInput>,
) -> Status {
    checks
        .filter(|check| match question {
            Question::Ready => check.groups.ready,
            _ => check.groups.health,
        })
        .map(|check| contribution(question, rules, check))
        .max()
        .unwrap_or(Status::Healthy)
}

/// What one check makes of the verdict.
fn contribution(question: Question, rules: Rules, check: CheckInput) -> Status {
    match (check.criticality, check.status) {
        (Criticality::Informational, _) | (_, Status::Healthy) => Status::Healthy,
        (Criticality::NonCritical, Status::Unknown) if check.in_grace => Status::Healthy,
        (_, Status::Degraded) | (Criticality::NonCritical, _) => Status::Degraded,
        // A result that is missing or stale is a failure of this instance, whatever
        // the check looks at.
        (Criticality::Critical, Status::Unhealthy)
            if question == Question::Ready
                && check.scope == Scope::SharedDependency
                && rules.ready_on_shared_failure
                && !check.stale =>
        {
            Status::Degraded
        }
        (Criticality::Critical, _) => Status::Unhealthy,
    }
}
