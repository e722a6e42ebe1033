//! Alerts: rules that look at the state of a service, and the ways by which people learn
//! of it.
//!
//! A [`Rule`] compares a [`Signal`] with a threshold; [`standard_rules`] are those that
//! every service wants. What fires goes to [`Sink`]s by severity: alerts of one group
//! within 30 s are one message, an alert stays quiet while one that it depends on fires,
//! nobody is told of anything below P0 while the service starts or is in maintenance, and
//! what nobody acknowledges is reminded of. A [`Watch`](crate::Watch) runs all of it.
//!
//! | severity | meaning | by default goes to |
//! | --- | --- | --- |
//! | P0 | the service is down, data may be lost | every sink |
//! | P1 | a major feature is broken | [`Sink::chat`], [`Sink::email`], [`Sink::pager`] |
//! | P2 | minor, with a way around | [`Sink::chat`], [`Sink::email`] |
//! | P3 | cosmetic | the daily digest of [`Sink::chat`] and [`Sink::email`] |
//!
//! Texts are made of names, numbers and codes; the words of a check never get into them.

use std::time::Instant;

use ops_core::Timestamp;
use ops_core::id::DedupKey;
use ops_core::monitor::IncidentSeverity;
use serde::Serialize;

mod condition;
mod delivery;
mod engine;
mod limiter;
mod log_sink;
mod queue;
mod rule;
mod samples;
mod signal;
mod sink;
mod standard;
mod text;
mod thread;
mod threads;

pub use delivery::SinkReport;
pub use log_sink::LogNotifier;
pub use rule::{Op, Rule};
pub use signal::{Checks, Signal};
pub use sink::{Severities, Sink};
pub use standard::{archive_failing, standard_rules};

pub(crate) use delivery::{Delivered, Dispatcher};
pub(crate) use engine::{Engine, Names, rule_problems};
pub(crate) use samples::{Flaps, View};
pub(crate) use sink::sink_problems;
pub(crate) use thread::{Now, Orphan, ThreadEvent, Timing};
pub(crate) use threads::Threads;

/// Why nobody is told of an alert that fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quiet {
    /// An alert that it depends on, whose key this is, fires, or did until lately.
    Suppressed(String),
    /// The service starts, or is in maintenance.
    Lifecycle,
}

/// An alert that fires.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Alert {
    /// What tells it apart: `service:environment:rule:subject`.
    pub key: String,
    /// The rule.
    pub rule: String,
    /// What it is about: a check, an objective, a sink, or `service`.
    pub subject: String,
    /// How bad it is.
    pub severity: IncidentSeverity,
    /// What people read first.
    pub title: String,
    /// The value that was seen last.
    pub value: f64,
    /// Since when it fires.
    pub since: Timestamp,
    /// Who is at it.
    pub acknowledged_by: Option<String>,
    /// Why nobody was told.
    pub quiet: Option<Quiet>,
    #[serde(skip)]
    pub(crate) dedup: DedupKey,
    #[serde(skip)]
    pub(crate) facts: Facts,
    /// Whether people were told of it, or are about to be.
    #[serde(skip)]
    pub(crate) dispatched: bool,
    /// Until when it stays quiet though what it depends on is over.
    #[serde(skip)]
    pub(crate) quiet_until: Option<Instant>,
}

/// What a message says of an alert beside its title.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) value: Option<String>,
    pub(crate) condition: Option<String>,
    /// Checks with their codes.
    pub(crate) cause: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) runbook: Option<String>,
}
