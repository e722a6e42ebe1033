//! The places that services run at.

use std::time::Duration;

use crate::health::Health;
use crate::status::{Criticality, Scope};

/// What is known of the place that a service runs at.
///
/// The kill timeouts are the documented defaults of each host; where yours is set
/// otherwise, say so with [`Host::with_kill_timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// Its name.
    pub name: &'static str,
    /// How long after the request to stop the process is killed.
    pub kill_timeout: Duration,
    /// Whether a service usually is one instance there. Then a failing shared
    /// dependency makes it not ready: there is no other replica to keep.
    pub single_instance: bool,
    /// Whether one path serves as readiness and as liveness there: an instance that is not
    /// ready is restarted.
    pub restarts_the_unready: bool,
}

impl Host {
    /// Kubernetes: `terminationGracePeriodSeconds`, 30 s.
    pub const KUBERNETES: Self = Self::new("kubernetes", Duration::from_secs(30), false, false);
    /// Docker and Compose: `stop_grace_period`, 10 s.
    pub const DOCKER: Self = Self::new("docker", Duration::from_secs(10), false, false);
    /// Fly: `kill_timeout`, 5 s.
    pub const FLY: Self = Self::new("fly", Duration::from_secs(5), true, false);
    /// Koyeb: not documented; 30 s are assumed.
    pub const KOYEB: Self = Self::new("koyeb", Duration::from_secs(30), true, true);
    /// Railway: no time at all, unless the service sets `drainingSeconds`. Set it, and say
    /// so with [`Host::with_kill_timeout`]. Railway probes during a deploy only.
    pub const RAILWAY: Self = Self::new("railway", Duration::ZERO, true, false);
    /// Render: `maxShutdownDelaySeconds`, 30 s.
    pub const RENDER: Self = Self::new("render", Duration::from_secs(30), false, true);
    /// An own server under systemd: `TimeoutStopSec`, 90 s.
    pub const SYSTEMD: Self = Self::new("systemd", Duration::from_secs(90), true, false);
    /// An own server under PM2: `kill_timeout`, 1.6 s.
    pub const PM2: Self = Self::new("pm2", Duration::from_millis(1600), true, false);

    /// All that are known.
    pub const ALL: [Self; 8] = [
        Self::KUBERNETES,
        Self::DOCKER,
        Self::FLY,
        Self::KOYEB,
        Self::RAILWAY,
        Self::RENDER,
        Self::SYSTEMD,
        Self::PM2,
    ];

    const fn new(
        name: &'static str,
        kill_timeout: Duration,
        single_instance: bool,
        restarts_the_unready: bool,
    ) -> Self {
        Self {
            name,
            kill_timeout,
            single_instance,
            restarts_the_unready,
        }
    }

    /// Sets how long after the request to stop the process is killed.
    #[must_use]
    pub const fn with_kill_timeout(mut self, kill_timeout: Duration) -> Self {
        self.kill_timeout = kill_timeout;
        self
    }

    /// Sets whether the service is one instance.
    #[must_use]
    pub const fn with_single_instance(mut self, single_instance: bool) -> Self {
        self.single_instance = single_instance;
        self
    }
}

/// How the host should probe. See [`Health::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The path.
    pub path: &'static str,
    /// The time from one probe to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many failures in a row count. One: results are damped here, and a host that
    /// damps again only learns later.
    pub failure_threshold: u32,
}

impl Health {
    /// How that host should probe this service, as far as it lets itself be told.
    ///
    /// Where the host restarts what is not ready, it may ask for readiness only if every
    /// critical check looks at this instance alone. A restart repairs no shared database.
    ///
    /// ```
    /// use ops_health::{Health, Host};
    ///
    /// let health = Health::builder().build()?;
    /// assert_eq!(health.probe(&Host::RENDER).path, "/health/ready");
    /// # Ok::<(), ops_core::Error>(())
    /// ```
    #[must_use]
    pub fn probe(&self, host: &Host) -> Probe {
        let is_shared = self.0.registry.iter().any(|entry| {
            entry.policy.groups().ready
                && entry.policy.criticality() == Criticality::Critical
                && entry.policy.scope() == Scope::SharedDependency
        });
        Probe {
            path: if host.restarts_the_unready && is_shared {
                "/health/live"
            } else {
                "/health/ready"
            },
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            failure_threshold: 1,
        }
    }
}
