//! Incidents.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::IncidentId;
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::time::Timestamp;

/// How bad an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum IncidentSeverity {
    /// Cosmetic.
    P3,
    /// Minor, with a way around.
    P2,
    /// A major feature is broken.
    P1,
    /// The service is down, or data is being lost.
    P0,
}

/// How far an incident has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum IncidentState {
    /// Nobody has taken it yet.
    Open,
    /// Somebody is at it.
    Acknowledged,
    /// It is over.
    Resolved,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// A request to open an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenIncidentRequest {
    /// What tells it apart, such as `shop:prod:service_down`. While an incident with this
    /// key is not resolved, opening another one answers that one.
    pub key: String,
    /// What people read first.
    pub title: String,
    /// How bad it is.
    pub severity: IncidentSeverity,
    /// What is known so far.
    pub description: Option<String>,
}

impl OpenIncidentRequest {
    /// An incident without a description.
    pub fn new(
        key: impl Into<String>,
        title: impl Into<String>,
        severity: IncidentSeverity,
    ) -> Self {
        Self {
            key: key.into(),
            title: title.into(),
            severity,
            description: None,
        }
    }
}

setters! { OpenIncidentRequest {
    opt_into { with_description(description: String) }
} }

/// What is known of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Incident {
    /// The vendor's id.
    pub id: IncidentId,
    /// What tells it apart; `None` for one that we did not open.
    pub key: Option<String>,
    /// What people read first.
    pub title: String,
    /// How far it has come.
    pub state: IncidentState,
    /// How bad it is, where the vendor tells.
    pub severity: Option<IncidentSeverity>,
    /// When it was opened.
    pub opened_at: Option<Timestamp>,
    /// When somebody took it.
    pub acknowledged_at: Option<Timestamp>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
}

impl Incident {
    /// What is known of every incident.
    pub fn new(id: IncidentId, title: impl Into<String>, state: IncidentState) -> Self {
        Self {
            id,
            key: None,
            title: title.into(),
            state,
            severity: None,
            opened_at: None,
            acknowledged_at: None,
            resolved_at: None,
        }
    }
}

setters! { Incident {
    opt {
        with_severity(severity: IncidentSeverity),
        with_opened_at(opened_at: Timestamp),
        with_acknowledged_at(acknowledged_at: Timestamp),
        with_resolved_at(resolved_at: Timestamp),
    }
    opt_into { with_key(key: String) }
} }

/// Which incidents to list. Defaults to all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncidentQuery {
    /// Only incidents in this state.
    pub state: Option<IncidentState>,
    /// Only incidents that were opened at or after this instant.
    pub since: Option<Timestamp>,
}

setters! { IncidentQuery {
    opt { with_state(state: IncidentState), with_since(since: Timestamp) }
} }

/// Incidents. An ability of [`Monitor`](super::Monitor).
#[async_trait]
pub trait Incidents: fmt::Debug + Send + Sync + 'static {
    /// Opens an incident, or answers the one with this key that is not resolved.
    ///
    /// # Errors
    /// See [`Monitor`](super::Monitor). With vendors that know keys, opening again is
    /// harmless; with others look into [`list_incidents`](Self::list_incidents) after a
    /// timeout.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the incident opened.
    async fn open_incident(&self, request: OpenIncidentRequest) -> Result<Incident>;

    /// What is known of an incident.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn incident(&self, incident: &IncidentId) -> Result<Incident>;

    /// Lists incidents, newest first, page by page as the stream is polled.
    fn list_incidents(&self, query: IncidentQuery) -> ItemStream<Incident>;

    /// Says that somebody is at it. One that is acknowledged already is fine.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it is resolved.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the incident acknowledged.
    async fn acknowledge_incident(&self, incident: &IncidentId) -> Result<Incident>;

    /// Says that it is over. One that is resolved already is fine.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the incident resolved.
    async fn resolve_incident(&self, incident: &IncidentId) -> Result<Incident>;
}

const _: fn(&dyn Incidents) = |_| {};
