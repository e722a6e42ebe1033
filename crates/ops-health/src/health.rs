//! The handle that everything else goes through.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ops_core::{Clock, Error, ErrorKind, Result, Secret};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::aggregate::{Question, Rules, Verdict};
use crate::builder::HealthBuilder;
use crate::drain::DrainPlan;
use crate::lifecycle::{Lifecycle, LifecycleState, Step};
use crate::liveness::NamedSignal;
use crate::maintenance::MaintenanceWindow;
use crate::metrics;
use crate::outcome::Outcome;
use crate::render::{BodyCache, DetailCache, Shape};
use crate::scheduler::Scheduler;
use crate::snapshot::{CheckReport, GateState, Registration, Snapshot};
use crate::state::{CheckState, Event, Moment};
use crate::status::Status;
use crate::transition;
use crate::watchdog::Watchdog;

mod fresh;
mod leave;

pub(crate) use leave::Flush;

/// What was chosen at the build.
pub(crate) struct Settings {
    pub(crate) service: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) access: Access,
    pub(crate) expose_names: bool,
    pub(crate) shape: Shape,
    pub(crate) aliases: bool,
    pub(crate) degraded_status: u16,
    pub(crate) rules: Rules,
    pub(crate) drain: DrainPlan,
    pub(crate) max_concurrency: usize,
    pub(crate) first_run_within: Duration,
    pub(crate) known_secrets: Vec<Secret>,
    pub(crate) metrics: Option<MetricsText>,
}

/// Gives the text of `/metrics`.
pub(crate) type MetricsText = Box<dyn Fn() -> String + Send + Sync>;

pub(crate) type GateFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

pub(crate) struct Gate {
    pub(crate) name: Arc<str>,
    pub(crate) future: Option<GateFuture>,
}

/// What only some services have.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) windows: Vec<MaintenanceWindow>,
    pub(crate) flushes: Vec<Flush>,
    pub(crate) watchdog: Option<Watchdog>,
    #[cfg(all(feature = "systemd", target_os = "linux"))]
    pub(crate) systemd: Option<crate::systemd::Systemd>,
}

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) registry: Box<[Registration]>,
    pub(crate) signals: Vec<NamedSignal>,
    pub(crate) started_at: Instant,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) bodies: BodyCache,
    pub(crate) details: DetailCache,
    /// Fired when connections should end.
    pub(crate) shutdown: CancellationToken,
    /// Fired when the time for that is over.
    pub(crate) stopped: CancellationToken,
    /// When that was.
    shutdown_at: OnceLock<Instant>,
    /// The check whose failure ended the service.
    gave_up: OnceLock<String>,
    pub(crate) has_on_demand: bool,
    pub(crate) watchdog: Option<Watchdog>,
    #[cfg(all(feature = "systemd", target_os = "linux"))]
    systemd: Option<crate::systemd::Systemd>,
    #[cfg(feature = "ui")]
    pub(crate) history: crate::ui::History,
    core: Mutex<Core>,
    flushes: Mutex<Vec<Flush>>,
    is_running: AtomicBool,
}

/// What writers change, one at a time, before they publish it.
struct Core {
    running: bool,
    lifecycle: LifecycleState,
    checks: Vec<CheckState>,
    gates: Vec<GateState>,
    gate_futures: Vec<Option<GateFuture>>,
    windows: Arc<[MaintenanceWindow]>,
}

/// The health of a service: its checks, its lifecycle, and the answers to its probes.
///
/// Cloning is cheap, and clones are the same service. Reading never runs a check and
/// never waits: see [`Health::respond`].
#[derive(Clone)]
pub struct Health(pub(crate) Arc<Inner>);

impl Health {
    /// Starts a description of the service.
    pub fn builder() -> HealthBuilder {
        HealthBuilder::new()
    }

