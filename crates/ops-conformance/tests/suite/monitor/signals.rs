//! Errors, logs, metrics and marks, with their faults.

use std::time::Duration;

use ops_conformance::async_trait;
use ops_core::id::EventId;
use ops_core::memory::MemoryMonitor;
use ops_core::monitor::{
    Accepted, BatchLimits, DeployMarker, DeployMarkers, ErrorEvent, ErrorSink, LogRecord, LogSink,
    Metric, MetricSink,
};
use ops_core::{Error, ErrorKind, Result};

use super::sabotage::Sabotaged;
use crate::saboteur::wrong;

#[async_trait]
impl ErrorSink for Sabotaged {
    fn capture(&self, event: ErrorEvent) -> EventId {
        self.notes().events.push(event.clone());
        let id = self.memory().capture(event);
        if self.is("M-063") {
            return EventId::new("event").unwrap();
        }
        id
    }

    fn dropped_events(&self) -> u64 {
        self.memory().dropped_events()
    }

    async fn flush(&self, timeout: Duration) -> Result<()> {
        if self.is("M-062") && self.notes().events.is_empty() {
            return Err(Error::new(ErrorKind::Timeout, "sabotaged"));
        }
        if self.is("M-060") {
            return Ok(());
        }
        self.memory().flush(timeout).await
    }
}

#[async_trait]
impl LogSink for Sabotaged {
    fn log_limits(&self) -> BatchLimits {
        self.memory().log_limits()
    }

    async fn send_logs(&self, records: Vec<LogRecord>) -> Result<Accepted> {
        if self.is("M-072") && records.is_empty() {
            return wrong();
        }
        if self.is("M-070") {
            return MemoryMonitor::new().send_logs(records).await;
        }
        let mut answer = self.memory().send_logs(records).await?;
        if self.is("M-071") {
            answer.accepted = 0;
        }
        Ok(answer)
    }
}

#[async_trait]
impl MetricSink for Sabotaged {
    fn metric_limits(&self) -> BatchLimits {
        self.memory().metric_limits()
    }

    async fn send_metrics(&self, metrics: Vec<Metric>) -> Result<Accepted> {
        if self.is("M-075") && metrics.is_empty() {
            return wrong();
        }
        if self.is("M-073") {
            return MemoryMonitor::new().send_metrics(metrics).await;
        }
        if self.is("M-074") && metrics.iter().any(|metric| metric.value.is_nan()) {
            return wrong();
        }
        self.memory().send_metrics(metrics).await
    }
}

#[async_trait]
impl DeployMarkers for Sabotaged {
    async fn mark_deploy(&self, marker: DeployMarker) -> Result<()> {
        if self.is("M-076") {
            return Ok(());
        }
        self.memory().mark_deploy(marker).await
    }
}
