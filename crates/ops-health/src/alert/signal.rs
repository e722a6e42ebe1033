//! What rules look at.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::samples::{
    Sample, SampleUnit, View, backup_age, burn_sample, drill_overdue, observed, pool_in_use,
    traffic_sample, verdict_sample, yes_no,
};
use crate::builder::is_name;
use crate::outcome::Unit;
use crate::slo::Slo;
use crate::snapshot::CheckReport;
use crate::status::{Code, Kind, Status};
use crate::traffic::TrafficWindow;

/// Which checks a signal looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checks {
    /// Every check.
    All,
    /// Every check of a kind.
    OfKind(Kind),
    /// The check of this name.
    Named(String),
    /// Every check of the machine ([`Kind::System`]) whose name contains this word.
    System(&'static str),
}

impl Checks {
    pub(super) fn includes(&self, check: &CheckReport) -> bool {
        match self {
            Self::All => true,
            Self::OfKind(kind) => check.kind == *kind,
            Self::Named(name) => check.name == *name,
            Self::System(word) => check.kind == Kind::System && check.name.contains(word),
        }
    }
}

/// What a rule looks at: one value for each of its subjects, such as checks.
#[derive(Clone)]
pub struct Signal(Source);

#[derive(Clone)]
enum Source {
    Verdict,
    Observation(Checks, &'static str),
    Code(Checks, Vec<Code>, Status),
    Flapping(Checks),
    PoolInUse(Checks),
    BackupAge,
    DrillOverdue,
    ErrorRate(u64),
    Latency(f64, u64),
    Burn(Vec<Windows>),
    SinkFailures,
    Custom(String, CustomFn),
}

type CustomFn = Arc<dyn Fn() -> Option<f64> + Send + Sync>;

/// Two windows that must both burn faster than a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Windows {
    pub(crate) long: Duration,
    pub(crate) short: Duration,
    pub(crate) rate: f64,
}

impl Signal {
    /// 1 while `/health` is unhealthy, else 0.
    ///
    /// No value while the service drains, and in the first five minutes of its start: both
    /// are planned.
    #[must_use]
    pub fn unhealthy() -> Self {
        Self(Source::Verdict)
    }

    /// A number that checks measure, such as `utilization`.
    #[must_use]
    pub fn observation(checks: Checks, name: &'static str) -> Self {
        Self(Source::Observation(checks, name))
    }

    /// 1 while a check is that bad or worse for one of these reasons, else 0.
    #[must_use]
    pub fn code(checks: Checks, codes: &[Code], at_least: Status) -> Self {
        Self(Source::Code(checks, codes.to_vec(), at_least))
    }

    /// How often a check has changed in the last 30 minutes.
    #[must_use]
    pub fn flapping(checks: Checks) -> Self {
        Self(Source::Flapping(checks))
    }

    /// The part of a pool that is in use; 0 while nobody waits for a connection and less
    /// than all are in use, for a pool that is busy and keeps up is no problem.
    #[must_use]
    pub fn pool_in_use(checks: Checks) -> Self {
        Self(Source::PoolInUse(checks))
    }

    /// The age of the last backup in seconds, of every check of [`Kind::Backup`]; endless
    /// where there never was one.
    #[must_use]
    pub fn backup_age() -> Self {
        Self(Source::BackupAge)
    }

    /// 1 while the last test of restoring a backup is too old, or there never was one,
    /// while the backups themselves are in time.
    #[must_use]
    pub fn drill_overdue() -> Self {
        Self(Source::DrillOverdue)
    }

    /// The part of the requests of the last five minutes that failed; no value below so
    /// many requests.
    #[must_use]
    pub fn error_rate(min_requests: u64) -> Self {
        Self(Source::ErrorRate(min_requests))
    }

    /// The latency in seconds that a part of the requests of the last five minutes kept,
    /// such as 0.95 of them; no value below so many requests.
    #[must_use]
    pub fn latency(part: f64, min_requests: u64) -> Self {
        Self(Source::Latency(part, min_requests))
    }

