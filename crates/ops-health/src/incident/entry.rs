//! One line of a timeline.

use std::fmt;

use ops_core::Timestamp;
use ops_core::monitor::IncidentSeverity;
use serde::{Deserialize, Serialize};

use super::Review;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
#[non_exhaustive]
pub enum Actor {
    /// An alert rule.
    Rule(String),
    /// A person.
    Person(String),
    /// A deployment, by its version.
    Deploy(String),
    /// The service itself.
    Service,
}

impl Actor {
    /// An alert rule.
    pub fn rule(id: impl Into<String>) -> Self {
        Self::Rule(id.into())
    }

    /// A person.
    pub fn person(name: impl Into<String>) -> Self {
        Self::Person(name.into())
    }

    /// A deployment.
    pub fn deploy(version: impl Into<String>) -> Self {
        Self::Deploy(version.into())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(id) => write!(f, "rule {id}"),
            Self::Person(name) => f.write_str(name),
            Self::Deploy(version) => write!(f, "deploy {version}"),
            Self::Service => f.write_str("service"),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[non_exhaustive]
pub enum IncidentEvent {
    /// It began.
    Opened {
        /// What tells it apart.
        key: String,
        /// What people read first.
        title: String,
        /// How bad it was.
        severity: IncidentSeverity,
    },
    /// It became worse or better.
    SeverityChanged {
        /// How bad it was.
        from: IncidentSeverity,
        /// How bad it is.
        to: IncidentSeverity,
    },
    /// Somebody wrote something down.
    Note {
        /// What was written.
        text: String,
    },
    /// A version was deployed.
    Deployed {
        /// The version.
        version: String,
    },
    /// A version was taken back.
    RolledBack {
        /// The version that serves again.
        to: String,
    },
    /// A check changed.
    CheckChanged {
        /// The check.
        check: String,
        /// How it was.
        from: String,
        /// How it is.
        to: String,
        /// Why, as a code.
        code: String,
    },
    /// People were told.
    MessageDelivered {
        /// By which sink.
        sink: String,
        /// What of: `firing`, `reminder`, `acknowledged`, `resolved`.
        what: String,
    },
    /// Somebody took it.
    Acknowledged,
    /// Something was done against its effects.
    Mitigated {
        /// What.
        text: String,
    },
    /// It is over.
    Resolved,
    /// It was not over.
    Reopened,
    /// What is to be learned of it was written down.
    Reviewed {
        /// The answers.
        review: Review,
    },
}

impl IncidentEvent {
    pub(super) const fn changes_state(&self) -> bool {
        matches!(
            self,
            Self::Opened { .. }
                | Self::SeverityChanged { .. }
                | Self::Acknowledged
                | Self::Mitigated { .. }
                | Self::Resolved
                | Self::Reopened
                | Self::Reviewed { .. }
        )
    }
}

impl fmt::Display for IncidentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened {
                title, severity, ..
            } => write!(f, "opened as {severity:?}: {title}"),
            Self::SeverityChanged { from, to } => {
                write!(f, "severity changed from {from:?} to {to:?}")
            }
            Self::Note { text } => write!(f, "note: {text}"),
            Self::Deployed { version } => write!(f, "deployed {version}"),
            Self::RolledBack { to } => write!(f, "rolled back to {to}"),
            Self::CheckChanged {
                check,
                from,
                to,
                code,
            } => write!(f, "check {check} changed from {from} to {to} ({code})"),
            Self::MessageDelivered { sink, what } => write!(f, "{what} message sent by {sink}"),
            Self::Acknowledged => f.write_str("acknowledged"),
            Self::Mitigated { text } => write!(f, "mitigated: {text}"),
            Self::Resolved => f.write_str("resolved"),
            Self::Reopened => f.write_str("reopened"),
            Self::Reviewed { .. } => f.write_str("reviewed"),
        }
    }
}

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    #[serde(flatten)]
    pub event: IncidentEvent,
}

impl Entry {
    pub(crate) const fn new(at: Timestamp, actor: Actor, event: IncidentEvent) -> Self {
        Self { at, actor, event }
    }
}
