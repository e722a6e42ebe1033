//! What is logged of checks and gates: changes.

use std::time::Duration;

use ops_core::Secret;

use crate::outcome::Outcome;
use crate::private::{Authorized, scrub};
use crate::snapshot::Registration;
use crate::state::Transition;
use crate::status::{Criticality, Status};

/// One event for a check that changed: INFO for a recovery, ERROR for a critical check
/// that fails, WARN for everything else.
pub(crate) fn log(
    entry: &Registration,
    change: Transition,
    outcome: Option<&Outcome>,
    took: Option<Duration>,
    cause: Option<&str>,
    known_secrets: &[Secret],
) {
    macro_rules! emit {
        ($level:expr) => {
            tracing::event!(
                target: "ops_health",
                $level,
                check = %entry.name,
                from = %change.from,
                to = %change.to,
                code = %change.code,
                duration_ms = took.map(|took| took.as_secs_f64() * 1e3),
                cause,
                detail = outcome.map(|outcome| shown(outcome, known_secrets)),
                "check changed"
            )
        };
    }
    // Where something else is the cause, that was said already.
    let critical = entry.policy.criticality() == Criticality::Critical && cause.is_none();
    let recovered = change.to == Status::Healthy || change.to < change.from && change.to.is_up();
    if recovered {
        emit!(tracing::Level::INFO);
    } else if critical && change.to == Status::Unhealthy {
        emit!(tracing::Level::ERROR);
    } else {
        emit!(tracing::Level::WARN);
    }
}

/// One event for a startup gate that failed: the service will not start.
pub(crate) fn log_gate(gate: &str, outcome: &Outcome, known_secrets: &[Secret]) {
    tracing::error!(
        target: "ops_health",
        gate,
        code = %outcome.code(),
        detail = shown(outcome, known_secrets),
        "startup gate failed"
    );
}

fn shown(outcome: &Outcome, known_secrets: &[Secret]) -> String {
    scrub(outcome.detail().expose(&Authorized::log()), known_secrets)
}
