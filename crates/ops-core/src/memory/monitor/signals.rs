//! Errors, logs, metrics and marks of deployments.

use std::time::Duration;

use async_trait::async_trait;

use super::super::{error, lock};
use super::MemoryMonitor;
use super::state::State;
use crate::error::{ErrorKind, Result};
use crate::id::EventId;
use crate::monitor::{
    Accepted, BatchLimits, DeployMarker, DeployMarkers, ErrorEvent, ErrorSink, LogRecord, LogSink,
    Metric, MetricSink, Rejected,
};

/// How many errors wait for a flush at most.
const MAX_QUEUE: usize = 1024;

#[async_trait]
impl ErrorSink for MemoryMonitor {
    fn capture(&self, event: ErrorEvent) -> EventId {
        let mut state = lock(&self.0.state);
        let id = EventId::new(format!("event-{}", state.sequence.next()));
        let id = id.expect("a short word and a number");
        if state.queue.len() == MAX_QUEUE {
            state.queue.pop_front();
            state.dropped += 1;
        }
        state.queue.push_back((id.clone(), event.scrubbed()));
        id
    }

    fn dropped_events(&self) -> u64 {
        lock(&self.0.state).dropped
    }

    async fn flush(&self, _timeout: Duration) -> Result<()> {
        self.with(|all| {
            let State { queue, events, .. } = all;
            events.extend(queue.drain(..));
            Ok(())
        })
    }
}

#[async_trait]
impl LogSink for MemoryMonitor {
    fn log_limits(&self) -> BatchLimits {
        BatchLimits::default()
    }

    async fn send_logs(&self, records: Vec<LogRecord>) -> Result<Accepted> {
        self.with(|all| {
            let accepted = Accepted::all(records.len());
            all.logs.extend(records);
            Ok(accepted)
        })
    }
}

#[async_trait]
impl MetricSink for MemoryMonitor {
    fn metric_limits(&self) -> BatchLimits {
        BatchLimits::default()
    }

    async fn send_metrics(&self, metrics: Vec<Metric>) -> Result<Accepted> {
        self.with(|all| {
            let mut rejected = Vec::new();
            let mut accepted = 0;
            for (index, metric) in metrics.into_iter().enumerate() {
                if !metric.value.is_finite() {
                    rejected.push(Rejected::new(index, "the value is no number"));
                } else if !is_metric_name(&metric.name) {
                    rejected.push(Rejected::new(index, "the name is not allowed"));
                } else {
                    accepted += 1;
                    all.metrics.push(metric);
                }
            }
            Ok(Accepted::all(accepted).with_rejected(rejected))
        })
    }
}

fn is_metric_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

#[async_trait]
impl DeployMarkers for MemoryMonitor {
    async fn mark_deploy(&self, marker: DeployMarker) -> Result<()> {
        if marker.version.is_empty() {
            let message = "the version is empty";
            return Err(error(
                ErrorKind::InvalidInput,
                "monitor.mark_deploy",
                message,
            ));
        }
        self.with(|all| {
            all.markers.push(marker);
            Ok(())
        })
    }
}
