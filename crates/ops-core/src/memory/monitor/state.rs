//! What the account holds.

use std::collections::{BTreeMap, VecDeque};

use super::super::{Idempotency, Sequence};
use super::{ReceivedBeat, ReceivedStatusUpdate};
use crate::id::{EventId, HeartbeatId, IncidentId, MaintenanceId, MonitorId, StatusPageId};
use crate::monitor::{
    BeatKind, DeployMarker, ErrorEvent, Heartbeat, HeartbeatSpec, HeartbeatState, Incident,
    LogRecord, MaintenanceState, MaintenanceWindow, Metric, MonitorInfo, MonitorSpec, MonitorState,
    MonitorTarget, StatusPage,
};
use crate::secret::Secret;
use crate::time::Timestamp;

/// What the account holds.
#[derive(Default)]
pub(super) struct State {
    pub(super) monitors: BTreeMap<MonitorId, MonitorRecord>,
    pub(super) heartbeats: BTreeMap<HeartbeatId, HeartbeatRecord>,
    /// Captured and not flushed yet.
    pub(super) queue: VecDeque<(EventId, ErrorEvent)>,
    pub(super) dropped: u64,
    pub(super) events: Vec<(EventId, ErrorEvent)>,
    pub(super) logs: Vec<LogRecord>,
    pub(super) metrics: Vec<Metric>,
    pub(super) incidents: BTreeMap<IncidentId, Incident>,
    pub(super) pages: BTreeMap<StatusPageId, (StatusPage, Vec<ReceivedStatusUpdate>)>,
    pub(super) windows: BTreeMap<MaintenanceId, MaintenanceWindow>,
    pub(super) scheduled: Idempotency,
    pub(super) markers: Vec<DeployMarker>,
    pub(super) sequence: Sequence,
}

/// What is kept of a check.
pub(super) struct MonitorRecord {
    pub(super) spec: MonitorSpec,
    pub(super) is_paused: bool,
    /// What was found from when on, oldest first; never empty.
    pub(super) history: Vec<(Timestamp, MonitorState)>,
    pub(super) last_checked_at: Option<Timestamp>,
}

/// What is kept of a heartbeat.
pub(super) struct HeartbeatRecord {
    pub(super) spec: HeartbeatSpec,
    pub(super) url: Secret,
    pub(super) beats: Vec<ReceivedBeat>,
}

impl State {
    pub(super) fn describe_monitor(&self, id: &MonitorId, now: Timestamp) -> Option<MonitorInfo> {
        let record = self.monitors.get(id)?;
        let (since, found) = record.history.last()?;
        let state = if record.is_paused {
            MonitorState::Paused
        } else if self.windows.values().any(|window| holds(window, id, now)) {
            MonitorState::Maintenance
        } else {
            found.clone()
        };
        let mut info = MonitorInfo::new(id.clone(), record.spec.name.as_str(), state)
            .with_key(record.spec.key.as_str())
            .with_target(target(&record.spec.target))
            .with_interval(record.spec.interval)
            .with_since(*since);
        info.last_checked_at = record.last_checked_at;
        Some(info)
    }
}

impl MonitorRecord {
    pub(super) fn observe(&mut self, state: MonitorState, now: Timestamp) {
        self.last_checked_at = Some(now);
        if self.history.last().is_none_or(|(_, last)| *last != state) {
            self.history.push((now, state));
        }
    }
}

impl HeartbeatRecord {
    pub(super) fn describe(&self, id: &HeartbeatId, now: Timestamp) -> Heartbeat {
        let mut heartbeat = Heartbeat::new(id.clone(), self.spec.name.as_str(), self.state(now))
            .with_key(self.spec.key.as_str())
            .with_url(self.url.clone());
        heartbeat.last_beat_at = self.beats.last().map(|received| received.at);
        heartbeat
    }

    fn state(&self, now: Timestamp) -> HeartbeatState {
        let Some(last) = self.beats.last() else {
            return HeartbeatState::Pending;
        };
        let ends = self.beats.iter().rev();
        let last_end = ends
            .clone()
            .find(|received| received.beat.kind.is_success().is_some());
        if last_end.and_then(|end| end.beat.kind.is_success()) == Some(false) {
            return HeartbeatState::Down;
        }
        // A start alone does not put off the alarm: the first one counts until a run ends.
        let waiting_since = last_end.or(self.beats.first()).unwrap_or(last).at;
        let due = waiting_since
            .saturating_add(self.spec.period)
            .saturating_add(self.spec.grace);
        if now > due {
            HeartbeatState::Down
        } else if last.beat.kind == BeatKind::Start {
            HeartbeatState::Running
        } else {
            HeartbeatState::Up
        }
    }
}

pub(super) fn window_state(window: &MaintenanceWindow, now: Timestamp) -> MaintenanceState {
    if now < window.starts_at {
        MaintenanceState::Scheduled
    } else if now < window.ends_at {
        MaintenanceState::Active
    } else {
        MaintenanceState::Ended
    }
}

fn holds(window: &MaintenanceWindow, monitor: &MonitorId, now: Timestamp) -> bool {
    window_state(window, now) == MaintenanceState::Active
        && (window.monitors.is_empty() || window.monitors.contains(monitor))
}

/// What a check asks, without credentials.
fn target(target: &MonitorTarget) -> String {
    match target {
        MonitorTarget::Http(http) => match http.url.split_once('?') {
            Some((url, _)) => url.to_owned(),
            None => http.url.clone(),
        },
        MonitorTarget::Tcp { host, port } => format!("{host}:{port}"),
        MonitorTarget::Ping { host } => host.clone(),
        MonitorTarget::Dns { name } => name.clone(),
    }
}
