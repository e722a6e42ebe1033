//! An incident for machines and for people.

use std::fmt::Write as _;
use std::time::Duration;

use ops_core::Timestamp;
use ops_core::monitor::IncidentSeverity;
use serde::Serialize;

use super::{Entry, Incident, IncidentState, QUESTIONS, RECOVERY_TARGET, Review};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    id: &'a str,
    key: &'a str,
    title: &'a str,
    severity: IncidentSeverity,
    state: IncidentState,
    opened_at: Timestamp,
    acknowledged_at: Option<Timestamp>,
    mitigated_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
    review_due: Option<Timestamp>,
    seconds_to_acknowledge: Option<u64>,
    seconds_to_mitigate: Option<u64>,
    seconds_to_recover: Option<u64>,
    recovered_in_time: Option<bool>,
    review: Option<&'a Review>,
    entries: &'a [Entry],
    dropped_entries: u64,
}

impl Incident {
    /// The incident with its timeline and everything derived as JSON, times in RFC 3339.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let seconds = |span: Option<Duration>| span.map(|span| span.as_secs());
        let json = Json {
            id: self.id.as_str(),
            key: &self.key,
            title: &self.title,
            severity: self.severity,
            state: self.state,
            opened_at: self.opened_at,
            acknowledged_at: self.acknowledged_at,
            mitigated_at: self.mitigated_at,
            resolved_at: self.resolved_at,
            review_due: self.review_due(),
            seconds_to_acknowledge: seconds(self.time_to_acknowledge()),
            seconds_to_mitigate: seconds(self.time_to_mitigate()),
            seconds_to_recover: seconds(self.time_to_recover()),
            recovered_in_time: self.time_to_recover().map(|span| span <= RECOVERY_TARGET),
            review: self.review.as_ref(),
            entries: &self.entries,
            dropped_entries: self.dropped_entries,
        };
        serde_json::to_value(json).unwrap_or_default()
    }

    /// The incident as a post-mortem in Markdown: facts, the five
    /// [`QUESTIONS`], and the timeline. Answers that are missing are left
    /// to be written, with what the timeline knows.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        _ = writeln!(text, "# {:?}: {}\n", self.severity, escaped(&self.title));
        _ = writeln!(text, "| | |\n| --- | --- |");
        for (name, value) in self.facts() {
            _ = writeln!(text, "| {name} | {} |", escaped(&value));
        }
        let answers = self.review.as_ref().map(Review::answers);
        let drafts = self.drafts();
        for (at, question) in QUESTIONS.iter().enumerate() {
            let answer = answers
                .and_then(|answers| answers.get(at).copied())
                .filter(|answer| !answer.is_empty());
            let draft = drafts.get(at).map(String::as_str).unwrap_or_default();
            let answer = answer.map_or_else(|| draft.to_owned(), escaped);
            _ = writeln!(text, "\n## {question}\n\n{answer}");
        }
        _ = writeln!(text, "\n## Timeline\n");
        for entry in &self.entries {
            let event = escaped(&entry.event.to_string());
            let actor = escaped(&entry.actor.to_string());
            _ = writeln!(text, "- {} {event} ({actor})", to_the_second(entry.at));
        }
        if self.dropped_entries > 0 {
            _ = writeln!(
                text,
                "- and {} more that were not kept",
                self.dropped_entries
            );
        }
        text
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let time = |at: Option<Timestamp>| at.map_or_else(|| "not yet".to_owned(), to_the_second);
        let mut facts = vec![
            ("Incident", self.id.to_string()),
            ("Key", self.key.clone()),
            ("State", self.state.to_string()),
            ("Opened", to_the_second(self.opened_at)),
            ("Acknowledged", time(self.acknowledged_at)),
            ("Mitigated", time(self.mitigated_at)),
            ("Resolved", time(self.resolved_at)),
        ];
        let spans = [
            ("Time to acknowledge", self.time_to_acknowledge()),
            ("Time to mitigate", self.time_to_mitigate()),
        ];
        for (name, span) in spans {
            facts.extend(span.map(|span| (name, spelled(span))));
        }
        facts.extend(self.time_to_recover().map(|span| {
            let met = if span <= RECOVERY_TARGET {
                "met"
            } else {
                "missed"
            };
            let target = spelled(RECOVERY_TARGET);
            (
                "Time to recover",
                format!("{} (target {target}, {met})", spelled(span)),
            )
        }));
        facts.extend(
            self.review_due()
                .map(|due| ("Review due", to_the_second(due))),
        );
        facts
    }

    /// What the timeline knows of each question.
    fn drafts(&self) -> [String; 5] {
        let open = "_To be written._".to_owned();
        let lasted = self.time_to_recover().map_or_else(
            || "It is not over.".to_owned(),
            |span| format!("It lasted {}.", spelled(span)),
        );
        [
            format!("{}. {open}", escaped(&self.title)),
            format!("Severity {:?}. {lasted} {open}", self.severity),
            open.clone(),
            format!("See the timeline. {open}"),
            open,
        ]
    }
}

/// An instant for people.
fn to_the_second(at: Timestamp) -> String {
    at.strftime_utc("%Y-%m-%dT%H:%M:%SZ")
}

/// A span for people, to the second.
pub(crate) fn spelled(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let words: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if words.is_empty() {
        return "0 s".to_owned();
    }
    words.join(" ")
}

/// Text that Markdown and HTML take for text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
