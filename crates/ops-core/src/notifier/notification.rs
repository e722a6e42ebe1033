//! What people are told.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use crate::id::DedupKey;
use crate::macros::setters;
use crate::monitor::IncidentSeverity;
use crate::redact;
use crate::time::Timestamp;

/// What has happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NotificationEvent {
    /// Its condition holds.
    Firing,
    /// Its condition holds still, and nobody has acknowledged it.
    Reminder,
    /// Somebody is at it.
    Acknowledged,
    /// Its condition holds no more.
    Resolved,
}

impl NotificationEvent {
    /// The event in one word, as it stands in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Reminder => "reminder",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for NotificationEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where to read more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Link {
    /// What it leads to, in a few words.
    pub text: String,
    /// Its address.
    pub url: String,
}

impl Link {
    /// A link.
    pub fn new(text: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            url: url.into(),
        }
    }
}

/// What people are told about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Notification {
    /// What tells the alert apart.
    pub dedup_key: DedupKey,
    /// What has happened to it. Defaults to [`NotificationEvent::Firing`].
    pub event: NotificationEvent,
    /// How bad it is.
    pub severity: IncidentSeverity,
    /// What people read first, one line.
    pub title: String,
    /// When it happened.
    pub at: Timestamp,
    /// What is known, a few lines.
    pub body: Option<String>,
    /// Where it happened, such as `shop:prod`.
    pub source: Option<String>,
    /// The part that it is about, such as `database`.
    pub component: Option<String>,
    /// What groups it with other alerts, such as `storage`.
    pub group: Option<String>,
    /// What to do about it: the address of a runbook.
    pub runbook: Option<String>,
    /// Where to read more.
    pub links: Vec<Link>,
    /// Short facts by name, such as the value and the threshold.
    pub details: BTreeMap<String, String>,
}

impl Notification {
    /// An alert that fires.
    pub fn new(
        dedup_key: DedupKey,
        severity: IncidentSeverity,
        title: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Self {
            dedup_key,
            event: NotificationEvent::Firing,
            severity,
            title: title.into(),
            at,
            body: None,
            source: None,
            component: None,
            group: None,
            runbook: None,
            links: Vec::new(),
            details: BTreeMap::new(),
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// Without the details whose name or value looks secret. Every
    /// [`Notifier`](super::Notifier) sends the notification in this form.
    ///
    /// Title and body are sent as they are: they hold no secret in the first place.
    #[must_use]
    pub fn scrubbed(mut self) -> Self {
        self.details.retain(|name, value| {
            !redact::key_looks_secret(name) && !redact::value_looks_secret(value)
        });
        self
    }

    /// The first line: event, severity, source and title.
    ///
    /// ```
    /// use ops_core::monitor::IncidentSeverity;
    /// use ops_core::{Timestamp, id::DedupKey, notifier::Notification};
    ///
    /// let key = DedupKey::new("shop:prod:disk")?;
    /// let title = "the disk is 91 % full";
    /// let n = Notification::new(key, IncidentSeverity::P1, title, Timestamp::UNIX_EPOCH)
    ///     .with_source("shop:prod");
    /// assert_eq!(n.headline(), "[firing P1] shop:prod: the disk is 91 % full");
    /// # Ok::<(), ops_core::Error>(())
    /// ```
    #[must_use]
    pub fn headline(&self) -> String {
        let mut line = format!("[{} {:?}] ", self.event, self.severity);
        if let Some(source) = &self.source {
            line.push_str(source);
            line.push_str(": ");
        }
        line.push_str(&self.title);
        line.replace(char::is_control, " ")
    }

    /// The whole notification as plain text: the headline, then body, details, runbook
    /// and links.
    ///
    /// Where a notifier has nothing better than text, this is what it sends, so that all
    /// of them read alike.
    #[must_use]
    pub fn plain_text(&self) -> String {
        let mut text = self.headline();
        if let Some(body) = &self.body {
            text.push_str("\n\n");
            text.push_str(body);
        }
        let mut lines = String::new();
        for (name, value) in &self.details {
            _ = write!(lines, "\n{name}: {value}");
        }
        if let Some(runbook) = &self.runbook {
            _ = write!(lines, "\nrunbook: {runbook}");
        }
        for link in &self.links {
            _ = write!(lines, "\n{}: {}", link.text, link.url);
        }
        if !lines.is_empty() {
            text.push('\n');
            text.push_str(&lines);
        }
        text
    }

    /// [`plain_text`](Self::plain_text) with at most so many characters; what was cut
    /// ends in `…`.
    #[must_use]
    pub fn plain_text_within(&self, max_chars: usize) -> String {
        let mut text = self.plain_text();
        if text.chars().count() > max_chars {
            let kept = max_chars.saturating_sub(1);
            let end = text.char_indices().nth(kept).map(|(at, _)| at);
            text.truncate(end.unwrap_or_default());
            if max_chars > 0 {
                text.push('…');
            }
        }
        text
    }
}

setters! { Notification {
    opt_into {
        with_body(body: String),
        with_source(source: String),
        with_component(component: String),
        with_group(group: String),
        with_runbook(runbook: String),
    }
    val {
        with_event(event: NotificationEvent),
        with_links(links: Vec<Link>),
        with_details(details: BTreeMap<String, String>),
    }
} }

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Notification {
        let key = DedupKey::new("shop:prod:disk").unwrap();
        let at = Timestamp::UNIX_EPOCH;
        Notification::new(key, IncidentSeverity::P1, "the disk\nis full", at)
            .with_source("shop:prod")
            .with_body("It fills by 1 GB per hour.")
            .with_detail("value", "91 %")
            .with_runbook("https://wiki.example/disk")
            .with_links(vec![Link::new("graph", "https://graphs.example/disk")])
    }

    #[test]
    fn the_text_has_everything_in_the_order_of_need() {
        let lines = [
            "[firing P1] shop:prod: the disk is full",
            "",
            "It fills by 1 GB per hour.",
            "",
            "value: 91 %",
            "runbook: https://wiki.example/disk",
            "graph: https://graphs.example/disk",
        ];
        assert_eq!(full().plain_text(), lines.join("\n"));
    }

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        let key = DedupKey::new("k").unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let n = Notification::new(key, IncidentSeverity::P0, "日本語", at);
        let whole = n.plain_text();
        let chars = whole.chars().count();
        assert_eq!(n.plain_text_within(chars), whole);
        assert_eq!(n.plain_text_within(chars - 1), "[firing P0] 日…");
        assert_eq!(n.plain_text_within(1), "…");
        assert_eq!(n.plain_text_within(0), "");
    }

    #[test]
    fn a_scrubbed_notification_has_no_credential() {
        let n = full()
            .with_detail("api_key", "x")
            .with_detail("url", "postgres://app:hunter2@db/shop");
        let scrubbed = n.scrubbed();
        assert_eq!(scrubbed, full());
    }
}
