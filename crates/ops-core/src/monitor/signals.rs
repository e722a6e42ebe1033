//! Logs and metrics, in batches.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::macros::setters;
use crate::time::Timestamp;

/// How much fits one call. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchLimits {
    /// The most entries.
    pub max_entries: Option<u32>,
    /// The most bytes, as the provider encodes them.
    pub max_bytes: Option<u64>,
    /// The oldest an entry may be.
    pub max_age: Option<Duration>,
}

setters! { BatchLimits {
    opt { with_max_entries(max_entries: u32), with_max_bytes(max_bytes: u64), with_max_age(max_age: Duration) }
} }

/// An entry that the vendor did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why, as one lowercase line.
    pub reason: String,
}

impl Rejected {
    /// An entry that was not taken.
    pub fn new(index: usize, reason: impl Into<String>) -> Self {
        Self {
            index,
            reason: reason.into(),
        }
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Accepted {
    /// How many entries the vendor took.
    pub accepted: usize,
    /// The entries that it did not take. Sending them again will not help.
    pub rejected: Vec<Rejected>,
}

impl Accepted {
    /// All of a batch was taken.
    pub fn all(accepted: usize) -> Self {
        Self {
            accepted,
            rejected: Vec::new(),
        }
    }

    /// Sets what was not taken.
    pub fn with_rejected(mut self, rejected: Vec<Rejected>) -> Self {
        self.rejected = rejected;
        self
    }
}

/// How important a log record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "UPPERCASE"))]
#[non_exhaustive]
pub enum LogLevel {
    /// For whoever looks at every step.
    Trace,
    /// For whoever looks for a defect.
    Debug,
    /// What happens normally.
    Info,
    /// Something is off.
    Warn,
    /// Something failed.
    Error,
}

/// One log record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LogRecord {
    /// When.
    pub at: Timestamp,
    /// How important.
    pub level: LogLevel,
    /// Which service.
    pub service: String,
    /// The text. It must not hold a secret.
    pub message: String,
    /// Further fields. They must not hold a secret.
    pub context: BTreeMap<String, String>,
}

impl LogRecord {
    /// A record without further fields.
    pub fn new(
        at: Timestamp,
        level: LogLevel,
        service: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            at,
            level,
            service: service.into(),
            message: message.into(),
            context: BTreeMap::new(),
        }
    }
}

setters! { LogRecord {
    val { with_context(context: BTreeMap<String, String>) }
} }

/// Logs. An ability of [`Monitor`](super::Monitor).
///
/// Batching, queueing and dropping are the caller's; a provider sends what it is given.
#[async_trait]
pub trait LogSink: fmt::Debug + Send + Sync + 'static {
    /// How much fits one call.
    fn log_limits(&self) -> BatchLimits;

    /// Sends records, oldest first.
    ///
    /// # Behavior
    /// 1. What the vendor refuses of a batch that it takes is in
    ///    [`rejected`](Accepted::rejected).
    /// 2. A batch beyond [`log_limits`](Self::log_limits) is sent in several calls.
    ///
    /// # Errors
    /// See [`Monitor`](super::Monitor). After a timeout some of the records may have been
    /// taken; sending again may show them twice.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the records sent.
    async fn send_logs(&self, records: Vec<LogRecord>) -> Result<Accepted>;
}

/// What the value of a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MetricKind {
    /// A level at an instant.
    Gauge,
    /// How many there were in the interval that ends at the instant.
    Count {
        /// How long the interval is.
        interval: Duration,
    },
}

/// One value of a metric.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Metric {
    /// Its name: letters, digits, `_` and `.`.
    pub name: String,
    /// What the value is.
    pub kind: MetricKind,
    /// When.
    pub at: Timestamp,
    /// The value.
    pub value: f64,
    /// What it counts, such as `byte` or `second`.
    pub unit: Option<String>,
    /// What tells it apart from others of its name.
    pub tags: BTreeMap<String, String>,
}

impl Metric {
    /// A level at an instant.
    pub fn gauge(name: impl Into<String>, at: Timestamp, value: f64) -> Self {
        Self {
            name: name.into(),
            kind: MetricKind::Gauge,
            at,
            value,
            unit: None,
            tags: BTreeMap::new(),
        }
    }

    /// How many there were in the interval that ends at the instant.
    pub fn count(name: impl Into<String>, at: Timestamp, value: f64, interval: Duration) -> Self {
        Self {
            kind: MetricKind::Count { interval },
            ..Self::gauge(name, at, value)
        }
    }
}

setters! { Metric {
    opt_into { with_unit(unit: String) }
    val { with_tags(tags: BTreeMap<String, String>) }
} }

/// Metrics. An ability of [`Monitor`](super::Monitor).
#[async_trait]
pub trait MetricSink: fmt::Debug + Send + Sync + 'static {
    /// How much fits one call.
    fn metric_limits(&self) -> BatchLimits;

    /// Sends values.
    ///
    /// # Behavior
    /// As [`LogSink::send_logs`]. A value that is no number is rejected.
    ///
    /// # Errors
    /// See [`Monitor`](super::Monitor). After a timeout some of the values may have been
    /// taken; sending a count again may count twice.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the values sent.
    async fn send_metrics(&self, metrics: Vec<Metric>) -> Result<Accepted>;
}

const _: fn(&dyn LogSink) = |_| {};
const _: fn(&dyn MetricSink) = |_| {};
