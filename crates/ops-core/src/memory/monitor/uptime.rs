//! Checks, and how much of the time they found something up.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;

use super::super::{error, missing};
use super::MemoryMonitor;
use super::state::{MonitorRecord, State};
use crate::error::{Error, ErrorKind, Result};
use crate::id::MonitorId;
use crate::memory::items;
use crate::monitor::{
    MonitorInfo, MonitorLimits, MonitorSpec, MonitorState, MonitorTarget, UptimeMonitors,
    UptimeReport, UptimeSummary,
};
use crate::object_store::{DeleteOutcome, ItemStream};
use crate::outcome::{EnsureOutcome, Ensured};
use crate::time::Timestamp;
use crate::usage::Period;

#[async_trait]
impl UptimeMonitors for MemoryMonitor {
    fn list_monitors(&self) -> ItemStream<MonitorInfo> {
        let now = self.0.clock.now();
        let listed = self.with(|all| {
            let ids = all.monitors.keys();
            Ok(ids
                .filter_map(|id| all.describe_monitor(id, now))
                .collect::<Vec<_>>())
        });
        items::of(listed)
    }

    async fn monitor(&self, monitor: &MonitorId) -> Result<MonitorInfo> {
        let now = self.0.clock.now();
        let gone = || missing("monitor.monitor", monitor);
        self.with(|all| all.describe_monitor(monitor, now).ok_or_else(gone))
    }

    async fn ensure_monitors(
        &self,
        specs: Vec<MonitorSpec>,
    ) -> Result<Vec<Result<Ensured<MonitorInfo>>>> {
        let operation = "monitor.ensure_monitors";
        let mut keys = HashSet::new();
        if let Some(twice) = specs.iter().find(|spec| !keys.insert(spec.key.as_str())) {
            let message = format!("two checks have the key {}", twice.key);
            return Err(error(ErrorKind::InvalidInput, operation, message));
        }
        let now = self.0.clock.now();
        self.with(|all| {
            let ensured = specs
                .into_iter()
                .map(|spec| ensure(all, spec, self.0.limits, now));
            Ok(ensured.collect())
        })
    }

    async fn delete_monitor(&self, monitor: &MonitorId) -> Result<DeleteOutcome> {
        self.with(|all| {
            Ok(match all.monitors.remove(monitor) {
                Some(_) => DeleteOutcome::Deleted,
                None => DeleteOutcome::AlreadyGone,
            })
        })
    }

    async fn pause_monitor(&self, monitor: &MonitorId) -> Result<()> {
        self.set_paused("monitor.pause_monitor", monitor, true)
    }

    async fn resume_monitor(&self, monitor: &MonitorId) -> Result<()> {
        self.set_paused("monitor.resume_monitor", monitor, false)
    }
}

impl MemoryMonitor {
    fn set_paused(&self, operation: &'static str, monitor: &MonitorId, paused: bool) -> Result<()> {
        let now = self.0.clock.now();
        self.with(|all| {
            let record = all
                .monitors
                .get_mut(monitor)
                .ok_or_else(|| missing(operation, monitor))?;
            if record.is_paused != paused {
                record.is_paused = paused;
                // What was found before a pause says nothing about the time after it.
                let state = if paused {
                    MonitorState::Paused
                } else {
                    MonitorState::Pending
                };
                record.history.push((now, state));
            }
            Ok(())
        })
    }
}

