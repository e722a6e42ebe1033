//! How an objective was met.

use std::time::Duration;

use ops_core::usage::Period;
use serde::Serialize;

use super::ring::Sums;
use crate::incident::Incident;

/// How an objective was met in a period. Made by [`Slo::report`](super::Slo::report).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SloReport {
    /// The objective's name.
    pub slo: String,
    /// The part that had to be good.
    pub objective: f64,
    /// What the report is about.
    pub period: Period,
    /// How long the service was good.
    pub good: Duration,
    /// How long it was bad.
    pub bad: Duration,
    /// How long nothing was known of it.
    pub unknown: Duration,
    /// The good part of the time that is known; `None` where nothing is.
    pub availability: Option<f64>,
    /// Requests that went well, where they were counted.
    pub good_requests: Option<u64>,
    /// Requests that failed, where they were counted.
    pub bad_requests: Option<u64>,
    /// Whether the availability reached the objective; `None` where nothing is known.
    pub met: Option<bool>,
    /// How long the service was allowed to be bad in the period.
    pub budget: Duration,
    /// How many incidents were opened in the period.
    pub incidents: usize,
    /// The mean time to acknowledge of those that were acknowledged.
    pub mtta: Option<Duration>,
    /// The mean time to recover of those that were resolved.
    pub mttr: Option<Duration>,
}

pub(super) fn make(
    slo: &str,
    objective: f64,
    period: Period,
    time: Sums,
    requests: Option<Sums>,
    incidents: &[Incident],
) -> SloReport {
    let whole = period.end.saturating_since(period.start);
    let (good, bad) = (from_millis(time.good), from_millis(time.bad));
    let availability = time.error_ratio().map(|bad| 1.0 - bad);
    let opened: Vec<&Incident> = incidents
        .iter()
        .filter(|incident| period.contains(incident.opened_at()))
        .collect();
    let mean_of = |span: fn(&Incident) -> Option<Duration>| {
        mean(opened.iter().filter_map(|incident| span(incident)))
    };
    SloReport {
        slo: slo.to_owned(),
        objective,
        period,
        good,
        bad,
        unknown: whole.saturating_sub(good).saturating_sub(bad),
        availability,
        good_requests: requests.map(|sums| count(sums.good)),
        bad_requests: requests.map(|sums| count(sums.bad)),
        met: availability.map(|part| part >= objective),
        budget: whole.mul_f64(1.0 - objective),
        incidents: opened.len(),
        mtta: mean_of(Incident::time_to_acknowledge),
        mttr: mean_of(Incident::time_to_recover),
    }
}

fn mean(spans: impl Iterator<Item = Duration>) -> Option<Duration> {
    let (sum, count) = spans.fold((Duration::ZERO, 0_u32), |(sum, count), span| {
        (sum.saturating_add(span), count.saturating_add(1))
    });
    (count > 0).then(|| sum / count)
}

fn from_millis(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis.round() / 1e3).unwrap_or_default()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of requests is no more than 2^53 and not below zero"
)]
fn count(requests: f64) -> u64 {
    requests.round() as u64
}
