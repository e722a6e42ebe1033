//! The wrapper that does one thing wrong, and its base methods.

use std::fmt;

use futures_util::{StreamExt, stream};
use ops_conformance::async_trait;
use ops_core::id::{IdempotencyKey, IncidentId, MonitorId, ProviderId};
use ops_core::memory::MemoryMonitor;
use ops_core::monitor::{
    DeployMarkers, ErrorEvent, ErrorSink, Heartbeat, HeartbeatSpec, Heartbeats, Incidents, LogSink,
    MaintenanceWindows, MetricSink, Monitor, MonitorDescription, MonitorInfo, MonitorLimits,
    MonitorSpec, SelfTest, SelfTestOutcome, StatusPages, UptimeMonitors, UptimeReport,
};
use ops_core::{ItemStream, Result, Secret};

use crate::saboteur::Saboteur;

pub(super) type Sabotaged = Saboteur<MemoryMonitor, Notes>;

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) specs: Vec<MonitorSpec>,
    pub(super) deleted: Vec<MonitorInfo>,
    pub(super) paused: Vec<MonitorId>,
    pub(super) beats: Vec<Heartbeat>,
    pub(super) urls: Vec<Secret>,
    pub(super) events: Vec<ErrorEvent>,
    pub(super) seen: Vec<IncidentId>,
    pub(super) keys: Vec<IdempotencyKey>,
}

/// The items of a listing, changed.
pub(super) fn changed<T: Send + 'static>(
    items: ItemStream<T>,
    change: impl FnOnce(Vec<Result<T>>) -> Vec<Result<T>> + Send + 'static,
) -> ItemStream<T> {
    let items = async move { stream::iter(change(items.collect().await)) };
    Box::pin(stream::once(items).flatten())
}

pub(super) fn doubled<T: Send + 'static>(
    one: ItemStream<T>,
    other: ItemStream<T>,
) -> ItemStream<T> {
    Box::pin(one.chain(other))
}

impl Sabotaged {}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ops_core::monitor::MonitorTarget;
        let notes = self.notes();
        let mut shown = Vec::new();
        for spec in notes.specs.iter().filter(|_| self.is("M-031")) {
            if let MonitorTarget::Http(http) = &spec.target {
                shown.extend(http.headers.values());
            }
        }
        shown.extend(notes.urls.iter().filter(|_| self.is("M-055")));
        let shown: Vec<_> = shown.into_iter().map(Secret::expose).collect();
        f.debug_tuple("Sabotaged").field(&shown).finish()
    }
}

#[async_trait]
impl Monitor for Sabotaged {
    fn provider(&self) -> ProviderId {
        self.memory().provider()
    }

    fn limits(&self) -> MonitorLimits {
        self.memory().limits()
    }

    async fn describe(&self) -> Result<MonitorDescription> {
        let mut described = self.memory().describe().await?;
        if self.is("M-002") {
            described.account.clear();
        }
        Ok(described)
    }

    async fn self_test(&self) -> Result<SelfTest> {
        let mut test = self.memory().self_test().await?;
        if self.is("M-003") {
            let failed = SelfTestOutcome::Failed("sabotaged".to_owned());
            test.signals.push(("error".to_owned(), failed));
        }
        if self.is("M-004") {
            let spec = HeartbeatSpec::new("ops-self-test", std::time::Duration::from_secs(3_600));
            self.memory().ensure_heartbeat(spec).await?;
        }
        Ok(test)
    }

    fn as_uptime_monitors(&self) -> Option<&dyn UptimeMonitors> {
        (!self.is_bare()).then_some(self as &dyn UptimeMonitors)
    }

    fn as_heartbeats(&self) -> Option<&dyn Heartbeats> {
        (!self.is_bare()).then_some(self as &dyn Heartbeats)
    }

    fn as_error_sink(&self) -> Option<&dyn ErrorSink> {
        (!self.is_bare()).then_some(self as &dyn ErrorSink)
    }

    fn as_log_sink(&self) -> Option<&dyn LogSink> {
        (!self.is_bare()).then_some(self as &dyn LogSink)
    }

    fn as_metric_sink(&self) -> Option<&dyn MetricSink> {
        (!self.is_bare()).then_some(self as &dyn MetricSink)
    }

    fn as_incidents(&self) -> Option<&dyn Incidents> {
        (!self.is_bare()).then_some(self as &dyn Incidents)
    }

    fn as_status_pages(&self) -> Option<&dyn StatusPages> {
        (!self.is_bare()).then_some(self as &dyn StatusPages)
    }

    fn as_maintenance_windows(&self) -> Option<&dyn MaintenanceWindows> {
        (!self.is_bare()).then_some(self as &dyn MaintenanceWindows)
    }

    fn as_deploy_markers(&self) -> Option<&dyn DeployMarkers> {
        (!self.is_bare()).then_some(self as &dyn DeployMarkers)
    }

    fn as_uptime_report(&self) -> Option<&dyn UptimeReport> {
        (!self.is_bare() && !self.is("M-001")).then_some(self as &dyn UptimeReport)
    }
}