fn ensure(
    all: &mut State,
    spec: MonitorSpec,
    limits: MonitorLimits,
    now: Timestamp,
) -> Result<Ensured<MonitorInfo>> {
    let operation = "monitor.ensure_monitors";
    check(operation, &spec, limits)?;
    let known = all
        .monitors
        .iter()
        .find(|(_, record)| record.spec.key == spec.key);
    let known = known.map(|(id, record)| (id.clone(), same(&record.spec, &spec)));
    let (id, outcome) = match known {
        Some((id, true)) => (id, EnsureOutcome::Unchanged),
        Some((id, false)) => {
            if let Some(record) = all.monitors.get_mut(&id) {
                record.spec = spec;
            }
            (id, EnsureOutcome::Updated)
        }
        None => {
            let held = all.monitors.len() + all.heartbeats.len();
            if limits.max_monitors.is_some_and(|max| held >= max as usize) {
                let message = format!("the plan has room for {held} checks");
                return Err(error(ErrorKind::QuotaExceeded, operation, message));
            }
            let id = MonitorId::new(format!("monitor-{}", all.sequence.next()))?;
            let record = MonitorRecord {
                spec,
                is_paused: false,
                history: vec![(now, MonitorState::Pending)],
                last_checked_at: None,
            };
            all.monitors.insert(id.clone(), record);
            (id, EnsureOutcome::Created)
        }
    };
    let info = all
        .describe_monitor(&id, now)
        .ok_or_else(|| missing(operation, &id))?;
    Ok(Ensured::new(info, outcome))
}

fn check(operation: &'static str, spec: &MonitorSpec, limits: MonitorLimits) -> Result<()> {
    let invalid = |message: String| Err(error(ErrorKind::InvalidInput, operation, message));
    if let Some(min) = limits.min_interval.filter(|min| spec.interval < *min) {
        return invalid(format!(
            "the shortest interval of the plan is {} s",
            min.as_secs()
        ));
    }
    match &spec.target {
        MonitorTarget::Http(http)
            if !http.url.starts_with("http://") && !http.url.starts_with("https://") =>
        {
            invalid(format!(
                "the address of {} is neither http nor https",
                spec.key
            ))
        }
        _ if spec.key.is_empty() => invalid("the key of a check is empty".to_owned()),
        _ => Ok(()),
    }
}

/// Whether nothing differs. Secrets have no comparison of their own.
fn same(a: &MonitorSpec, b: &MonitorSpec) -> bool {
    let headers = |spec: &MonitorSpec| match &spec.target {
        MonitorTarget::Http(http) => http
            .headers
            .values()
            .map(|value| value.expose().to_owned())
            .collect(),
        _ => Vec::new(),
    };
    format!("{a:?}") == format!("{b:?}") && headers(a) == headers(b)
}

#[async_trait]
impl UptimeReport for MemoryMonitor {
    async fn uptime(&self, monitor: &MonitorId, period: Period) -> Result<UptimeSummary> {
        let now = self.0.clock.now();
        let gone = || missing("monitor.uptime", monitor);
        self.with(|all| {
            let record = all.monitors.get(monitor).ok_or_else(gone)?;
            summarize(record, period, now)
        })
    }
}

fn summarize(record: &MonitorRecord, period: Period, now: Timestamp) -> Result<UptimeSummary> {
    if period.start >= now {
        let message = "the period has not begun";
        return Err(error(ErrorKind::InvalidInput, "monitor.uptime", message));
    }
    let end = period.end.min(now);
    let (mut up, mut down, mut outages) = (Duration::ZERO, Duration::ZERO, 0);
    for (index, (from, state)) in record.history.iter().enumerate() {
        let to = record
            .history
            .get(index + 1)
            .map_or(end, |(next, _)| *next)
            .min(end);
        let lasted = to.saturating_since((*from).max(period.start));
        match state {
            MonitorState::Up => up += lasted,
            MonitorState::Down => {
                down += lasted;
                outages += u32::from(period.contains(*from));
            }
            _ => {}
        }
    }
    let watched = up + down;
    let ratio = (!watched.is_zero()).then(|| up.as_secs_f64() / watched.as_secs_f64());
    Ok(UptimeSummary::new(period, ratio)
        .with_downtime(down)
        .with_outages(outages))
}

/// `NotFound` for the first monitor of a list that is not there.
pub(super) fn require_all(
    all: &State,
    operation: &'static str,
    monitors: &[MonitorId],
) -> Result<(), Error> {
    match monitors.iter().find(|id| !all.monitors.contains_key(*id)) {
        Some(id) => Err(missing(operation, id)),
        None => Ok(()),
    }
}
