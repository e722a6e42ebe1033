//! What apps print.

use std::fmt;

use async_trait::async_trait;

use crate::id::{AppId, DeploymentId};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::time::Timestamp;

/// Who printed a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum LogSource {
    /// The app, on its standard output.
    Stdout,
    /// The app, on its standard error.
    Stderr,
    /// The build.
    Build,
    /// The vendor's router, about a request.
    Request,
    /// The vendor, about the app: starts, stops, health.
    System,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LogLine {
    /// When, by the vendor's clock.
    pub at: Timestamp,
    /// Who printed it.
    pub source: LogSource,
    /// The level, lowercase, where the vendor tells.
    pub level: Option<String>,
    /// Which instance, where the vendor tells.
    pub instance: Option<String>,
    /// The text without its line end. Apps print secrets: do not pass it on unread.
    pub message: String,
}

impl LogLine {
    /// A line.
    pub fn new(at: Timestamp, source: LogSource, message: impl Into<String>) -> Self {
        Self {
            at,
            source,
            level: None,
            instance: None,
            message: message.into(),
        }
    }
}

setters! { LogLine {
    opt_into { with_level(level: String), with_instance(instance: String) }
} }

/// Which lines to read. Defaults to all that the vendor keeps, without waiting for more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogQuery {
    /// Only lines at or after this instant.
    pub since: Option<Timestamp>,
    /// Only lines before this instant.
    pub until: Option<Timestamp>,
    /// Only the last so many of the lines that are there already.
    pub tail: Option<usize>,
    /// Only lines of this deployment.
    pub deployment: Option<DeploymentId>,
    /// Only lines from here.
    pub source: Option<LogSource>,
    /// Whether to wait for further lines after those that are there already.
    pub follow: bool,
}

impl LogQuery {
    /// Waits for further lines after those that are there already.
    #[must_use]
    pub fn following(mut self) -> Self {
        self.follow = true;
        self
    }
}

setters! { LogQuery {
    opt {
        with_since(since: Timestamp),
        with_until(until: Timestamp),
        with_tail(tail: usize),
        with_deployment(deployment: DeploymentId),
        with_source(source: LogSource),
    }
} }

/// What apps print. An ability of [`Hosting`](super::Hosting).
#[async_trait]
pub trait Logs: fmt::Debug + Send + Sync + 'static {
    /// Reads lines, oldest first, page by page as the stream is polled.
    ///
    /// # Behavior
    /// 1. Without `follow` the stream ends after the lines that were there when it was
    ///    first polled.
    /// 2. With `follow` it ends at `until`, when the app is deleted, or when the vendor
    ///    closes it, which is an `Unavailable` item; dropping it ends the request.
    /// 3. A filter that the vendor does not have is applied by the provider.
    ///
    /// The first item is `NotFound` where there is no such app.
    fn logs(&self, app: &AppId, query: LogQuery) -> ItemStream<LogLine>;
}

const _: fn(&dyn Logs) = |_| {};
