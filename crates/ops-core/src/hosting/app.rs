//! What an app is and how it should run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{AppId, DeploymentId, Region};
use crate::macros::setters;
use crate::time::Timestamp;

/// What an app is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AppState {
    /// Made, and nothing was deployed yet.
    Empty,
    /// Coming up.
    Starting,
    /// Answers.
    Running,
    /// Asleep without instances; wakes on a request.
    Suspended,
    /// Stopped by somebody.
    Stopped,
    /// Being removed.
    Deleting,
    /// Cannot run, by the vendor's own word.
    Failed,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// What is known of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct App {
    /// The vendor's id.
    pub id: AppId,
    /// The name that people gave it.
    pub name: String,
    /// What it is doing.
    pub state: AppState,
    /// Where it answers, such as `https://shop.example`.
    pub url: Option<String>,
    /// Where it runs; empty where the vendor does not tell.
    pub regions: Vec<Region>,
    /// The deployment that is live.
    pub current_deployment: Option<DeploymentId>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

impl App {
    /// What is known of every app.
    #[must_use]
    pub fn new(id: AppId, name: impl Into<String>, state: AppState) -> Self {
        Self {
            id,
            name: name.into(),
            state,
            url: None,
            regions: Vec::new(),
            current_deployment: None,
            created_at: None,
        }
    }
}

setters! { App {
    opt { with_current_deployment(current_deployment: DeploymentId), with_created_at(created_at: Timestamp) }
    opt_into { with_url(url: String) }
    val { with_regions(regions: Vec<Region>) }
} }

/// How large one instance is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MachineSize {
    /// A size by the vendor's own name, such as `shared-cpu-2x`.
    Named(String),
    /// So much of each.
    Resources {
        /// Processor time in thousandths of one processor.
        cpu_millis: u32,
        /// Memory in bytes.
        memory_bytes: u64,
    },
}

impl MachineSize {
    /// A size by the vendor's own name.
    pub fn named(name: impl Into<String>) -> Self {
        Self::Named(name.into())
    }
}

/// How many instances run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Replicas {
    /// So many in all; the vendor spreads them over the app's regions.
    Total(u32),
    /// So many in each of these regions, and none elsewhere.
    PerRegion(BTreeMap<Region, u32>),
    /// As many as the load asks for, between two bounds.
    Auto {
        /// At least so many; 0 lets the app sleep.
        min: u32,
        /// At most so many.
        max: u32,
    },
}

/// What a supervisor does when an instance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RestartPolicy {
    /// Leaves it.
    Never,
    /// Starts it again where it failed, at most so many times.
    OnFailure {
        /// How often; `None` leaves the bound to the vendor.
        max_retries: Option<u32>,
    },
    /// Starts it again whatever happened.
    Always,
}

/// How the vendor finds out by HTTP that an instance works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HealthCheck {
    /// The path that must answer 2xx, such as `/health/ready`.
    pub path: String,
    /// How often. Defaults to 10 seconds.
    pub interval: Duration,
    /// How long an answer may take. Defaults to 2 seconds.
    pub timeout: Duration,
    /// How long an instance may take to start before it counts. Defaults to 5 seconds.
    pub grace: Duration,
}

impl HealthCheck {
    /// A check of a path with the default times.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            grace: Duration::from_secs(5),
        }
    }
}

setters! { HealthCheck {
    val { with_interval(interval: Duration), with_timeout(timeout: Duration), with_grace(grace: Duration) }
} }

/// How an app should run. What is `None` or empty is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
#[non_exhaustive]
pub struct AppSettings {
    /// Where it runs.
    pub regions: Vec<Region>,
    /// How large one instance is.
    pub size: Option<MachineSize>,
    /// How many instances run.
    pub replicas: Option<Replicas>,
    /// The port on which the app listens for HTTP.
    pub port: Option<u16>,
    /// Whether plain HTTP is redirected to HTTPS.
    pub force_https: Option<bool>,
    /// How the vendor finds out that an instance works.
    pub health_check: Option<HealthCheck>,
    /// What happens when an instance ends.
    pub restart: Option<RestartPolicy>,
}

setters! { AppSettings {
    opt {
        with_size(size: MachineSize),
        with_replicas(replicas: Replicas),
        with_port(port: u16),
        with_force_https(force_https: bool),
        with_health_check(health_check: HealthCheck),
        with_restart(restart: RestartPolicy),
    }
    val { with_regions(regions: Vec<Region>) }
} }

/// What a hosting vendor can carry. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostingLimits {
    /// The most instances of one app.
    pub max_replicas: Option<u32>,
    /// The largest archive or directory that can be deployed, in bytes.
    pub max_source_bytes: Option<u64>,
    /// The largest value of one variable or secret, in bytes.
    pub max_env_value_bytes: Option<u64>,
    /// How long logs are kept.
    pub log_retention: Option<Duration>,
}

setters! { HostingLimits {
    opt {
        with_max_replicas(max_replicas: u32),
        with_max_source_bytes(max_source_bytes: u64),
        with_max_env_value_bytes(max_env_value_bytes: u64),
        with_log_retention(log_retention: Duration),
    }
} }