    /// How fast each objective burns its budget, as a multiple of the rate that is allowed:
    /// 14.4 in both the last hour and the last 5 minutes, or 6 in both the last 6 hours and
    /// the last 30 minutes.
    #[must_use]
    pub fn burn_fast() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self::burn(&[(hours(1), minutes(5), 14.4), (hours(6), minutes(30), 6.0)])
    }

    /// As [`burn_fast`](Self::burn_fast): 1 in both the last 3 days and the last 6 hours.
    #[must_use]
    pub fn burn_slow() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self::burn(&[(hours(72), hours(6), 1.0)])
    }

    /// How fast each objective burns its budget: of pairs of a long and a short window, the
    /// one that is nearest to its rate. The value is the slower of its two windows, as a
    /// multiple of that rate.
    #[must_use]
    pub fn burn(windows: &[(Duration, Duration, f64)]) -> Self {
        let windows = windows.iter().map(|(long, short, rate)| Windows {
            long: *long,
            short: *short,
            rate: *rate,
        });
        Self(Source::Burn(windows.collect()))
    }

    /// How many deliveries in a row each sink has failed at.
    #[must_use]
    pub fn sink_failures() -> Self {
        Self(Source::SinkFailures)
    }

    /// A value of your own, about a subject with this name. The closure is asked once a
    /// second, so it must not wait; `None` says that there is no value now.
    pub fn custom(
        subject: impl Into<String>,
        value: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        Self(Source::Custom(subject.into(), Arc::new(value)))
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match &self.0 {
            Source::Custom(subject, _) if !is_name(subject) => {
                problems.push(format!("the subject {subject:?} is no name"));
            }
            Source::Latency(part, _) if !(0.0..=1.0).contains(part) => {
                problems.push(format!("{part} is no part of the requests"));
            }
            Source::Code(_, codes, _) if codes.is_empty() => {
                problems.push("it looks for no code".to_owned());
            }
            Source::Burn(windows) => problems.extend(burn_problems(windows)),
            _ => {}
        }
        problems
    }

    /// The check that must be there.
    pub(super) fn named_check(&self) -> Option<&str> {
        match &self.0 {
            Source::Observation(checks, _)
            | Source::Code(checks, ..)
            | Source::Flapping(checks)
            | Source::PoolInUse(checks) => match checks {
                Checks::Named(name) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn needs_traffic(&self) -> bool {
        matches!(self.0, Source::ErrorRate(_) | Source::Latency(..))
    }

    /// The value of each subject now.
    pub(super) fn samples(&self, view: &View<'_>) -> Vec<Sample> {
        match &self.0 {
            Source::Verdict => vec![verdict_sample(view)],
            Source::Observation(checks, name) => {
                view.of_checks(checks, |check| observed(check, name))
            }
            Source::Code(checks, codes, at_least) => view.of_checks(checks, |check| {
                if check.checked_at.is_none() {
                    return (None, SampleUnit::YesNo);
                }
                yes_no(check.status >= *at_least && codes.contains(&check.code))
            }),
            Source::Flapping(checks) => view.of_checks(checks, |check| {
                let changes = view.flaps.count(&check.name, view.instant);
                (Some(changes), SampleUnit::Of(Unit::Count))
            }),
            Source::PoolInUse(checks) => view.of_checks(checks, pool_in_use),
            Source::BackupAge => view.of_checks(&Checks::OfKind(Kind::Backup), backup_age),
            Source::DrillOverdue => view.of_checks(&Checks::OfKind(Kind::Backup), drill_overdue),
            Source::ErrorRate(least) => vec![traffic_sample(view, *least, Unit::Ratio, |window| {
                window.error_ratio()
            })],
            Source::Latency(part, least) => {
                let seconds = |window: &TrafficWindow| {
                    window.latency(*part).map(|latency| latency.as_secs_f64())
                };
                vec![traffic_sample(view, *least, Unit::Seconds, seconds)]
            }
            Source::Burn(windows) => {
                let slos = view.slos.iter();
                slos.map(|slo| burn_sample(slo, windows)).collect()
            }
            Source::SinkFailures => {
                let sinks = view.sink_failures.iter();
                sinks
                    .map(|(sink, failures)| {
                        Sample::new(
                            sink,
                            Some(f64::from(*failures)),
                            SampleUnit::Of(Unit::Count),
                        )
                    })
                    .collect()
            }
            Source::Custom(subject, value) => {
                // A closure that panics must not end the watch over everything else.
                let value = catch_unwind(AssertUnwindSafe(|| value())).ok().flatten();
                vec![Sample::new(subject, value, SampleUnit::Of(Unit::Count))]
            }
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            Source::Verdict => "unhealthy",
            Source::Observation(_, name) => name,
            Source::Code(..) => "code",
            Source::Flapping(_) => "flapping",
            Source::PoolInUse(_) => "pool_in_use",
            Source::BackupAge => "backup_age",
            Source::DrillOverdue => "drill_overdue",
            Source::ErrorRate(_) => "error_rate",
            Source::Latency(..) => "latency",
            Source::Burn(_) => "burn",
            Source::SinkFailures => "sink_failures",
            Source::Custom(subject, _) => subject,
        };
        f.debug_tuple("Signal").field(&name).finish()
    }
}

fn burn_problems(windows: &[Windows]) -> Vec<String> {
    let mut problems = Vec::new();
    if windows.is_empty() {
        problems.push("it looks at no window".to_owned());
    }
    for Windows { long, short, rate } in windows {
        if short >= long || short.is_zero() || *long > Slo::PERIOD {
            problems.push(format!(
                "the windows {long:?} and {short:?} are not a long and a short one within 30 days"
            ));
        }
        if !(rate.is_finite() && *rate > 0.0) {
            problems.push(format!("the burn rate {rate} is not above zero"));
        }
    }
    problems
}
