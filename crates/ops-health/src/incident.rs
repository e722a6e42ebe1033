//! Incidents: what happened, who did what about it, and how long it took.
//!
//! An incident is its timeline. Entries are only ever added; the state and every time that
//! is derived follow from them.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use ops_core::monitor::IncidentSeverity;
//! use ops_health::incident::{Actor, IncidentLog, IncidentState, NewIncident};
//!
//! let log = IncidentLog::in_memory();
//! let new = NewIncident::new("shop:prod:disk", "the disk is full", IncidentSeverity::P1);
//! let id = log.open(new, Actor::rule("disk_fail")).await?;
//! log.acknowledge(&id, Actor::person("ann")).await?;
//! log.mitigate(&id, Actor::person("ann"), "removed old logs").await?;
//! log.resolve(&id, Actor::rule("disk_fail")).await?;
//!
//! let incident = log.get(&id).expect("it was just opened");
//! assert_eq!(incident.state(), IncidentState::Resolved);
//! assert!(incident.to_markdown().contains("What happened?"));
//! # Ok::<(), ops_core::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::time::Duration;

use ops_core::monitor::IncidentSeverity;
use ops_core::{Error, ErrorKind, Result, Timestamp};
use serde::{Deserialize, Serialize};

mod entry;
mod export;
mod log;
mod review;
mod store;

pub(crate) use export::spelled;

pub use entry::{Actor, Entry, IncidentEvent};
pub use log::{IncidentLog, IncidentLogBuilder, NewIncident};
pub use review::{QUESTIONS, Review};
pub use store::{IncidentRecord, IncidentStore, JsonLinesIncidents, MemoryIncidents};

/// How far an incident has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IncidentState {
    /// It is there, and nobody has taken it yet.
    Detected,
    /// Somebody is at it.
    Acknowledged,
    /// Something was done against its effects; whether that holds is being watched.
    Mitigating,
    /// It is over.
    Resolved,
    /// It is over, and what is to be learned of it is written down.
    Reviewed,
}

impl IncidentState {
    /// The state in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Acknowledged => "acknowledged",
            Self::Mitigating => "mitigating",
            Self::Resolved => "resolved",
            Self::Reviewed => "reviewed",
        }
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Resolved | Self::Reviewed)
    }
}

impl fmt::Display for IncidentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of an incident in its log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub(crate) String);

impl IncidentId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for IncidentId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

/// How long after it was resolved the same thing is the same incident.
pub const REOPEN_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How long after it was resolved an incident is to be reviewed.
pub const REVIEW_WITHIN: Duration = Duration::from_secs(48 * 3600);

/// How long recovering may take: the target of [`Incident::time_to_recover`].
pub const RECOVERY_TARGET: Duration = Duration::from_secs(30 * 60);

/// How many entries of an incident are kept; of those that change its state, twice as many.
const MAX_ENTRIES: usize = 500;

/// One incident with its timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    id: IncidentId,
    key: String,
    title: String,
    severity: IncidentSeverity,
    state: IncidentState,
    opened_at: Timestamp,
    acknowledged_at: Option<Timestamp>,
    mitigated_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
    reviewed_at: Option<Timestamp>,
    review: Option<Review>,
    entries: Vec<Entry>,
    dropped_entries: u64,
}

impl Incident {
    /// Begins an incident. `None` where the entry is not one that opens.
    pub(crate) fn begin(id: IncidentId, entry: Entry) -> Option<Self> {
        let IncidentEvent::Opened {
            key,
            title,
            severity,
        } = &entry.event
        else {
            return None;
        };
        Some(Self {
            id,
            key: key.clone(),
            title: title.clone(),
            severity: *severity,
            state: IncidentState::Detected,
            opened_at: entry.at,
            acknowledged_at: None,
            mitigated_at: None,
            resolved_at: None,
            reviewed_at: None,
            review: None,
            entries: vec![entry],
            dropped_entries: 0,
        })
    }

    /// Whether the timeline takes such an entry now.
    ///
    /// # Errors
    /// `Conflict` with the reason.
    pub(crate) fn admits(&self, event: &IncidentEvent, at: Timestamp) -> Result<()> {
        let refuse = |what: &str| {
            let message = format!(
                "the incident {} is {}, so it cannot be {what}",
                self.id, self.state
            );
            Err(Error::new(ErrorKind::Conflict, message))
        };
        match event {
            IncidentEvent::Opened { .. } => refuse("opened again"),
            IncidentEvent::Acknowledged if self.state.is_over() => refuse("acknowledged"),
            IncidentEvent::Mitigated { .. } if self.state.is_over() => refuse("mitigated"),
            IncidentEvent::Resolved if self.state.is_over() => refuse("resolved"),
            IncidentEvent::Reviewed { .. } if !self.state.is_over() => refuse("reviewed"),
            IncidentEvent::Reopened if !self.can_reopen(at) => refuse("reopened"),
            _ => Ok(()),
        }
    }

