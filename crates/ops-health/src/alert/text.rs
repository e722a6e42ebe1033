//! What people read.

use ops_core::Timestamp;
use ops_core::id::DedupKey;
use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::{Notification, NotificationEvent};

use super::Alert;
use super::engine::Names;

/// How many alerts one message names.
const MAX_NAMED: usize = 20;

/// What one message says.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) key: &'a DedupKey,
    pub(super) event: NotificationEvent,
    pub(super) severity: IncidentSeverity,
    /// The first is the one that the message is named after.
    pub(super) alerts: &'a [Alert],
    /// Alerts that stay quiet because of these.
    pub(super) explained: &'a [String],
    pub(super) acknowledged_by: Option<&'a str>,
    pub(super) at: Timestamp,
}

pub(super) fn notification(names: &Names, message: &Message<'_>) -> Option<Notification> {
    let (first, others) = message.alerts.split_first()?;
    let title = match others.len() {
        0 => first.title.clone(),
        more => format!("{} (and {more} more)", first.title),
    };
    let mut note = Notification::new(message.key.clone(), message.severity, title, message.at)
        .with_event(message.event)
        .with_source(names.source())
        .with_component(first.subject.clone())
        .with_detail("since", to_the_second(first.since));
    if let Some(cause) = &first.facts.cause {
        note = note.with_detail("cause", cause);
    }
    if let Some(value) = &first.facts.value {
        note = note.with_detail("value", value);
    }
    if let Some(condition) = &first.facts.condition {
        note = note.with_detail("condition", condition);
    }
    if let Some(group) = &first.facts.group {
        note = note.with_group(group.clone());
    }
    let runbook = message
        .alerts
        .iter()
        .find_map(|alert| alert.facts.runbook.clone());
    if let Some(runbook) = runbook {
        note = note.with_runbook(runbook);
    }
    if let Some(who) = message.acknowledged_by {
        note = note.with_detail("acknowledged by", who);
    }
    if !message.explained.is_empty() {
        note = note.with_detail("also affected", listed(message.explained));
    }
    if !others.is_empty() {
        let lines: Vec<String> = message.alerts.iter().take(MAX_NAMED).map(line).collect();
        note = note.with_body(lines.join("\n"));
    }
    Some(note)
}

fn line(alert: &Alert) -> String {
    let mut line = format!("{:?} {}", alert.severity, alert.title);
    if let Some(value) = &alert.facts.value {
        line.push_str(": ");
        line.push_str(value);
    }
    line
}

fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = names.len().saturating_sub(MAX_NAMED);
    let mut text = shown.join(", ");
    if more > 0 {
        text.push_str(", and more");
    }
    text
}

/// The digest of a day.
pub(super) fn digest(
    names: &Names,
    lines: &[String],
    dropped: u64,
    at: Timestamp,
) -> Option<Notification> {
    let day = at.strftime_utc("%Y-%m-%d");
    let key = DedupKey::new(format!("{}:digest:{day}", names.source())).ok()?;
    let title = format!("daily digest: {} minor alerts", lines.len());
    let mut note = Notification::new(key, IncidentSeverity::P3, title, at)
        .with_source(names.source())
        .with_body(lines.join("\n"));
    if dropped > 0 {
        note = note.with_detail("not listed", dropped.to_string());
    }
    Some(note)
}

pub(super) fn digest_line(alert: &Alert, at: Timestamp) -> String {
    format!("{} {}", to_the_second(at), line(alert))
}

/// An instant for people.
fn to_the_second(at: Timestamp) -> String {
    at.strftime_utc("%Y-%m-%dT%H:%M:%SZ")
}
