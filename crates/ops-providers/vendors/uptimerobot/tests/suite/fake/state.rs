//! What the fake remembers.

use std::time::Duration;

use ops_conformance::contract::{Answer, Request};
use ops_core::{Clock, Timestamp};
use ops_testkit::ManualClock;
use serde_json::{Map, Value, json};

use super::BEAT_SECRET;

pub(crate) struct State {
    pub(crate) clock: ManualClock,
    pub(crate) base_url: String,
    pub(crate) monitors: Vec<Monitor>,
    pub(crate) windows: Vec<Value>,
    pub(crate) pages: Vec<StatusPage>,
    /// What went against the description.
    pub(crate) violations: Vec<String>,
    /// Requests that the description accepts.
    pub(crate) sent: Vec<Request>,
    /// An answer to be given to the next request of an operation.
    pub(crate) planned: Option<(String, Answer)>,
    /// Beats that were heard.
    pub(crate) beats: usize,
    next: u64,
}

/// A monitor of any type.
pub(crate) struct Monitor {
    pub(crate) id: u64,
    /// What it was made with and changed to, as it was sent.
    pub(crate) fields: Map<String, Value>,
    pub(crate) is_paused: bool,
    pub(crate) made_at: Timestamp,
    /// What it has found, since when.
    pub(crate) log: Vec<(Timestamp, &'static str)>,
    pub(crate) last_beat: Option<Timestamp>,
}

pub(crate) struct StatusPage {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) announcements: Vec<Value>,
}

impl State {
    pub(crate) fn new(clock: ManualClock) -> Self {
        Self {
            clock,
            base_url: String::new(),
            monitors: Vec::new(),
            windows: Vec::new(),
            pages: Vec::new(),
            violations: Vec::new(),
            sent: Vec::new(),
            planned: None,
            beats: 0,
            next: 800_000_000,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn monitor(&mut self, id: &str) -> Option<&mut Monitor> {
        let id: u64 = id.parse().ok()?;
        self.monitors.iter_mut().find(|it| it.id == id)
    }

    /// A status page without a text on it.
    pub(crate) fn seed_page(&mut self, name: &str) -> u64 {
        let id = self.next_id();
        self.pages.push(StatusPage {
            id,
            name: name.to_owned(),
            announcements: Vec::new(),
        });
        id
    }

    /// A monitor that somebody made by hand.
    pub(crate) fn seed_monitor(&mut self, fields: Value) -> u64 {
        let Value::Object(fields) = fields else {
            return 0;
        };
        self.make_monitor(fields)
    }

    pub(crate) fn make_monitor(&mut self, fields: Map<String, Value>) -> u64 {
        let id = self.next_id();
        let made_at = self.now();
        self.monitors.push(Monitor {
            id,
            fields,
            is_paused: false,
            made_at,
            log: Vec::new(),
            last_beat: None,
        });
        id
    }

    /// Hears a beat; `false` for an address of nobody.
    pub(crate) fn beat(&mut self, key: &str) -> bool {
        let now = self.now();
        let heard = self
            .monitors
            .iter_mut()
            .find(|it| it.is_heartbeat() && it.beat_key() == key);
        let Some(heartbeat) = heard else {
            return false;
        };
        heartbeat.last_beat = Some(now);
        self.beats += 1;
        true
    }
}

impl Monitor {
    pub(crate) fn is_heartbeat(&self) -> bool {
        self.text("type") == "HEARTBEAT"
    }

    pub(crate) fn beat_key(&self) -> String {
        format!("m{}-{BEAT_SECRET}", self.id)
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        let value = self.fields.get(field).and_then(Value::as_str);
        value.unwrap_or_default()
    }

    pub(crate) fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field).and_then(Value::as_u64)
    }

    pub(crate) fn tags(&self) -> Vec<&str> {
        let tags = self.fields.get("tagNames").and_then(Value::as_array);
        let tags = tags.into_iter().flatten().filter_map(Value::as_str);
        tags.collect()
    }

    /// Takes over what a change says, and merges its `config`.
    pub(crate) fn change(&mut self, change: &Map<String, Value>) {
        for (field, value) in change {
            match (field.as_str(), self.fields.get_mut(field), value) {
                ("config", Some(Value::Object(there)), Value::Object(more)) => {
                    there.extend(more.clone());
                }
                ("keywordCaseType", _, _) => {
                    let case = json!("CaseSensitive");
                    self.fields.insert(field.clone(), case);
                }
                _ => drop(self.fields.insert(field.clone(), value.clone())),
            }
        }
    }

    pub(crate) fn status(&self, now: Timestamp) -> &'static str {
        if self.is_paused {
            return "PAUSED";
        }
        if !self.is_heartbeat() {
            return self.log.last().map_or("STARTED", |(_, found)| found);
        }
        let allowed =
            self.number("interval").unwrap_or(0) + self.number("gracePeriod").unwrap_or(0);
        match self.last_beat {
            None => "STARTED",
            Some(at) if now > at.saturating_add(Duration::from_secs(allowed)) => "DOWN",
            Some(_) => "UP",
        }
    }

    /// How long it found something in a span of time.
    pub(crate) fn time_in(&self, found: &str, from: Timestamp, to: Timestamp) -> Duration {
        let ends = self.log.iter().skip(1).map(|(at, _)| *at).chain([to]);
        let spans = self.log.iter().zip(ends);
        let meant = spans.filter(|((_, what), _)| *what == found);
        meant
            .map(|((start, _), end)| end.min(to).saturating_since((*start).max(from)))
            .sum()
    }
}
