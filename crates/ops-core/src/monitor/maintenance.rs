//! Spans of time without alerts.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{IdempotencyKey, MaintenanceId, MonitorId};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::outcome::DeleteOutcome;
use crate::time::Timestamp;

/// Where a window lies in time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MaintenanceState {
    /// Has not begun.
    Scheduled,
    /// Holds now.
    Active,
    /// Is over.
    Ended,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// A request for a window.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateMaintenanceRequest {
    /// What people read.
    pub title: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// How long it lasts.
    pub duration: Duration,
    /// The monitors that it holds for; empty means all.
    pub monitors: Vec<MonitorId>,
    /// The same key makes the same window. Defaults to a key of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl CreateMaintenanceRequest {
    /// A window that holds for all monitors.
    pub fn new(title: impl Into<String>, starts_at: Timestamp, duration: Duration) -> Self {
        Self {
            title: title.into(),
            starts_at,
            duration,
            monitors: Vec::new(),
            idempotency_key: None,
        }
    }
}

setters! { CreateMaintenanceRequest {
    opt { with_idempotency_key(idempotency_key: IdempotencyKey) }
    val { with_monitors(monitors: Vec<MonitorId>) }
} }

/// A window.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MaintenanceWindow {
    /// The vendor's id.
    pub id: MaintenanceId,
    /// What people read.
    pub title: String,
    /// Where it lies in time.
    pub state: MaintenanceState,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// The monitors that it holds for; empty means all.
    pub monitors: Vec<MonitorId>,
}

impl MaintenanceWindow {
    /// A window that holds for all monitors.
    pub fn new(
        id: MaintenanceId,
        title: impl Into<String>,
        state: MaintenanceState,
        starts_at: Timestamp,
        ends_at: Timestamp,
    ) -> Self {
        Self {
            id,
            title: title.into(),
            state,
            starts_at,
            ends_at,
            monitors: Vec::new(),
        }
    }
}

setters! { MaintenanceWindow {
    val { with_monitors(monitors: Vec<MonitorId>) }
} }

/// Spans of time without alerts. An ability of [`Monitor`](super::Monitor).
#[async_trait]
pub trait MaintenanceWindows: fmt::Debug + Send + Sync + 'static {
    /// Makes a window.
    ///
    /// # Behavior
    /// Two calls with one idempotency key make one window and both answer it.
    ///
    /// # Errors
    /// `InvalidInput` for a window without length or one that is over; `NotFound` for a
    /// monitor. After a timeout the outcome is unknown:
    /// [`list_maintenance`](Self::list_maintenance) tells.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the window made.
    async fn create_maintenance(
        &self,
        request: CreateMaintenanceRequest,
    ) -> Result<MaintenanceWindow>;

    /// Lists windows, page by page as the stream is polled.
    fn list_maintenance(&self) -> ItemStream<MaintenanceWindow>;

    /// Ends a window, or removes one that has not begun. One that is not there is fine.
    ///
    /// # Errors
    /// See [`Monitor`](super::Monitor).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the window removed.
    async fn delete_maintenance(&self, maintenance: &MaintenanceId) -> Result<DeleteOutcome>;
}

const _: fn(&dyn MaintenanceWindows) = |_| {};
