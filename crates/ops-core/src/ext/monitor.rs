//! [`MonitorExt`].

use super::require;
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::{
    DeployMarkers, ErrorSink, Heartbeats, Incidents, LogSink, MaintenanceWindows, MetricSink,
    Monitor, MonitorInfo, MonitorSpec, StatusPages, UptimeMonitors, UptimeReport,
};
use crate::outcome::Ensured;

/// What every [`Monitor`] can do because it is one.
pub trait MonitorExt: Monitor {
    require! {
        require_uptime_monitors: as_uptime_monitors -> UptimeMonitors = "watching from outside";
        require_heartbeats: as_heartbeats -> Heartbeats = "heartbeats";
        require_error_sink: as_error_sink -> ErrorSink = "taking errors";
        require_log_sink: as_log_sink -> LogSink = "taking logs";
        require_metric_sink: as_metric_sink -> MetricSink = "taking metrics";
        require_incidents: as_incidents -> Incidents = "incidents";
        require_status_pages: as_status_pages -> StatusPages = "status pages";
        require_maintenance_windows: as_maintenance_windows -> MaintenanceWindows = "maintenance windows";
        require_deploy_markers: as_deploy_markers -> DeployMarkers = "marking deployments";
        require_uptime_report: as_uptime_report -> UptimeReport = "reporting uptime";
    }

    /// Makes or changes one check. Several together cost fewer requests:
    /// [`UptimeMonitors::ensure_monitors`].
    ///
    /// # Errors
    /// `Unsupported` without [`UptimeMonitors`]; as its `ensure_monitors`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the check made or changed.
    fn ensure_monitor(
        &self,
        spec: MonitorSpec,
    ) -> impl Future<Output = Result<Ensured<MonitorInfo>>> + Send {
        async move {
            let answers = self
                .require_uptime_monitors()?
                .ensure_monitors(vec![spec])
                .await?;
            answers.into_iter().next().unwrap_or_else(|| {
                Err(Error::new(
                    ErrorKind::Internal,
                    "the provider answered nothing for a check",
                )
                .with_provider(self.provider()))
            })
        }
    }
}

impl<T: Monitor + ?Sized> MonitorExt for T {}
