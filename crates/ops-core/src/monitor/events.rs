//! Errors of applications, and marks of deployments.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::EventId;
use crate::macros::setters;
use crate::redact;
use crate::time::Timestamp;

/// How bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ErrorLevel {
    /// Worth knowing.
    Info,
    /// Something is off, and the work was done.
    Warning,
    /// The work was not done.
    Error,
    /// The process ends.
    Fatal,
}

/// One frame of a stack, innermost last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct StackFrame {
    /// The function.
    pub function: String,
    /// The file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
}

impl StackFrame {
    /// A frame without a place.
    pub fn new(function: impl Into<String>) -> Self {
        Self {
            function: function.into(),
            file: None,
            line: None,
        }
    }
}

setters! { StackFrame {
    opt { with_line(line: u32) }
    opt_into { with_file(file: String) }
} }

/// An error of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ErrorEvent {
    /// When it happened.
    pub at: Timestamp,
    /// How bad it is.
    pub level: ErrorLevel,
    /// The error's type, such as `sqlx::Error`; events are grouped by it.
    pub kind: String,
    /// The error's text.
    pub message: String,
    /// The stack, innermost last; empty where there is none.
    pub stack: Vec<StackFrame>,
    /// The environment, such as `production`.
    pub environment: Option<String>,
    /// The version of the application.
    pub release: Option<String>,
    /// Short texts to search by.
    pub tags: BTreeMap<String, String>,
    /// The request's headers, where there was a request.
    pub headers: BTreeMap<String, String>,
    /// What groups this event with others, where the type and stack should not.
    pub fingerprint: Vec<String>,
}

impl ErrorEvent {
    /// An error without circumstances.
    pub fn new(at: Timestamp, kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            at,
            level: ErrorLevel::Error,
            kind: kind.into(),
            message: message.into(),
            stack: Vec::new(),
            environment: None,
            release: None,
            tags: BTreeMap::new(),
            headers: BTreeMap::new(),
            fingerprint: Vec::new(),
        }
    }

    /// Without the headers and tags that carry credentials or say who the user is, such
    /// as cookies. Every [`ErrorSink`] sends the event in this form.
    ///
    /// The text is sent as it is: an error's text holds no secret in the first place.
    #[must_use]
    pub fn scrubbed(mut self) -> Self {
        self.headers
            .retain(|name, _| !redact::header_is_sensitive(name));
        self.tags.retain(|key, value| {
            !redact::key_looks_secret(key) && !redact::value_looks_secret(value)
        });
        self
    }
}

setters! { ErrorEvent {
    opt_into { with_environment(environment: String), with_release(release: String) }
    val {
        with_level(level: ErrorLevel),
        with_stack(stack: Vec<StackFrame>),
        with_tags(tags: BTreeMap<String, String>),
        with_headers(headers: BTreeMap<String, String>),
        with_fingerprint(fingerprint: Vec<String>),
    }
} }

/// Errors of applications. An ability of [`Monitor`](super::Monitor).
#[async_trait]
pub trait ErrorSink: fmt::Debug + Send + Sync + 'static {
    /// Takes an error to be sent. Never blocks and never fails, so that it can be called
    /// from an error path or a panic hook.
    ///
    /// # Behavior
    /// 1. The event is sent as [`ErrorEvent::scrubbed`] makes it.
    /// 2. The queue is bounded. When it is full the oldest event is dropped and counted.
    fn capture(&self, event: ErrorEvent) -> EventId;

    /// How many events were dropped because the queue was full, since the provider was made.
    fn dropped_events(&self) -> u64;

    /// Sends what was taken so far, for at most `timeout`.
    ///
    /// # Errors
    /// `Timeout` where some events are still waiting, which stay queued; whatever the
    /// vendor refused them with.
    ///
    /// # Cancel safety
    /// Dropping the future leaves what was not sent queued.
    async fn flush(&self, timeout: Duration) -> Result<()>;
}

/// A deployment, to be shown beside the signals around it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DeployMarker {
    /// The version that was deployed.
    pub version: String,
    /// When.
    pub at: Timestamp,
    /// The environment, such as `production`.
    pub environment: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// Where to read more.
    pub url: Option<String>,
    /// Who or what deployed.
    pub actor: Option<String>,
}

impl DeployMarker {
    /// A deployment of a version.
    pub fn new(version: impl Into<String>, at: Timestamp) -> Self {
        Self {
            version: version.into(),
            at,
            environment: None,
            commit: None,
            url: None,
            actor: None,
        }
    }
}

setters! { DeployMarker {
    opt_into { with_environment(environment: String), with_commit(commit: String), with_url(url: String), with_actor(actor: String) }
} }

/// Marks of deployments. An ability of [`Monitor`](super::Monitor), of
/// [`Notifier`](crate::Notifier) and of [`Pipeline`](crate::Pipeline).
#[async_trait]
pub trait DeployMarkers: fmt::Debug + Send + Sync + 'static {
    /// Tells the vendor of a deployment.
    ///
    /// # Errors
    /// `InvalidInput` for a version that the vendor refuses. After a timeout the outcome
    /// is unknown; marking again may show it twice.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the mark made.
    async fn mark_deploy(&self, marker: DeployMarker) -> Result<()>;
}

const _: fn(&dyn ErrorSink) = |_| {};
const _: fn(&dyn DeployMarkers) = |_| {};

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_scrubbed_event_has_no_cookie_and_no_credential() {
        let event = ErrorEvent::new(Timestamp::UNIX_EPOCH, "io::Error", "connection reset")
            .with_headers(map(&[
                ("Cookie", "a"),
                ("Authorization", "b"),
                ("accept", "c"),
            ]))
            .with_tags(map(&[
                ("api_key", "x"),
                ("dsn_hint", "redis://:pw@h"),
                ("route", "/pay"),
            ]));
        let event = event.scrubbed();
        assert_eq!(event.headers, map(&[("accept", "c")]));
        assert_eq!(event.tags, map(&[("route", "/pay")]));
    }
}
