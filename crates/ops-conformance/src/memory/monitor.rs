//! The fixture of [`MemoryMonitor`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::id::{MonitorId, StatusPageId};
use ops_core::memory::MemoryMonitor;
use ops_core::monitor::{ErrorEvent, Monitor, MonitorState};
use ops_core::{Clock, Timestamp};

use super::ManualClock;
use crate::fixture::Fixture;
use crate::monitor::MonitorFixture;

/// The fixture of [`MemoryMonitor`].
#[derive(Debug)]
pub struct MemoryMonitorFixture {
    clock: Arc<ManualClock>,
    monitor: MemoryMonitor,
}

impl MemoryMonitorFixture {
    /// An empty account.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let monitor = MemoryMonitor::with_clock(Arc::<ManualClock>::clone(&clock));
        Self { clock, monitor }
    }

    /// The account.
    #[must_use]
    pub fn memory(&self) -> &MemoryMonitor {
        &self.monitor
    }
}

impl Default for MemoryMonitorFixture {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Fixture for MemoryMonitorFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.clock.advance(by);
        true
    }
}

#[async_trait]
impl MonitorFixture for MemoryMonitorFixture {
    fn monitor(&self) -> Arc<dyn Monitor> {
        Arc::new(self.monitor.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &[
            "as_uptime_monitors",
            "as_heartbeats",
            "as_error_sink",
            "as_log_sink",
            "as_metric_sink",
            "as_incidents",
            "as_status_pages",
            "as_maintenance_windows",
            "as_deploy_markers",
            "as_uptime_report",
        ]
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn observe(&self, monitor: &MonitorId, state: MonitorState) -> bool {
        self.monitor.observe(monitor, state).is_ok()
    }

    async fn new_page(&self) -> Option<StatusPageId> {
        self.monitor.seed_status_page("status").ok()
    }

    async fn received_errors(&self) -> Option<Vec<ErrorEvent>> {
        let events = self.monitor.events().into_iter();
        Some(events.map(|(_, event)| event).collect())
    }

    async fn received_logs(&self) -> Option<Vec<String>> {
        let logs = self.monitor.logs().into_iter();
        Some(logs.map(|record| record.message).collect())
    }

    async fn received_metrics(&self) -> Option<Vec<String>> {
        let metrics = self.monitor.metrics().into_iter();
        Some(metrics.map(|metric| metric.name).collect())
    }

    async fn received_deploys(&self) -> Option<Vec<String>> {
        let markers = self.monitor.deploy_markers().into_iter();
        Some(markers.map(|marker| marker.version).collect())
    }

    async fn received_updates(&self, page: &StatusPageId) -> Option<Vec<String>> {
        let updates = self.monitor.status_updates(page).ok()?.into_iter();
        Some(updates.map(|received| received.update.title).collect())
    }
}
