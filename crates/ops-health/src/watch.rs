//! What watches a service over time: objectives, alerts, incidents and the heartbeat to
//! somebody outside, all from the same state.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ops_core::id::DedupKey;
use ops_core::notifier::Delivery;
use ops_core::{Clock, Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::aggregate::Question;
use crate::alert::{
    Alert, Dispatcher, Engine, Flaps, Names, Now, Orphan, SinkReport, Threads, View,
};
use crate::health::Health;
use crate::incident::{Actor, IncidentLog};
use crate::lifecycle::Lifecycle;
use crate::private::scrub;
use crate::slo::{Slo, SloState};
use crate::traffic::Traffic;

mod builder;
mod dead_man;
mod incidents;
mod metrics;
mod run;

pub use builder::WatchBuilder;
pub use dead_man::{DeadMan, DeadManReport};
pub use run::WatchTask;

use dead_man::Heart;
use incidents::Job;

/// How often everything is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many facts wait for the incident log. What is more is not written down.
const MAX_JOBS: usize = 1024;

/// Watches a [`Health`] over time. Clones are the same watch.
///
/// Once a second it takes the state of the service into its objectives, evaluates its
/// rules, and hands what is to be told to its sinks.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use ops_core::memory::MemoryNotifier;
/// use ops_health::alert::{Sink, standard_rules};
/// use ops_health::slo::Slo;
/// use ops_health::{Health, Watch};
///
/// let health = Health::builder().service("shop").build()?;
/// let watch = Watch::builder(&health)
///     .environment("prod")
///     .slo(Slo::builder("availability").objective(0.995).build()?)
///     .rules(standard_rules(Duration::from_secs(24 * 3600)))
///     .sink(Sink::chat("slack", Arc::new(MemoryNotifier::new())))
///     .build()?;
/// let _scheduler = health.start()?;
/// let watching = watch.start()?; // dropping it stops the watch
///
/// for (sink, result) in watch.self_test().await {
///     assert!(result.is_ok(), "{sink}");
/// }
/// assert!(watch.alerts().is_empty());
/// watching.stop().await;
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    health: Health,
    names: Names,
    /// Every rule with its severity, for metrics.
    rules: Vec<(String, String)>,
    slos: Vec<Slo>,
    traffic: Option<Traffic>,
    incidents: Option<IncidentLog>,
    dispatcher: Dispatcher,
    hearts: Vec<Arc<Heart>>,
    core: Mutex<Core>,
    /// What fires, for readers.
    alerts: ArcSwap<Vec<Alert>>,
    jobs: mpsc::Sender<Job>,
    /// The other end, until somebody takes it.
    pending_jobs: Mutex<Option<mpsc::Receiver<Job>>>,
    /// Whether what an earlier process left was taken over.
    adopted: AtomicBool,
    created: Instant,
    /// When everything was looked at last, in milliseconds since `created`.
    last_tick: AtomicU64,
}

struct Core {
    engine: Engine,
    threads: Threads,
    flaps: Flaps,
    /// Requests that the objectives know of.
    counted: (u64, u64),
}

impl Watch {
    /// Starts a description of a watch over a service.
    pub fn builder(health: &Health) -> WatchBuilder {
        WatchBuilder::new(health)
    }

