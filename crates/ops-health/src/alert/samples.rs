//! What rules see: everything at one moment, and the values of their subjects in it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::signal::{Checks, Windows};
use crate::aggregate::{Reason, Verdict};
use crate::outcome::Unit;
use crate::slo::Slo;
use crate::snapshot::CheckReport;
use crate::status::{Code, Criticality, Status};
use crate::traffic::{Traffic, TrafficWindow};

/// The subject of what is about the service as a whole.
pub(crate) const SERVICE: &str = "service";

/// How long the starting of a service is not taken for an outage.
const START_GRACE: Duration = Duration::from_secs(300);

/// The window of the signals that look at requests.
const TRAFFIC_WINDOW: Duration = Duration::from_secs(300);

/// The window in which changes of a check are counted.
const FLAP_WINDOW: Duration = Duration::from_secs(30 * 60);

/// One value of one subject.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) subject: String,
    /// `None` where the subject has no value now.
    pub(crate) value: Option<f64>,
    pub(crate) unit: SampleUnit,
    /// Which checks are the reason, by name and code.
    pub(crate) cause: Option<String>,
}

impl Sample {
    pub(super) fn new(subject: impl Into<String>, value: Option<f64>, unit: SampleUnit) -> Self {
        Self {
            subject: subject.into(),
            value,
            unit,
            cause: None,
        }
    }
}

/// What a value is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleUnit {
    Of(Unit),
    /// A condition: 1 where it holds.
    YesNo,
    /// A multiple of what is allowed.
    Times,
}

impl SampleUnit {
    /// The value for people; `None` where there is nothing to say.
    pub(crate) fn spelled(self, value: f64) -> Option<String> {
        match self {
            Self::YesNo => None,
            Self::Times => Some(format!("{value:.1} times what is allowed")),
            Self::Of(Unit::Ratio) => Some(format!("{:.1} %", value * 100.0)),
            Self::Of(Unit::Seconds) if value >= 120.0 => {
                let span = Duration::try_from_secs_f64(value.round()).unwrap_or(Duration::MAX);
                Some(crate::incident::spelled(span))
            }
            Self::Of(Unit::Seconds) => Some(format!("{value:.2} s")),
            Self::Of(Unit::Bytes) => Some(format!("{value:.0} bytes")),
            Self::Of(_) => Some(format!("{value:.0}")),
        }
    }
}

/// Everything that an evaluation sees.
pub(crate) struct View<'a> {
    pub(crate) instant: Instant,
    pub(crate) verdict: Verdict,
    /// How long the service has been starting, while it does.
    pub(crate) starting_for: Option<Duration>,
    pub(crate) checks: &'a [CheckReport],
    pub(crate) flaps: &'a Flaps,
    pub(crate) traffic: Option<&'a Traffic>,
    pub(crate) slos: &'a [Slo],
    pub(crate) sink_failures: &'a [(String, u32)],
}

impl View<'_> {
    pub(super) fn of_checks(
        &self,
        checks: &Checks,
        value: impl Fn(&CheckReport) -> (Option<f64>, SampleUnit),
    ) -> Vec<Sample> {
        let selected = self.checks.iter().filter(|check| checks.includes(check));
        selected
            .map(|check| {
                let (value, unit) = value(check);
                Sample {
                    cause: (check.code != Code::Ok).then(|| check.code.as_str().to_owned()),
                    ..Sample::new(&check.name, value, unit)
                }
            })
            .collect()
    }
}

pub(super) fn yes_no(holds: bool) -> (Option<f64>, SampleUnit) {
    (Some(if holds { 1.0 } else { 0.0 }), SampleUnit::YesNo)
}

pub(super) fn verdict_sample(view: &View<'_>) -> Sample {
    let planned = match view.verdict.reason {
        Some(Reason::Draining) => true,
        Some(Reason::Starting) => view.starting_for.is_some_and(|span| span < START_GRACE),
        _ => false,
    };
    let (value, unit) = yes_no(view.verdict.status == Status::Unhealthy);
    Sample {
        cause: failing_checks(view),
        ..Sample::new(SERVICE, value.filter(|_| !planned), unit)
    }
}

/// How many checks a message names as the cause.
const MAX_CAUSES: usize = 5;

