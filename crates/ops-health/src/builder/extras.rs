//! Settings that only some services need.

use std::future::Future;

use super::HealthBuilder;
use crate::access::Network;
use crate::checks::Runtime;
use crate::health::Flush;
use crate::maintenance::MaintenanceWindow;
use crate::watchdog::Watchdog;

impl HealthBuilder {
    /// Lets callers from this network see details. May be called again. What counts is the
    /// address of the socket: see [`Peer`](crate::Peer). Behind a proxy that is the proxy's,
    /// for every caller, unless [`HealthBuilder::trust_proxy`] names it.
    pub fn allow_network(mut self, network: Network) -> Self {
        self.access.peers.allowed.push(network);
        self
    }

    /// Takes the word of proxies in this network on where a request came from
    /// (`X-Forwarded-For`). May be called again. Defaults to nobody's.
    pub fn trust_proxy(mut self, network: Network) -> Self {
        self.access.peers.proxies.push(network);
        self
    }

    /// Answers `/metrics`, always with 200, with what `render` returns: the text of an
    /// exporter for Prometheus. Where the feature `metrics` is on, all gauges are brought up
    /// to date before.
    pub fn metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Box::new(render));
        self
    }

    /// Adds a time of maintenance, by the wall clock. May be called again. While it lasts,
    /// `/health` is degraded with `maintenance`, and readiness is as
    /// [`HealthBuilder::ready_in_maintenance`] says.
    pub fn maintenance_window(mut self, window: MaintenanceWindow) -> Self {
        self.extras.windows.push(window);
        self
    }

    /// Adds something to write out before the process ends, such as buffered logs. It runs
    /// in [`Health::finish`](crate::Health::finish); the last tenth of the drain plan's cap, but
    /// at most 1 s, is kept for it.
    pub fn flush(
        mut self,
        name: impl Into<String>,
        run: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.extras.flushes.push(Flush {
            name: name.into(),
            run: Box::pin(run),
        });
        self
    }

    /// Watches the runtime from a thread of its own: as the liveness signal `runtime`, and
    /// as the check of that name. What follows changes that check's policy.
    pub fn watchdog(mut self, watchdog: Watchdog) -> Self {
        self.extras.watchdog = Some(watchdog.clone());
        self.liveness("runtime", watchdog.clone())
            .check(Runtime::new(watchdog))
    }

    /// Tells systemd how the service is. A unit with `WatchdogSec=` needs
    /// [`HealthBuilder::watchdog`] too.
    #[cfg(all(feature = "systemd", target_os = "linux"))]
    pub fn systemd(mut self, systemd: crate::systemd::Systemd) -> Self {
        self.extras.systemd = Some(systemd);
        self
    }
}
