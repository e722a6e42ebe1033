//! A monitoring account in memory.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{PROVIDER, lock, missing};
use crate::error::Result;
use crate::id::{EventId, HeartbeatId, MonitorId, ProviderId, StatusPageId};
use crate::monitor::{
    Beat, BeatKind, DeployMarker, DeployMarkers, ErrorEvent, ErrorSink, HeartbeatSpec, Heartbeats,
    Incidents, LogRecord, LogSink, MaintenanceWindows, Metric, MetricSink, Monitor,
    MonitorDescription, MonitorLimits, MonitorState, SelfTest, SelfTestOutcome, StatusPage,
    StatusPages, StatusUpdate, UptimeMonitors, UptimeReport,
};
use crate::time::{Clock, SystemClock, Timestamp};

mod heartbeats;
mod incidents;
mod signals;
mod state;
mod uptime;

use state::State;

/// A beat that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedBeat {
    /// When.
    pub at: Timestamp,
    /// What it said.
    pub beat: Beat,
}

/// A text that was written on a status page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedStatusUpdate {
    /// When.
    pub at: Timestamp,
    /// What it said.
    pub update: StatusUpdate,
}

/// A monitoring account in memory, with every ability.
///
/// Clones are the same account. Nothing is watched: [`observe`](Self::observe) says what a
/// check would have found. What was received can be read back.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use std::time::Duration;
///
/// use ops_core::MonitorExt;
/// use ops_core::memory::MemoryMonitor;
/// use ops_core::monitor::{Beat, BeatKind, HeartbeatSpec};
///
/// let monitor = MemoryMonitor::new();
/// let heartbeats = monitor.require_heartbeats()?;
/// let nightly = HeartbeatSpec::new("backup", Duration::from_secs(86_400));
/// let heartbeat = heartbeats.ensure_heartbeat(nightly).await?.resource;
/// heartbeats.beat(&heartbeat, Beat::success()).await?;
/// assert_eq!(monitor.beats(&heartbeat.id)?[0].beat.kind, BeatKind::Success);
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryMonitor(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    limits: MonitorLimits,
    state: Mutex<State>,
}

