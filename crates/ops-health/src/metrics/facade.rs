//! The names and labels. Every label comes from a closed set, so that their number is
//! bounded.

use std::time::Duration;

use metrics::{Label, counter, gauge, histogram};
use ops_core::Timestamp;
use tokio::time::Instant;

use crate::aggregate::Question;
use crate::health::Inner;
use crate::lifecycle::Lifecycle;
use crate::snapshot::Registration;
use crate::state::Transition;
use crate::status::{Criticality, Status};

/// Brings every gauge up to date. Age is judged now: what a dead scheduler left does not
/// look good for ever, where somebody reads.
pub(crate) fn publish(inner: &Inner) {
    let now = Instant::now().into_std();
    let snapshot = inner.snapshot.load();
    let verdict = snapshot.verdict(Question::Health, inner, now);
    for state in Status::ALL {
        gauge!("ops_health_status", "state" => state.as_str()).set(flag(state == verdict.status));
    }
    let lifecycle = snapshot.lifecycle(&*inner.settings.clock);
    for state in Lifecycle::ALL {
        gauge!("ops_health_lifecycle", "state" => state.as_str()).set(flag(state == lifecycle));
    }
    for (entry, state) in inner.registry.iter().zip(&snapshot.checks) {
        let name = &entry.name;
        let status = entry.judge(state, now).status;
        for other in Status::ALL {
            gauge!("ops_health_check_status", "check" => name.clone(), "state" => other.as_str())
                .set(flag(other == status));
        }
        let critical = entry.policy.criticality() == Criticality::Critical;
        let critical = if critical { "true" } else { "false" };
        gauge!("ops_health_check_up", "check" => name.clone(), "critical" => critical)
            .set(flag(status.is_up()));
        gauge!("ops_health_check_consecutive_failures", "check" => name.clone())
            .set(f64::from(state.consecutive_failures()));
        if let Some(at) = state.last_success() {
            gauge!("ops_health_check_last_success_timestamp_seconds", "check" => name.clone())
                .set(unix_seconds(at));
        }
    }
}

/// Counts a run that has ended.
pub(crate) fn ran(
    entry: &Registration,
    result: &'static str,
    took: Option<Duration>,
    change: Option<Transition>,
) {
    let name = &entry.name;
    counter!("ops_health_check_runs_total", "check" => name.clone(), "result" => result)
        .increment(1);
    if let Some(took) = took {
        histogram!("ops_health_check_duration_seconds", "check" => name.clone()).record(took);
    }
    if let Some(change) = change {
        counter!(
            "ops_health_transitions_total",
            "check" => name.clone(),
            "from" => change.from.as_str(),
            "to" => change.to.as_str()
        )
        .increment(1);
    }
}

/// Counts an answer to a probe.
pub(crate) fn requested(route: &'static str, code: u16) {
    let code = match code {
        200 => "200",
        207 => "207",
        401 => "401",
        404 => "404",
        405 => "405",
        503 => "503",
        _ => "other",
    };
    counter!("ops_health_requests_total", "route" => route, "code" => code).increment(1);
}

/// Sets a gauge of a check's own.
pub(crate) fn set(name: &'static str, labels: &[(&'static str, &str)], value: f64) {
    let labels: Vec<Label> = labels
        .iter()
        .map(|(key, value)| Label::new(*key, (*value).to_owned()))
        .collect();
    gauge!(name, labels).set(value);
}

const fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of this age are exact"
)]
fn unix_seconds(at: Timestamp) -> f64 {
    at.unix_millis() as f64 / 1e3
}
