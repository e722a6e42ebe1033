//! UptimeRobot's answers, named as UptimeRobot names them, and what they mean here.
//!
//! Essential is what names a thing. The description leaves the words of states and types
//! open: they are kept as they come.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::id::{HeartbeatId, MonitorId};
use ops_core::monitor::{Heartbeat, HeartbeatState, MonitorDescription, MonitorInfo, MonitorState};
use ops_core::{Result, Secret, Timestamp};
use ops_http::decode::or_default;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub(crate) mod body;
pub(crate) mod maintenance;
pub(crate) mod page;
pub(crate) mod stats;
pub(crate) mod text;

use text::{Word, key_of_tag, shown, time_opt, unescape, whole_opt};

/// `UserDto`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    email: String,
    active_subscription: Option<Subscription>,
}

#[derive(Debug, Deserialize)]
struct Subscription {
    plan: Option<String>,
}

impl From<Account> for MonitorDescription {
    fn from(account: Account) -> Self {
        let mut seen = Self::new(account.email);
        seen.plan = account.active_subscription.and_then(|it| it.plan);
        seen
    }
}

/// `MonitorDto`: a check of any type, or a heartbeat.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Monitor {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) r#type: Word,
    friendly_name: String,
    #[serde(default)]
    status: Word,
    /// What is looked at; of a heartbeat the address of its beats.
    url: Option<Secret>,
    #[serde(default, deserialize_with = "whole_opt")]
    interval: Option<u64>,
    #[serde(default, deserialize_with = "whole_opt")]
    timeout: Option<u64>,
    #[serde(default, deserialize_with = "whole_opt")]
    grace_period: Option<u64>,
    #[serde(default, deserialize_with = "whole_opt")]
    port: Option<u64>,
    #[serde(default)]
    http_method_type: Word,
    #[serde(default, deserialize_with = "or_default")]
    success_http_response_codes: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    custom_http_headers: BTreeMap<String, HeaderText>,
    keyword_value: Option<String>,
    #[serde(default)]
    keyword_type: Word,
    #[serde(default)]
    keyword_case_type: Word,
    ssl_expiration_reminder: Option<bool>,
    config: Option<Config>,
    #[serde(default)]
    regional_data: Regions,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<Tag>,
    #[serde(default, deserialize_with = "time_opt")]
    create_date_time: Option<Timestamp>,
    last_incident: Option<Incident>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default, deserialize_with = "or_default")]
    ssl_expiration_period_days: Vec<u16>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incident {
    #[serde(default, deserialize_with = "time_opt")]
    started_at: Option<Timestamp>,
}

/// The value of a header of a check, which may come as a number.
struct HeaderText(Secret);

impl std::fmt::Debug for HeaderText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for HeaderText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Word::deserialize(deserializer)?;
        Ok(Self(Secret::new(word.as_str())))
    }
}

/// Whence a check looks. UptimeRobot answers one region as a text, or an object.
#[derive(Debug, Default)]
struct Regions {
    names: Vec<String>,
}

impl<'de> Deserialize<'de> for Regions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let told = Value::deserialize(deserializer)?;
        let names = match &told {
            Value::String(one) => vec![one.clone()],
            told => {
                let names = told.get("REGION").and_then(Value::as_array);
                let names = names.into_iter().flatten().filter_map(Value::as_str);
                names.map(str::to_owned).collect()
            }
        };
        Ok(Self { names })
    }
}

impl Monitor {
    pub(crate) fn is_heartbeat(&self) -> bool {
        self.r#type.as_str() == "HEARTBEAT"
    }

    /// Our own name for it; `None` for one that we did not make.
    pub(crate) fn key(&self) -> Option<String> {
        self.tags.iter().find_map(|tag| key_of_tag(&tag.name))
    }

    /// Whether it has looked before an instant.
    pub(crate) fn was_watching_before(&self, end: Timestamp) -> bool {
        let is_new = self.create_date_time.is_some_and(|made| made >= end);
        self.status.as_str() != "STARTED" && !is_new
    }

    fn state(&self) -> MonitorState {
        match self.status.as_str() {
            // Looks, and has not looked yet.
            "STARTED" => MonitorState::Pending,
            "UP" => MonitorState::Up,
            "DOWN" => MonitorState::Down,
            "PAUSED" => MonitorState::Paused,
            other => MonitorState::Other(unknown(other)),
        }
    }

    fn target(&self) -> Option<String> {
        let told = self.url.as_ref()?.expose();
        let target = shown(&unescape(told));
        Some(match self.port {
            Some(port) if self.r#type.as_str() == "PORT" => format!("{target}:{port}"),
            _ => target,
        })
    }