impl MemoryMonitor {
    /// An empty account without limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty account without limits, with a clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::with_limits(clock, MonitorLimits::default())
    }

    /// An empty account with a clock and limits, which are enforced.
    #[must_use]
    pub fn with_limits(clock: Arc<dyn Clock>, limits: MonitorLimits) -> Self {
        Self(Arc::new(Shared {
            clock,
            limits,
            state: Mutex::default(),
        }))
    }

    /// Says what a check finds from now on.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn observe(&self, monitor: &MonitorId, state: MonitorState) -> Result<()> {
        let now = self.0.clock.now();
        let operation = "memory.observe";
        self.with(|all| {
            let record = all
                .monitors
                .get_mut(monitor)
                .ok_or_else(|| missing(operation, monitor))?;
            record.observe(state, now);
            Ok(())
        })
    }

    /// Makes a status page, for the start of a test.
    ///
    /// # Errors
    /// None; the result leaves room for a name that a later version refuses.
    pub fn seed_status_page(&self, name: &str) -> Result<StatusPageId> {
        self.with(|all| {
            let id = StatusPageId::new(format!("page-{}", all.sequence.next()))?;
            let page =
                StatusPage::new(id.clone(), name).with_url(format!("https://{id}.memory.invalid"));
            all.pages.insert(id.clone(), (page, Vec::new()));
            Ok(id)
        })
    }

    /// The beats of a heartbeat, oldest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn beats(&self, heartbeat: &HeartbeatId) -> Result<Vec<ReceivedBeat>> {
        self.with(|all| {
            let record = all.heartbeats.get(heartbeat);
            Ok(record
                .ok_or_else(|| missing("memory.beats", heartbeat))?
                .beats
                .clone())
        })
    }

    /// The errors that were flushed, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<(EventId, ErrorEvent)> {
        lock(&self.0.state).events.clone()
    }

    /// The log records that were taken, oldest first.
    #[must_use]
    pub fn logs(&self) -> Vec<LogRecord> {
        lock(&self.0.state).logs.clone()
    }

    /// The values that were taken, oldest first.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        lock(&self.0.state).metrics.clone()
    }

    /// The deployments that were marked, oldest first.
    #[must_use]
    pub fn deploy_markers(&self) -> Vec<DeployMarker> {
        lock(&self.0.state).markers.clone()
    }

    /// What was written on a status page, oldest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn status_updates(&self, page: &StatusPageId) -> Result<Vec<ReceivedStatusUpdate>> {
        self.with(|all| {
            let found = all.pages.get(page);
            Ok(found
                .ok_or_else(|| missing("memory.status_updates", page))?
                .1
                .clone())
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        work(&mut lock(&self.0.state))
    }

    /// Sends a beat to a heartbeat made for it, and reads it back.
    async fn test_heartbeat(&self) -> Result<SelfTestOutcome> {
        let spec = HeartbeatSpec::new("ops-self-test", Duration::from_secs(3600));
        let heartbeat = self.ensure_heartbeat(spec).await?.resource;
        self.beat(&heartbeat, Beat::success()).await?;
        let beats = self.beats(&heartbeat.id)?;
        self.delete_heartbeat(&heartbeat.id).await?;
        Ok(match beats.last() {
            Some(last) if last.beat.kind == BeatKind::Success => SelfTestOutcome::Arrived,
            _ => SelfTestOutcome::Failed("the beat did not arrive".to_owned()),
        })
    }

    /// Sends an error, and takes it back.
    async fn test_error(&self) -> Result<SelfTestOutcome> {
        let event = ErrorEvent::new(self.0.clock.now(), "ops::SelfTest", "this is a test");
        let id = self.capture(event);
        self.flush(Duration::from_secs(1)).await?;
        self.with(|all| {
            let before = all.events.len();
            all.events.retain(|(known, _)| *known != id);
            let arrived = all.events.len() < before;
            let failed = || SelfTestOutcome::Failed("the error did not arrive".to_owned());
            Ok(if arrived {
                SelfTestOutcome::Arrived
            } else {
                failed()
            })
        })
    }
}

impl Default for MemoryMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0.state);
        f.debug_struct("MemoryMonitor")
            .field("monitors", &state.monitors.len())
            .field("heartbeats", &state.heartbeats.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Monitor for MemoryMonitor {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> MonitorLimits {
        self.0.limits
    }

    async fn describe(&self) -> Result<MonitorDescription> {
        Ok(MonitorDescription::new("memory"))
    }

    async fn self_test(&self) -> Result<SelfTest> {
        let start = self.0.clock.now();
        let failed = |err: crate::Error| SelfTestOutcome::Failed(err.to_string());
        let heartbeat = self.test_heartbeat().await.unwrap_or_else(failed);
        let error = self.test_error().await.unwrap_or_else(failed);
        let signals = vec![
            ("heartbeat".to_owned(), heartbeat),
            ("error".to_owned(), error),
        ];
        Ok(SelfTest::new(
            signals,
            self.0.clock.now().saturating_since(start),
        ))
    }

    fn as_uptime_monitors(&self) -> Option<&dyn UptimeMonitors> {
        Some(self)
    }

    fn as_heartbeats(&self) -> Option<&dyn Heartbeats> {
        Some(self)
    }

    fn as_error_sink(&self) -> Option<&dyn ErrorSink> {
        Some(self)
    }

    fn as_log_sink(&self) -> Option<&dyn LogSink> {
        Some(self)
    }

    fn as_metric_sink(&self) -> Option<&dyn MetricSink> {
        Some(self)
    }

    fn as_incidents(&self) -> Option<&dyn Incidents> {
        Some(self)
    }

    fn as_status_pages(&self) -> Option<&dyn StatusPages> {
        Some(self)
    }

    fn as_maintenance_windows(&self) -> Option<&dyn MaintenanceWindows> {
        Some(self)
    }

    fn as_deploy_markers(&self) -> Option<&dyn DeployMarkers> {
        Some(self)
    }

    fn as_uptime_report(&self) -> Option<&dyn UptimeReport> {
        Some(self)
    }
}