/// The critical checks that fail, or the state of the service where that is the reason.
fn failing_checks(view: &View<'_>) -> Option<String> {
    if let Some(reason) = view.verdict.reason {
        return Some(reason.as_str().to_owned());
    }
    let failing = view
        .checks
        .iter()
        .filter(|check| check.criticality == Criticality::Critical && !check.status.is_up());
    let named: Vec<String> = failing
        .take(MAX_CAUSES)
        .map(|check| format!("{} ({})", check.name, check.code))
        .collect();
    (!named.is_empty()).then(|| named.join(", "))
}

fn observation(check: &CheckReport, name: &str) -> Option<(f64, Unit)> {
    let found = check.observations.iter().find(|one| one.name == name);
    found.map(|one| (one.value, one.unit))
}

pub(super) fn observed(check: &CheckReport, name: &str) -> (Option<f64>, SampleUnit) {
    match observation(check, name).filter(|_| check.code != Code::Stale) {
        Some((value, unit)) => (Some(value), SampleUnit::Of(unit)),
        None => (None, SampleUnit::Of(Unit::Count)),
    }
}

pub(super) fn pool_in_use(check: &CheckReport) -> (Option<f64>, SampleUnit) {
    let (used, unit) = observed(check, "utilization");
    let waiting = observation(check, "waiters").is_some_and(|(waiters, _)| waiters > 0.0);
    let value = used.map(|used| if waiting || used >= 1.0 { used } else { 0.0 });
    (value, unit)
}

pub(super) fn backup_age(check: &CheckReport) -> (Option<f64>, SampleUnit) {
    let unit = SampleUnit::Of(Unit::Seconds);
    match observed(check, "age").0 {
        None if check.status == Status::Unhealthy && check.code == Code::NeverRan => {
            (Some(f64::INFINITY), unit)
        }
        age => (age, unit),
    }
}

pub(super) fn drill_overdue(check: &CheckReport) -> (Option<f64>, SampleUnit) {
    // Not the code: the check tells the worst it has found, and a late backup is not a late
    // drill.
    let (overdue, _) = observed(check, "drill_overdue");
    (overdue, SampleUnit::YesNo)
}

pub(super) fn traffic_sample(
    view: &View<'_>,
    least: u64,
    unit: Unit,
    value: impl Fn(&TrafficWindow) -> Option<f64>,
) -> Sample {
    let window = view.traffic.map(|traffic| traffic.window(TRAFFIC_WINDOW));
    let enough = window.filter(|window| window.requests >= least);
    Sample::new(
        SERVICE,
        enough.as_ref().and_then(value),
        SampleUnit::Of(unit),
    )
}

pub(super) fn burn_sample(slo: &Slo, windows: &[Windows]) -> Sample {
    let pairs = windows
        .iter()
        .map(|pair| slo.burn(pair.long).min(slo.burn(pair.short)) / pair.rate);
    Sample::new(slo.name(), pairs.reduce(f64::max), SampleUnit::Times)
}

/// When checks changed lately: for each the last few times.
#[derive(Debug, Default)]
pub(crate) struct Flaps {
    checks: BTreeMap<String, (Status, VecDeque<Instant>)>,
}

/// More changes than any rule needs to know of.
const KEPT_CHANGES: usize = 64;

impl Flaps {
    /// Takes in how a check is. Answers how it was, where it has changed.
    pub(crate) fn observe(&mut self, check: &CheckReport, now: Instant) -> Option<Status> {
        let Some((last, changes)) = self.checks.get_mut(&check.name) else {
            let state = (check.status, VecDeque::new());
            self.checks.insert(check.name.clone(), state);
            return None;
        };
        let was = std::mem::replace(last, check.status);
        // The first verdict is no change of mind.
        if was == check.status || was == Status::Unknown {
            return None;
        }
        if changes.len() == KEPT_CHANGES {
            changes.pop_front();
        }
        changes.push_back(now);
        Some(was)
    }

    pub(super) fn count(&self, check: &str, now: Instant) -> f64 {
        let Some((_, changes)) = self.checks.get(check) else {
            return 0.0;
        };
        let recent = changes
            .iter()
            .filter(|at| now.saturating_duration_since(**at) < FLAP_WINDOW);
        f64::from(u32::try_from(recent.count()).unwrap_or(u32::MAX))
    }
}