    /// What fires now, with what nobody is told of.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        self.0.alerts.load().to_vec()
    }

    /// Somebody is at an alert: everybody is told, and reminded no more. What was told in
    /// one message is acknowledged together; doing it again changes nothing.
    ///
    /// # Errors
    /// `NotFound` where no alert with this key was told and fires still.
    pub fn acknowledge(&self, key: &str, who: &str) -> Result<()> {
        let who: String = scrub(who, &[]).chars().take(64).collect();
        let mut core = self.0.lock();
        let keys = core.with_now(&self.0, |threads, now| threads.acknowledge(key, &who, now));
        if keys.is_empty() {
            return Err(Error::not_found(format!("the alert {key}")));
        }
        core.engine.acknowledge(&keys, &who);
        self.0.publish(&mut core);
        Ok(())
    }

    /// Proves that alerts arrive: sends a test over every sink at once, and tells what each
    /// of them said.
    ///
    /// # Cancel safety
    /// Dropping the future may leave test alerts open with vendors that keep alerts.
    pub async fn self_test(&self) -> Vec<(String, Result<Delivery>)> {
        let now = self.0.clock().now();
        let source = self.0.names.source();
        self.0.dispatcher.self_test(&source, now).await
    }

    /// How each sink does.
    #[must_use]
    pub fn sinks(&self) -> Vec<SinkReport> {
        self.0.dispatcher.reports()
    }

    /// The objectives.
    #[must_use]
    pub fn slos(&self) -> &[Slo] {
        &self.0.slos
    }

    /// The incidents, where they are kept.
    #[must_use]
    pub fn incidents(&self) -> Option<&IncidentLog> {
        self.0.incidents.as_ref()
    }

    /// How each outgoing heartbeat does.
    #[must_use]
    pub fn heartbeats(&self) -> Vec<DeadManReport> {
        self.0.hearts.iter().map(|heart| heart.report()).collect()
    }

    /// Starts the watch. Once a second it looks at everything; every 10 s the journals of
    /// objectives are written.
    ///
    /// # Errors
    /// `Conflict` where it was started before, `InvalidConfig` outside of a tokio runtime.
    pub fn start(&self) -> Result<WatchTask> {
        if tokio::runtime::Handle::try_current().is_err() {
            let message = "there is no tokio runtime to watch on";
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        }
        let mut pending = self
            .0
            .pending_jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(jobs) = pending.take() else {
            let message = "the watch was started before";
            return Err(Error::new(ErrorKind::Conflict, message));
        };
        Ok(WatchTask::spawn(&self.0, jobs))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("source", &self.0.names.source())
            .field("slos", &self.0.slos)
            .field("alerts", &self.0.alerts.load().len())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Lets the threads see what the rules know.
    fn with_now<T>(&mut self, inner: &Inner, act: impl FnOnce(&mut Threads, &Now<'_>) -> T) -> T {
        let Self {
            engine, threads, ..
        } = self;
        let engine = &*engine;
        let now = Now {
            instant: Instant::now().into_std(),
            wall: inner.clock().now(),
            explained_by: &|key| engine.explained_by(key),
            is_loud: &|key| {
                let mut alerts = engine.alerts();
                alerts.any(|alert| alert.dedup == *key && alert.quiet.is_none())
            },
        };
        act(threads, &now)
    }
}

impl Inner {
    fn clock(&self) -> &dyn Clock {
        &*self.health.0.settings.clock
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at everything once.
    fn tick(&self) {
        let lifecycle = self.health.lifecycle();
        let verdict = self.health.verdict(Question::Health);
        let checks = self.health.checks();
        for slo in &self.slos {
            slo.observe(SloState::from(verdict));
        }
        let sink_failures = self.dispatcher.failures();
        let instant = Instant::now();
        let starting = lifecycle == Lifecycle::Starting;
        let since_start = instant.saturating_duration_since(self.health.0.started_at);
        let mut core = self.lock();
        self.count_requests(&mut core);
        for check in &checks {
            if let Some(was) = core.flaps.observe(check, instant.into_std()) {
                self.note(Job::check_changed(check, was));
            }
        }
        let Core { engine, flaps, .. } = &mut *core;
        let view = View {
            instant: instant.into_std(),
            verdict,
            starting_for: starting.then_some(since_start),
            checks: &checks,
            flaps,
            traffic: self.traffic.as_ref(),
            slos: &self.slos,
            sink_failures: &sink_failures,
        };
        let hushed = starting || lifecycle == Lifecycle::Maintenance;
        let outcome = engine.evaluate(&view, self.clock().now(), hushed);
        core.with_now(self, |threads, now| {
            for alert in &outcome.over {
                threads.over(alert, now);
            }
            for alert in outcome.told {
                threads.fired(alert, now);
            }
            threads.poll(now);
        });
        self.publish(&mut core);
        drop(core);
        self.last_tick.store(self.age_millis(), Ordering::Relaxed);
    }

    /// Sends what is to be sent, and shows what fires.
    fn publish(&self, core: &mut Core) {
        let (outgoing, events) = core.threads.take();
        for message in outgoing {
            self.dispatcher.send(message);
        }
        for event in events {
            self.note(Job::Thread(event));
        }
        let alerts: Vec<Alert> = core.engine.alerts().cloned().collect();
        self.alerts.store(Arc::new(alerts));
    }

    fn count_requests(&self, core: &mut Core) {
        let Some(traffic) = &self.traffic else {
            return;
        };
        let (good, bad) = traffic.totals();
        let (was_good, was_bad) = std::mem::replace(&mut core.counted, (good, bad));
        let new = |now: u64, was: u64| u32::try_from(now.saturating_sub(was)).unwrap_or(u32::MAX);
        for slo in &self.slos {
            slo.record_requests(new(good, was_good), new(bad, was_bad));
        }
    }

    /// Takes over the incidents that an earlier process has opened and not ended.
    fn adopt(&self) {
        let Some(log) = &self.incidents else {
            return;
        };
        if self.adopted.swap(true, Ordering::Relaxed) {
            return;
        }
        let prefix = format!("{}:", self.names.source());
        let now = Instant::now().into_std();
        let mut core = self.lock();
        for incident in log.list() {
            let own = incident.key().starts_with(&prefix) && !incident.state().is_over();
            let rule = incident
                .entries()
                .first()
                .and_then(|entry| match &entry.actor {
                    Actor::Rule(rule) => Some(rule.clone()),
                    _ => None,
                });
            if let (true, Some(rule), Ok(key)) = (own, rule, DedupKey::new(incident.key())) {
                let title = incident.title().to_owned();
                let orphan = Orphan::new(key, incident.severity(), title, rule, now);
                core.threads.adopt(orphan);
            }
        }
    }

    fn note(&self, job: Job) {
        if self.incidents.is_some() && self.jobs.try_send(job).is_err() {
            tracing::debug!(target: "ops_health", "too much to write down, an entry of the incidents is lost");
        }
    }

    fn age_millis(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether everything was looked at lately.
    fn is_watching(&self) -> bool {
        let last = self.last_tick.load(Ordering::Relaxed);
        self.age_millis().saturating_sub(last) < 30_000
    }
}