    pub(crate) fn into_info(self) -> Result<MonitorInfo> {
        let id = MonitorId::new(self.id.to_string())?;
        let state = self.state();
        let mut info = MonitorInfo::new(id, unescape(&self.friendly_name), state);
        info.key = self.key();
        info.target = self.target();
        info.interval = self.interval.map(Duration::from_secs);
        if info.state == MonitorState::Down {
            info.since = self.last_incident.and_then(|it| it.started_at);
        }
        Ok(info)
    }

    /// A heartbeat whose beats go to a key below an address.
    pub(crate) fn into_heartbeat(self, heartbeat_url: &str) -> Result<Heartbeat> {
        let id = HeartbeatId::new(self.id.to_string())?;
        let state = match self.status.as_str() {
            "STARTED" => HeartbeatState::Pending,
            "UP" => HeartbeatState::Up,
            "DOWN" => HeartbeatState::Down,
            "PAUSED" => HeartbeatState::Paused,
            other => HeartbeatState::Other(unknown(other)),
        };
        let mut seen = Heartbeat::new(id, unescape(&self.friendly_name), state);
        seen.key = self.key();
        let url = self.url.filter(|url| !url.is_empty());
        seen.url = url.map(|url| {
            if url.expose().contains("://") {
                url
            } else {
                Secret::new(format!("{heartbeat_url}/{}", url.expose()))
            }
        });
        Ok(seen)
    }
}

/// A state in UptimeRobot's own word.
fn unknown(word: &str) -> String {
    let word = if word.is_empty() { "unknown" } else { word };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn monitor(told: &Value) -> Monitor {
        let mut monitor = json!({ "id": 5, "friendlyName": "shop" });
        let fields = monitor.as_object_mut().unwrap();
        fields.extend(told.as_object().unwrap().clone());
        from_value(monitor).unwrap()
    }

    #[test]
    fn a_status_is_a_state_or_kept_as_it_is() {
        let state = |word: &str| {
            monitor(&json!({ "status": word }))
                .into_info()
                .unwrap()
                .state
        };
        assert_eq!(state("STARTED"), MonitorState::Pending);
        assert_eq!(state("UP"), MonitorState::Up);
        assert_eq!(state("DOWN"), MonitorState::Down);
        assert_eq!(state("PAUSED"), MonitorState::Paused);
        let looks = MonitorState::Other("LOOKS_DOWN".to_owned());
        assert_eq!(state("LOOKS_DOWN"), looks);
        let nothing = monitor(&json!({ "status": {} })).into_info().unwrap();
        assert_eq!(nothing.state, MonitorState::Other("unknown".to_owned()));
    }

    #[test]
    fn a_target_is_told_as_people_write_it() {
        let target = |told: Value| monitor(&told).into_info().unwrap().target.unwrap();
        let port = json!({ "type": "PORT", "url": "db.example", "port": 5432 });
        assert_eq!(target(port), "db.example:5432");
        let http = json!({ "type": "HTTP", "url": "https://a.example/x?a=1&amp;b=2" });
        assert_eq!(target(http), "https://a.example/x");
    }

    #[test]
    fn since_when_it_is_down_is_told_while_it_is() {
        let incident = json!({ "startedAt": "2026-11-21T04:05:06.000Z" });
        let since = |status: &str| {
            let told = json!({ "status": status, "lastIncident": incident });
            monitor(&told).into_info().unwrap().since
        };
        assert_eq!(since("DOWN").unwrap().to_string(), "2026-11-21T04:05:06Z");
        assert_eq!(since("UP"), None);
    }

    #[test]
    fn a_heartbeat_has_an_address_whether_the_whole_or_its_end_is_told() {
        for told in ["m5-secret", "https://beats.example/m5-secret"] {
            let told = monitor(&json!({ "type": "HEARTBEAT", "url": told }));
            assert!(!format!("{told:?}").contains("secret\""), "{told:?}");
            let url = told.into_heartbeat("https://beats.example").unwrap().url;
            assert_eq!(url.unwrap().expose(), "https://beats.example/m5-secret");
        }
        let none = monitor(&json!({ "type": "HEARTBEAT", "url": "" }));
        assert!(
            none.into_heartbeat("https://b.example")
                .unwrap()
                .url
                .is_none()
        );
    }

    #[test]
    fn regions_come_in_two_forms() {
        for told in [
            json!("eu"),
            json!({ "REGION": ["eu"], "MANUAL_SELECTED": true }),
        ] {
            assert_eq!(from_value::<Regions>(told).unwrap().names, ["eu"]);
        }
        assert!(from_value::<Regions>(json!(7)).unwrap().names.is_empty());
    }
}
