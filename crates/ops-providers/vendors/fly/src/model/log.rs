//! Lines of logs.

use ops_core::Timestamp;
use ops_core::hosting::{LogLine, LogSource};
use ops_http::decode::{or_default, timestamp};
use serde::Deserialize;
use serde_json::Value;

/// One page of a log: a document of JSON:API.
#[derive(Debug, Deserialize)]
pub(crate) struct LogPage {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) data: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) meta: PageMeta,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct PageMeta {
    /// Nanoseconds, as a text or as a number.
    #[serde(default)]
    next_token: Value,
}

impl LogPage {
    pub(crate) fn next_token(&self) -> Option<String> {
        match &self.meta.next_token {
            Value::String(token) if !token.is_empty() => Some(token.clone()),
            Value::Number(token) => Some(token.to_string()),
            _ => None,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    attributes: Attributes,
}

#[derive(Debug, Deserialize)]
struct Attributes {
    #[serde(deserialize_with = "timestamp")]
    timestamp: Timestamp,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    level: Option<String>,
    instance: Option<String>,
    #[serde(default)]
    meta: Value,
}

/// Who printed lines of this source, in Fly's words; `None` where Fly has no such source.
pub(crate) fn provider_of(source: &LogSource) -> Option<&str> {
    match source {
        LogSource::Stdout => Some("app"),
        LogSource::Request => Some("proxy"),
        LogSource::System => Some("runner"),
        LogSource::Other(provider) => Some(provider),
        _ => None,
    }
}

impl From<Entry> for LogLine {
    fn from(entry: Entry) -> Self {
        let Attributes {
            timestamp,
            message,
            level,
            instance,
            meta,
        } = entry.attributes;
        let provider = meta.pointer("/event/provider").and_then(Value::as_str);
        let source = match provider {
            // Fly does not tell the standard output from the standard error.
            Some("app") | None => LogSource::Stdout,
            Some("proxy") => LogSource::Request,
            Some("runner") => LogSource::System,
            Some(other) => LogSource::Other(other.to_owned()),
        };
        let message = message.trim_end_matches(['\r', '\n']).to_owned();
        let mut line = Self::new(timestamp, source, message);
        line.level = level
            .filter(|it| !it.is_empty())
            .map(|it| it.to_lowercase());
        line.instance = instance.filter(|it| !it.is_empty());
        line
    }
}