    /// Whether the same thing happening at that moment is this incident again: it was
    /// resolved at most 15 minutes before.
    #[must_use]
    pub fn can_reopen(&self, at: Timestamp) -> bool {
        self.state.is_over()
            && self
                .resolved_at
                .is_some_and(|resolved| at.saturating_since(resolved) <= REOPEN_WITHIN)
    }

    /// Adds an entry that [`admits`](Self::admits) lets through.
    pub(crate) fn push(&mut self, entry: Entry) {
        let at = entry.at;
        match &entry.event {
            IncidentEvent::Acknowledged => {
                self.acknowledged_at.get_or_insert(at);
                self.state = self.state.max(IncidentState::Acknowledged);
            }
            IncidentEvent::Mitigated { .. } => {
                // Whoever acts has taken it.
                self.acknowledged_at.get_or_insert(at);
                self.mitigated_at.get_or_insert(at);
                self.state = self.state.max(IncidentState::Mitigating);
            }
            IncidentEvent::Resolved => {
                self.resolved_at = Some(at);
                self.state = IncidentState::Resolved;
            }
            IncidentEvent::Reopened => {
                self.resolved_at = None;
                self.reviewed_at = None;
                self.state = match (self.mitigated_at, self.acknowledged_at) {
                    (Some(_), _) => IncidentState::Mitigating,
                    (None, Some(_)) => IncidentState::Acknowledged,
                    (None, None) => IncidentState::Detected,
                };
            }
            IncidentEvent::Reviewed { review } => {
                self.reviewed_at = Some(at);
                self.review = Some(review.clone());
                self.state = IncidentState::Reviewed;
            }
            IncidentEvent::SeverityChanged { to, .. } => self.severity = *to,
            _ => {}
        }
        let limit = if entry.event.changes_state() {
            2 * MAX_ENTRIES
        } else {
            MAX_ENTRIES
        };
        if self.entries.len() < limit {
            self.entries.push(entry);
        } else {
            self.dropped_entries = self.dropped_entries.saturating_add(1);
        }
    }

    /// Its name in the log.
    #[must_use]
    pub fn id(&self) -> &IncidentId {
        &self.id
    }

    /// What tells it apart, such as `shop:prod:disk_fail:disk`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What people read first.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> IncidentSeverity {
        self.severity
    }

    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> IncidentState {
        self.state
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many entries came when the timeline was full, and are not in it.
    #[must_use]
    pub fn dropped_entries(&self) -> u64 {
        self.dropped_entries
    }

    /// When it was opened.
    #[must_use]
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// When somebody took it first.
    #[must_use]
    pub fn acknowledged_at(&self) -> Option<Timestamp> {
        self.acknowledged_at
    }

    /// When something was done first.
    #[must_use]
    pub fn mitigated_at(&self) -> Option<Timestamp> {
        self.mitigated_at
    }

    /// When it was over; `None` while it is not, or is not any more.
    #[must_use]
    pub fn resolved_at(&self) -> Option<Timestamp> {
        self.resolved_at
    }

    /// What was learned of it.
    #[must_use]
    pub fn review(&self) -> Option<&Review> {
        self.review.as_ref()
    }

    /// How long it took until somebody took it.
    #[must_use]
    pub fn time_to_acknowledge(&self) -> Option<Duration> {
        Some(self.acknowledged_at?.saturating_since(self.opened_at))
    }

    /// How long it took until something was done.
    #[must_use]
    pub fn time_to_mitigate(&self) -> Option<Duration> {
        Some(self.mitigated_at?.saturating_since(self.opened_at))
    }

    /// How long it took until it was over, with everything in between where it was
    /// reopened. The target is [`RECOVERY_TARGET`].
    #[must_use]
    pub fn time_to_recover(&self) -> Option<Duration> {
        Some(self.resolved_at?.saturating_since(self.opened_at))
    }

    /// Until when it is to be reviewed: 48 hours after it was over. `None` while it is
    /// not, and once it was.
    #[must_use]
    pub fn review_due(&self) -> Option<Timestamp> {
        if self.state != IncidentState::Resolved {
            return None;
        }
        Some(self.resolved_at?.saturating_add(REVIEW_WITHIN))
    }
}
