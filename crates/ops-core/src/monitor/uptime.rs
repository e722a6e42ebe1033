//! Checks that the vendor makes from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{MonitorId, Region};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::outcome::{DeleteOutcome, Ensured};
use crate::secret::Secret;
use crate::time::Timestamp;

/// How a check asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
#[non_exhaustive]
pub enum HttpMethod {
    /// `GET`.
    #[default]
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
}

/// A check by HTTP.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpTarget {
    /// The address.
    pub url: String,
    /// How to ask. Defaults to `GET`.
    pub method: HttpMethod,
    /// The statuses that count as up. Defaults to the vendor's, which is 2xx.
    pub expected_status: Vec<u16>,
    /// A text that the answer must hold.
    pub keyword: Option<String>,
    /// Headers to send; their values are secrets.
    pub headers: BTreeMap<String, Secret>,
    /// How many days before its end the certificate counts as a warning. Defaults to none.
    pub certificate_expiry_days: Vec<u16>,
}

impl HttpTarget {
    /// A `GET` of an address that must answer 2xx.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: HttpMethod::Get,
            expected_status: Vec::new(),
            keyword: None,
            headers: BTreeMap::new(),
            certificate_expiry_days: Vec::new(),
        }
    }
}

setters! { HttpTarget {
    opt_into { with_keyword(keyword: String) }
    val {
        with_method(method: HttpMethod),
        with_expected_status(expected_status: Vec<u16>),
        with_headers(headers: BTreeMap<String, Secret>),
        with_certificate_expiry_days(certificate_expiry_days: Vec<u16>),
    }
} }

/// What a check asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MonitorTarget {
    /// An address, by HTTP.
    Http(HttpTarget),
    /// A port that must take connections.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// A host that must answer pings.
    Ping {
        /// The host.
        host: String,
    },
    /// A name that must resolve.
    Dns {
        /// The name.
        name: String,
    },
}

/// When a change of state counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmation {
    /// How long failures must last before it is down. Defaults to the vendor's.
    pub down_after: Option<Duration>,
    /// How long successes must last before it is up again. Defaults to the vendor's.
    pub up_after: Option<Duration>,
}

setters! { Confirmation {
    opt { with_down_after(down_after: Duration), with_up_after(up_after: Duration) }
} }

/// A check that should be there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MonitorSpec {
    /// Our own name for it, unique in the account; the provider finds it again by this.
    pub key: String,
    /// The name that people see. Defaults to the key.
    pub name: String,
    /// What it asks.
    pub target: MonitorTarget,
    /// How often. Defaults to 5 minutes.
    pub interval: Duration,
    /// How long an answer may take. Defaults to 30 seconds.
    pub timeout: Duration,
    /// When a change of state counts.
    pub confirmation: Confirmation,
    /// From where. Defaults to the vendor's choice.
    pub regions: Vec<Region>,
    /// Tags, for the vendor's filters.
    pub tags: Vec<String>,
}

impl MonitorSpec {
    /// A check of a target every 5 minutes.
    pub fn new(key: impl Into<String>, target: MonitorTarget) -> Self {
        let key = key.into();
        Self {
            name: key.clone(),
            key,
            target,
            interval: Duration::from_secs(300),
            timeout: Duration::from_secs(30),
            confirmation: Confirmation::default(),
            regions: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// A `GET` of an address every 5 minutes.
    pub fn http(key: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(key, MonitorTarget::Http(HttpTarget::new(url)))
    }
}

setters! { MonitorSpec {
    into { with_name(name: String) }
    val { with_interval(interval: Duration),
        with_timeout(timeout: Duration),
        with_confirmation(confirmation: Confirmation),
        with_regions(regions: Vec<Region>),
        with_tags(tags: Vec<String>),
    }
} }

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MonitorState {
    /// Nothing yet.
    Pending,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Does not look.
    Paused,
    /// Inside a maintenance window.
    Maintenance,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// What is known of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MonitorInfo {
    /// The vendor's id.
    pub id: MonitorId,
    /// Our own name for it; `None` for one that we did not make.
    pub key: Option<String>,
    /// The name that people see.
    pub name: String,
    /// What it has found.
    pub state: MonitorState,
    /// What it asks, without credentials.
    pub target: Option<String>,
    /// How often.
    pub interval: Option<Duration>,
    /// When it looked last.
    pub last_checked_at: Option<Timestamp>,
    /// Since when it is in its state.
    pub since: Option<Timestamp>,
}

impl MonitorInfo {
    /// What is known of every check.
    pub fn new(id: MonitorId, name: impl Into<String>, state: MonitorState) -> Self {
        Self {
            id,
            key: None,
            name: name.into(),
            state,
            target: None,
            interval: None,
            last_checked_at: None,
            since: None,
        }
    }
}

setters! { MonitorInfo {
    opt { with_interval(interval: Duration), with_last_checked_at(last_checked_at: Timestamp), with_since(since: Timestamp) }
    opt_into { with_key(key: String), with_target(target: String) }
} }

/// Checks that the vendor makes from outside. An ability of [`Monitor`](super::Monitor).
#[async_trait]
pub trait UptimeMonitors: fmt::Debug + Send + Sync + 'static {
    /// Lists the account's checks, page by page as the stream is polled.
    fn list_monitors(&self) -> ItemStream<MonitorInfo>;

    /// What is known of a check.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn monitor(&self, monitor: &MonitorId) -> Result<MonitorInfo>;

    /// Makes the checks that are missing and changes those that differ.
    ///
    /// # Behavior
    /// 1. The account is listed once for all specs, so that a plan of 10 requests a minute
    ///    is enough where nothing differs.
    /// 2. One answer per spec, in their order; one that fails does not stop the others.
    /// 3. Ensuring the same again is `Unchanged` and sends nothing that writes.
    /// 4. A check that is paused stays paused.
    ///
    /// # Errors
    /// `InvalidInput` where two specs have one key; otherwise only where nothing could be
    /// tried at all. Ensuring again is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the checks made or changed.
    async fn ensure_monitors(
        &self,
        specs: Vec<MonitorSpec>,
    ) -> Result<Vec<Result<Ensured<MonitorInfo>>>>;

    /// Deletes a check and its history. One that is not there is fine.
    ///
    /// # Errors
    /// See [`Monitor`](super::Monitor).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the check deleted.
    async fn delete_monitor(&self, monitor: &MonitorId) -> Result<DeleteOutcome>;

    /// Stops to look. A check that is paused already is fine.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the check paused.
    async fn pause_monitor(&self, monitor: &MonitorId) -> Result<()>;

    /// Looks again. A check that is not paused is fine.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the check resumed.
    async fn resume_monitor(&self, monitor: &MonitorId) -> Result<()>;
}

const _: fn(&dyn UptimeMonitors) = |_| {};