    pub(crate) fn new(
        settings: Settings,
        registry: Vec<Registration>,
        signals: Vec<NamedSignal>,
        gates: Vec<Gate>,
        extras: Extras,
    ) -> Self {
        let started_at = Instant::now();
        let now = Moment {
            instant: started_at.into_std(),
            wall: settings.clock.now(),
        };
        let checks = registry
            .iter()
            .map(|entry| CheckState::new(&entry.policy, now))
            .collect();
        let (names, futures): (Vec<_>, Vec<_>) = gates
            .into_iter()
            .map(|gate| (gate.name, gate.future))
            .unzip();
        let core = Core {
            running: false,
            lifecycle: LifecycleState::new(),
            checks,
            gates: names
                .into_iter()
                .map(|name| GateState {
                    name,
                    status: Status::Unknown,
                })
                .collect(),
            gate_futures: futures,
            windows: extras.windows.into(),
        };
        Self(Arc::new(Inner {
            has_on_demand: registry.iter().any(|entry| entry.demand.is_some()),
            watchdog: extras.watchdog,
            #[cfg(all(feature = "systemd", target_os = "linux"))]
            systemd: extras.systemd,
            flushes: Mutex::new(extras.flushes),
            shutdown_at: OnceLock::new(),
            gave_up: OnceLock::new(),
            #[cfg(feature = "ui")]
            history: crate::ui::History::default(),
            settings,
            registry: registry.into(),
            signals,
            started_at,
            snapshot: ArcSwap::from_pointee(core.publish()),
            bodies: BodyCache::default(),
            details: DetailCache::default(),
            shutdown: CancellationToken::new(),
            stopped: CancellationToken::new(),
            core: Mutex::new(core),
            is_running: AtomicBool::new(false),
        }))
    }

