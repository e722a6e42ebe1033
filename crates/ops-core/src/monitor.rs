//! A service that watches from outside, or receives signals.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::ProviderId;
use crate::macros::setters;

mod events;
mod heartbeats;
mod incidents;
mod maintenance;
mod report;
mod signals;
mod status_pages;
mod uptime;

pub use events::{DeployMarker, DeployMarkers, ErrorEvent, ErrorLevel, ErrorSink, StackFrame};
pub use heartbeats::{Beat, BeatKind, Heartbeat, HeartbeatSpec, HeartbeatState, Heartbeats};
pub use incidents::{
    Incident, IncidentQuery, IncidentSeverity, IncidentState, Incidents, OpenIncidentRequest,
};
pub use maintenance::{
    CreateMaintenanceRequest, MaintenanceState, MaintenanceWindow, MaintenanceWindows,
};
pub use report::{UptimeReport, UptimeSummary};
pub use signals::{
    Accepted, BatchLimits, LogLevel, LogRecord, LogSink, Metric, MetricKind, MetricSink, Rejected,
};
pub use status_pages::{PageStatus, StatusPage, StatusPages, StatusUpdate};
pub use uptime::{
    Confirmation, HttpMethod, HttpTarget, MonitorInfo, MonitorSpec, MonitorState, MonitorTarget,
    UptimeMonitors,
};

/// What the account at a monitor is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MonitorDescription {
    /// The account, project or site, as the vendor names it; nothing secret.
    pub account: String,
    /// The plan, where the vendor tells.
    pub plan: Option<String>,
}

impl MonitorDescription {
    /// An account whose plan is not known.
    pub fn new(account: impl Into<String>) -> Self {
        Self {
            account: account.into(),
            plan: None,
        }
    }
}

setters! { MonitorDescription {
    opt_into { with_plan(plan: String) }
} }

/// What a monitor can carry. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorLimits {
    /// The shortest interval of an uptime monitor.
    pub min_interval: Option<Duration>,
    /// The most uptime monitors and heartbeats of the account.
    pub max_monitors: Option<u32>,
    /// The longest text of one beat or event, in bytes.
    pub max_text_bytes: Option<u64>,
}

setters! { MonitorLimits {
    opt { with_min_interval(min_interval: Duration), with_max_monitors(max_monitors: u32), with_max_text_bytes(max_text_bytes: u64) }
} }

/// What a self-test found of one kind of signal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum SelfTestOutcome {
    /// The signal was sent and read back.
    Arrived,
    /// The signal was accepted; the vendor offers no way to read it back.
    Accepted,
    /// The signal was refused or did not arrive; why, as one lowercase line.
    Failed(String),
}

/// What a self-test found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SelfTest {
    /// Each kind of signal that was tried, such as `error` or `heartbeat`, with its outcome.
    pub signals: Vec<(String, SelfTestOutcome)>,
    /// How long it took.
    pub took: Duration,
}

impl SelfTest {
    /// What a self-test found.
    #[must_use]
    pub fn new(signals: Vec<(String, SelfTestOutcome)>, took: Duration) -> Self {
        Self { signals, took }
    }

    /// Whether something was tried and nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.signals.is_empty()
            && !self
                .signals
                .iter()
                .any(|(_, outcome)| matches!(outcome, SelfTestOutcome::Failed(_)))
    }
}

