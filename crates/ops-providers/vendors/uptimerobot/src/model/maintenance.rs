//! Maintenance windows: a date and a time of day without a zone, and minutes.

use std::time::Duration;

use ops_core::id::{IdempotencyKey, MaintenanceId, MonitorId};
use ops_core::monitor::{CreateMaintenanceRequest, MaintenanceState, MaintenanceWindow};
use ops_core::{Error, ErrorKind, Result, Timestamp};
use ops_http::decode::or_default;
use serde::{Deserialize, Serialize};

use super::text::{Word, unescape, whole_opt};
use crate::error::invalid;

const DAY: Duration = Duration::from_secs(86_400);

/// The lengths of a name, in characters.
const MIN_NAME: usize = 3;
const MAX_NAME: usize = 255;

/// How far ahead a window that recurs is looked for: a month of each length comes by.
const DAYS_AHEAD: u32 = 62;

/// Shifts between UTC and the account's time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offset(pub(crate) i32);

impl Offset {
    fn local(self, at: Timestamp) -> Timestamp {
        self.shift(at, self.0 > 0)
    }

    fn utc(self, at: Timestamp) -> Timestamp {
        self.shift(at, self.0 < 0)
    }

    fn shift(self, at: Timestamp, forwards: bool) -> Timestamp {
        let span = Duration::from_secs(u64::from(self.0.unsigned_abs()) * 60);
        if forwards {
            at.saturating_add(span)
        } else {
            at.saturating_sub(span)
        }
    }
}

/// `CreateMaintenanceWindowDto`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WindowBody {
    pub(crate) name: String,
    auto_add_monitors: bool,
    interval: &'static str,
    date: String,
    time: String,
    duration: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    monitor_ids: Vec<u64>,
}

/// What stands behind the title in the name of a window that was made with a key.
pub(crate) fn key_mark(key: &IdempotencyKey) -> String {
    format!(" [ops-key {key}]")
}

impl WindowBody {
    /// A window for these monitors, or for all where there are none.
    pub(crate) fn new(
        request: &CreateMaintenanceRequest,
        monitor_ids: Vec<u64>,
        offset: Offset,
        now: Timestamp,
    ) -> Result<Self> {
        let seconds = request.duration.as_secs();
        if seconds == 0 || !seconds.is_multiple_of(60) || request.duration.subsec_nanos() > 0 {
            return Err(invalid("a window lasts for whole minutes"));
        }
        if request.starts_at.saturating_add(request.duration) <= now {
            return Err(invalid("the window is over"));
        }
        let mut name = request.title.clone();
        if let Some(key) = &request.idempotency_key {
            name.push_str(&key_mark(key));
        }
        if !(MIN_NAME..=MAX_NAME).contains(&name.chars().count()) {
            let message = "the title, with the key, has 3 to 255 characters";
            return Err(invalid(message));
        }
        let local = offset.local(request.starts_at);
        Ok(Self {
            name,
            auto_add_monitors: monitor_ids.is_empty(),
            interval: "once",
            date: local.strftime_utc("%Y-%m-%d"),
            time: local.strftime_utc("%H:%M:%S"),
            duration: seconds / 60,
            monitor_ids,
        })
    }
}

/// `MaintenanceWindowDto`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Window {
    id: u64,
    name: String,
    #[serde(default)]
    interval: Word,
    date: Option<String>,
    time: String,
    #[serde(default, deserialize_with = "whole_opt")]
    duration: Option<u64>,
    #[serde(default)]
    auto_add_monitors: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    monitor_ids: Vec<u64>,
    #[serde(default, deserialize_with = "or_default")]
    days: Vec<i64>,
    #[serde(default)]
    status: Word,
}

impl Window {
    /// Whether it was made with a key.
    pub(crate) fn has_key(&self, key: &IdempotencyKey) -> bool {
        unescape(&self.name).ends_with(&key_mark(key))
    }

    /// What it is at an instant; of a window that recurs, its present or next turn.
    pub(crate) fn seen(self, offset: Offset, now: Timestamp) -> Result<MaintenanceWindow> {
        let (starts_at, ends_at) = self.span(offset, now)?;
        let state = match self.status.as_str() {
            "paused" => MaintenanceState::Other("paused".to_owned()),
            _ if now < starts_at => MaintenanceState::Scheduled,
            _ if now < ends_at => MaintenanceState::Active,
            _ => MaintenanceState::Ended,
        };
        let id = MaintenanceId::new(self.id.to_string())?;
        let mut title = unescape(&self.name);
        if let Some(at) = title.rfind(" [ops-key ").filter(|_| title.ends_with(']')) {
            title.truncate(at);
        }
        let mut seen = MaintenanceWindow::new(id, title, state, starts_at, ends_at);
        if self.auto_add_monitors != Some(true) {
            let monitors = self.monitor_ids.iter().map(u64::to_string);
            seen.monitors = monitors.map(MonitorId::new).collect::<Result<_>>()?;
        }
        Ok(seen)
    }

    fn span(&self, offset: Offset, now: Timestamp) -> Result<(Timestamp, Timestamp)> {
        let minutes = self.duration.unwrap_or_default();
        let length = Duration::from_secs(minutes.saturating_mul(60));
        let on = |date: &str| {
            let local: Timestamp = format!("{date}T{}Z", self.time).parse().ok()?;
            let starts_at = offset.utc(local);
            Some((starts_at, starts_at.saturating_add(length)))
        };
        let today = offset.local(now);
        let recurs = !matches!(self.interval.as_str(), "once" | "");
        if recurs {
            // Yesterday's turn may last until today.
            let mut day = today.saturating_sub(DAY);
            for _ in 0..DAYS_AHEAD {
                let turn = on(&day.strftime_utc("%Y-%m-%d"));
                if let Some(turn) = turn.filter(|turn| self.is_due(day) && now < turn.1) {
                    return Ok(turn);
                }
                day = day.saturating_add(DAY);
            }
        }
        // Some dates come with a time of day of their own.
        let date = self.date.as_deref().and_then(|date| date.get(..10));
        let date = date.ok_or_else(|| not_understood("date"))?;
        on(date).ok_or_else(|| not_understood("time"))
    }

    /// Whether a window that recurs is due on a day.
    fn is_due(&self, day: Timestamp) -> bool {
        let number = |pattern: &str, day: Timestamp| day.strftime_utc(pattern).parse::<i64>().ok();
        match self.interval.as_str() {
            "daily" => true,
            // 1 is Monday.
            "weekly" => number("%u", day).is_some_and(|it| self.days.contains(&it)),
            "monthly" => {
                let is_last = number("%d", day.saturating_add(DAY)) == Some(1);
                let is_named = number("%d", day).is_some_and(|it| self.days.contains(&it));
                is_named || (is_last && self.days.contains(&-1))
            }
            _ => false,
        }
    }
}

fn not_understood(field: &str) -> Error {
    let message = format!("the field {field} of a window is not what it should be");
    Error::new(ErrorKind::Decode, message)
}

#[cfg(test)]
mod tests;