    /// Starts the startup gates and the scheduler of the checks.
    ///
    /// Dropping the [`Scheduler`] stops them. Their results then grow stale, and the
    /// service unhealthy.
    ///
    /// # Errors
    /// `Conflict` where it was started before, `InvalidConfig` outside of a tokio runtime.
    pub fn start(&self) -> Result<Scheduler> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "there is no tokio runtime to run checks on",
            ));
        }
        if self.0.is_running.swap(true, Ordering::AcqRel) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the health checks were started before",
            ));
        }
        let gates = self.0.update(|core| {
            core.running = true;
            std::mem::take(&mut core.gate_futures)
        });
        let scheduler = Scheduler::spawn(&self.0, gates);
        #[cfg(all(feature = "systemd", target_os = "linux"))]
        self.tell_systemd();
        if let Some(watchdog) = &self.0.watchdog {
            watchdog.spawn(&self.0)?;
        }
        Ok(scheduler)
    }

    #[cfg(all(feature = "systemd", target_os = "linux"))]
    fn tell_systemd(&self) {
        if let Some(systemd) = &self.0.systemd {
            if let Some(watchdog) = &self.0.watchdog {
                systemd.keep_alive(&self.0, watchdog);
            }
            tokio::spawn(systemd.clone().follow(Arc::downgrade(&self.0)));
        }
    }

    /// The answer to a question, at this moment.
    #[must_use]
    pub fn verdict(&self, question: Question) -> Verdict {
        let now = Instant::now().into_std();
        self.0.snapshot.load().verdict(question, &self.0, now)
    }

    /// How every check stands, in the order of registration.
    #[must_use]
    pub fn checks(&self) -> Vec<CheckReport> {
        let now = Instant::now().into_std();
        let snapshot = self.0.snapshot.load();
        snapshot.reports(&self.0.registry, now, |_| true)
    }

    /// Where the service stands in its life.
    #[must_use]
    pub fn lifecycle(&self) -> Lifecycle {
        let inner = &*self.0;
        inner.snapshot.load().lifecycle(&*inner.settings.clock)
    }

    /// Adds a time of maintenance, by the wall clock.
    pub fn schedule_maintenance(&self, window: MaintenanceWindow) {
        self.0.update(|core| {
            core.windows = core.windows.iter().copied().chain([window]).collect();
        });
    }

    /// Begins or ends maintenance, whatever windows say.
    pub fn set_maintenance(&self, on: bool) {
        self.0.step(Step::Maintenance(on));
    }

    /// Leaves: turns readiness false now, serves on for the plan's delay, then asks
    /// connections to end ([`Health::shutdown_requested`]), and gives them until the
    /// plan's cap ([`Health::stopped`]).
    ///
    /// Readiness turns false when this is called, not when it is first polled. Returns
    /// when connections were asked to end. A second call changes nothing.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// The drain goes on when the future is dropped.
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = Arc::clone(&self.0);
        Arc::clone(&inner).begin_drain();
        async move { inner.shutdown.cancelled().await }
    }

    /// Ends when connections should end: what a server's graceful shutdown waits for.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub fn shutdown_requested(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.shutdown.clone().cancelled_owned()
    }

    /// Ends when the time for connections to end is over, or [`Health::stop`] was called:
    /// what is still open then is to be dropped.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.stopped.clone().cancelled_owned()
    }

    /// Says that the service is done, for good. Stops the checks.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("service", &self.0.settings.service)
            .field("lifecycle", &self.lifecycle())
            .field(
                "checks",
                &self
                    .0
                    .registry
                    .iter()
                    .map(|entry| &entry.name)
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn now(&self) -> Moment {
        Moment {
            instant: Instant::now().into_std(),
            wall: self.settings.clock.now(),
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.signals.iter().all(NamedSignal::is_alive)
    }

    fn flushes(&self) -> MutexGuard<'_, Vec<Flush>> {
        self.flushes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, moves from starting to serving where that is due, and
    /// publishes. The lock is held until then, so that snapshots come in order.
    fn update<T>(&self, change: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.lock();
        let before = core.lifecycle.current();
        let value = change(&mut core);
        if core.running && core.has_started(&self.registry) {
            core.lifecycle.on(Step::Started);
        }
        let after = core.lifecycle.current();
        self.snapshot.store(Arc::new(core.publish()));
        drop(core);
        if before != after {
            tracing::info!(target: "ops_health", from = %before, to = %after, "lifecycle changed");
        }
        value
    }

    fn step(&self, step: Step) -> bool {
        let changed = self.update(|core| core.lifecycle.on(step));
        metrics::publish(self);
        changed
    }

    fn stop(&self) {
        self.step(Step::Stop);
        self.request_shutdown();
        self.stopped.cancel();
    }

    /// Takes in how a run of a check ended.
    pub(crate) fn record(&self, index: usize, event: Event) {
        let now = self.now();
        let result = event.result();
        let recorded = self.update(|core| {
            let state = core.checks.get_mut(index)?;
            let change = state.on(event, now);
            Some((change, state.last_outcome().cloned(), state.took()))
        });
        let (Some((change, outcome, took)), Some(entry)) = (recorded, self.registry.get(index))
        else {
            return;
        };
        metrics::ran(entry, result, took, change);
        metrics::publish(self);
        if let Some(change) = change {
            #[cfg(feature = "ui")]
            self.history.push(&entry.name, change, now.wall);
            let snapshot = self.snapshot.load();
            let cause = snapshot.cause(&self.registry, entry, now.instant);
            transition::log(
                entry,
                change,
                outcome.as_deref(),
                took,
                cause,
                &self.settings.known_secrets,
            );
        }
    }

    /// Takes in how a startup gate ended.
    pub(crate) fn record_gate(&self, index: usize, result: Result<(), Outcome>) {
        let status = if result.is_ok() {
            Status::Healthy
        } else {
            Status::Unhealthy
        };
        let name = self.update(|core| {
            let gate = core.gates.get_mut(index)?;
            gate.status = status;
            Some(Arc::clone(&gate.name))
        });
        if let (Some(name), Err(outcome)) = (name, result) {
            transition::log_gate(&name, &outcome, &self.settings.known_secrets);
        }
    }

    pub(crate) fn is_starting(&self) -> bool {
        self.snapshot.load().lifecycle == Lifecycle::Starting
    }
}

impl Core {
    fn has_started(&self, registry: &[Registration]) -> bool {
        self.gates.iter().all(|gate| gate.status.is_up())
            && registry
                .iter()
                .zip(&self.checks)
                .filter(|(entry, _)| entry.policy.groups().startup)
                .all(|(_, state)| {
                    state
                        .last_outcome()
                        .is_some_and(|last| last.status().is_up())
                })
    }

    fn publish(&self) -> Snapshot {
        Snapshot {
            lifecycle: self.lifecycle.current(),
            checks: self.checks.clone().into(),
            gates: self.gates.clone().into(),
            windows: Arc::clone(&self.windows),
            standing: OnceLock::new(),
        }
    }
}