/// A service that watches from outside, or receives signals.
///
/// Implemented by each vendor of monitoring; called by ops-health, ops-backup and
/// applications, which hold an `Arc<dyn Monitor>`.
///
/// # Contract
/// 1. A provider stands for one account, project or site of a vendor.
/// 2. Methods may be called concurrently. Clones of a provider are the same account.
/// 3. Ids are opaque: they come from this provider and are given back to it.
/// 4. `ensure_*` finds its own by the spec's key, makes what is missing and changes what
///    differs; it touches nothing that has no such key.
/// 5. Deleting what is not there succeeds.
/// 6. What a spec asks for and the vendor cannot do is refused with `Unsupported`, or
///    `InvalidInput` for a number beyond the vendor's limit, before anything is changed.
/// 7. Addresses of heartbeats and keys of sinks are secrets.
///
/// # Abilities
/// | accessor | ability |
/// | --- | --- |
/// | [`as_uptime_monitors`](Self::as_uptime_monitors) | [`UptimeMonitors`] |
/// | [`as_heartbeats`](Self::as_heartbeats) | [`Heartbeats`] |
/// | [`as_error_sink`](Self::as_error_sink) | [`ErrorSink`] |
/// | [`as_log_sink`](Self::as_log_sink) | [`LogSink`] |
/// | [`as_metric_sink`](Self::as_metric_sink) | [`MetricSink`] |
/// | [`as_incidents`](Self::as_incidents) | [`Incidents`] |
/// | [`as_status_pages`](Self::as_status_pages) | [`StatusPages`] |
/// | [`as_maintenance_windows`](Self::as_maintenance_windows) | [`MaintenanceWindows`] |
/// | [`as_deploy_markers`](Self::as_deploy_markers) | [`DeployMarkers`] |
/// | [`as_uptime_report`](Self::as_uptime_report) | [`UptimeReport`] |
///
/// # Errors
/// `NotFound` for what must exist, `Unauthenticated` and `PermissionDenied` for the
/// token, `QuotaExceeded` for a plan limit, `RateLimited`, `Unavailable`, `Timeout`. After
/// a timeout of a change the outcome is unknown; ensuring, deleting and beating again is
/// harmless.
///
/// # Implementing
/// Implement the base methods, return `Some(self)` from the accessor of each ability
/// that the vendor has, and run the conformance suite. A wrapper wraps the abilities
/// too: handing out the inner accessor would go around the wrapper.
///
/// # Examples
/// ```
/// # #[cfg(feature = "memory")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::MonitorExt;
/// use ops_core::memory::MemoryMonitor;
/// use ops_core::monitor::{MonitorSpec, MonitorState};
///
/// let monitor = MemoryMonitor::new();
/// let spec = MonitorSpec::http("shop-health", "https://shop.example/health");
/// let ensured = monitor.require_uptime_monitors()?.ensure_monitors(vec![spec]).await?;
/// let info = ensured.into_iter().next().expect("one answer per spec")?.resource;
/// assert_eq!(info.state, MonitorState::Pending);
/// # Ok(())
/// # })
/// # }
/// # #[cfg(not(feature = "memory"))]
/// # fn main() {}
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Monitor: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `uptimerobot`.
    fn provider(&self) -> ProviderId;

    /// What the vendor can carry.
    fn limits(&self) -> MonitorLimits;

    /// What the account is. Proves that the credential works.
    ///
    /// # Errors
    /// See the trait.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn describe(&self) -> Result<MonitorDescription>;

    /// Proves that a signal arrives, by sending one of each kind that the vendor takes
    /// and reading it back where that can be done.
    ///
    /// # Behavior
    /// 1. What it sends is marked as a test and raises no alert, as far as the vendor
    ///    lets that be said.
    /// 2. What it makes is removed again.
    /// 3. A signal that fails is an outcome, and the other kinds are tried all the same.
    ///
    /// # Errors
    /// Only where nothing could be tried at all.
    ///
    /// # Cancel safety
    /// Dropping the future may leave test signals at the vendor.
    async fn self_test(&self) -> Result<SelfTest>;

    /// Checks that the vendor makes from outside, where it does.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_uptime_monitors<'a>(&'a self) -> Option<&'a dyn UptimeMonitors> {
        None
    }

    /// Dead-man switches, where the vendor has them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_heartbeats<'a>(&'a self) -> Option<&'a dyn Heartbeats> {
        None
    }

    /// Errors of applications, where the vendor takes them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_error_sink<'a>(&'a self) -> Option<&'a dyn ErrorSink> {
        None
    }

    /// Logs, where the vendor takes them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_log_sink<'a>(&'a self) -> Option<&'a dyn LogSink> {
        None
    }

    /// Metrics, where the vendor takes them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_metric_sink<'a>(&'a self) -> Option<&'a dyn MetricSink> {
        None
    }

    /// Incidents, where the vendor keeps them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_incidents<'a>(&'a self) -> Option<&'a dyn Incidents> {
        None
    }

    /// Status pages, where the vendor serves them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_status_pages<'a>(&'a self) -> Option<&'a dyn StatusPages> {
        None
    }

    /// Spans of time without alerts, where the vendor has them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_maintenance_windows<'a>(&'a self) -> Option<&'a dyn MaintenanceWindows> {
        None
    }

    /// Marks of deployments, where the vendor shows them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_deploy_markers<'a>(&'a self) -> Option<&'a dyn DeployMarkers> {
        None
    }

    /// How much of the time something was up, where the vendor tells.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_uptime_report<'a>(&'a self) -> Option<&'a dyn UptimeReport> {
        None
    }
}

const _: fn(&dyn Monitor) = |_| {};
