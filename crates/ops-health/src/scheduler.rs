//! Runs the checks: each in its own rhythm, once at a time, never in a request.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ops_core::Result;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::check::{BlockedThreads, CheckCtx};
use crate::health::{GateFuture, Inner};
use crate::jitter::Jitter;
use crate::outcome::Outcome;
use crate::private::Private;
use crate::snapshot::Registration;
use crate::state::Event;
use crate::status::Code;

/// The running checks of a [`Health`](crate::Health). Dropping it stops them.
#[derive(Debug)]
#[must_use = "dropping the scheduler stops the checks"]
pub struct Scheduler {
    tasks: JoinSet<()>,
}

impl Scheduler {
    pub(crate) fn spawn(inner: &Arc<Inner>, gates: Vec<Option<GateFuture>>) -> Self {
        let permits = Arc::new(Semaphore::new(inner.settings.max_concurrency));
        let mut tasks = JoinSet::new();
        for index in 0..inner.registry.len() {
            tasks.spawn(drive(Arc::clone(inner), index, Arc::clone(&permits)));
        }
        for (index, gate) in gates.into_iter().enumerate() {
            if let Some(gate) = gate {
                tasks.spawn(open_gate(Arc::clone(inner), index, gate));
            }
        }
        Self { tasks }
    }

    /// Stops the checks and waits until their tasks have ended. Threads that a check
    /// blocks go on by themselves.
    ///
    /// # Cancel safety
    /// The checks stop even when the future is dropped.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Runs one check until the service stops.
async fn drive(inner: Arc<Inner>, index: usize, permits: Arc<Semaphore>) {
    let Some(entry) = inner.registry.get(index) else {
        return;
    };
    let mut jitter = Jitter::new();
    let mut runner = Runner::default();
    let stopped = inner.stopped.clone();
    let rounds = async {
        sleep(jitter.up_to(inner.settings.first_run_within)).await;
        loop {
            if is_over(&inner, entry) {
                break;
            }
            let began = Instant::now();
            if let Some(event) = runner.run(&inner, index, entry, &permits).await {
                runner.tell_if_slow(entry, &event);
                inner.record(index, event);
                inner.give_up_where_due(index);
            }
            if let Some(demand) = &entry.demand {
                demand.answer(Instant::now());
                demand.wanted().await;
                continue;
            }
            let pause = jitter.around(pause_of(&inner, index, entry), entry.policy.jitter());
            // A run that took longer than the interval is not followed at once.
            let least = Instant::now() + pause.min(MIN_PAUSE);
            sleep_until((began + pause).max(least)).await;
        }
    };
    tokio::select! {
        () = rounds => {}
        () = stopped.cancelled() => {}
    }
}

/// The least time from the end of a run to the next.
pub(crate) const MIN_PAUSE: Duration = Duration::from_millis(100);

/// Whether a check that only gates the start has done its work.
fn is_over(inner: &Inner, entry: &Registration) -> bool {
    let groups = entry.policy.groups();
    groups.startup && !groups.ready && !groups.health && !inner.is_starting()
}

fn pause_of(inner: &Inner, index: usize, entry: &Registration) -> Duration {
    let snapshot = inner.snapshot.load();
    match snapshot.checks.get(index) {
        Some(state) if state.is_settled() => entry.policy.interval(),
        _ => entry.policy.retry_interval(),
    }
}

/// Runs a check once at a time.
#[derive(Default)]
struct Runner {
    /// A run that was told to end and has not yet.
    lingering: Option<Task<Outcome>>,
    /// The threads that runs of this check block.
    blocked: BlockedThreads,
    /// Whether the last run that ended in time took more than half of it.
    is_slow: bool,
}

impl Runner {
    /// One run, or none where an old one still goes on. `None` is no verdict.
    async fn run(
        &mut self,
        inner: &Inner,
        index: usize,
        entry: &Registration,
        permits: &Semaphore,
    ) -> Option<Event> {
        if self.is_stuck() {
            return Some(Event::Stuck);
        }
        let _permit = permits.acquire().await.ok()?;
        let limit = entry.policy.timeout();
        let began = Instant::now();
        let ctx = self.context(inner, index, limit, began);
        let check = Arc::clone(&entry.check);
        let mut task = Task::spawn(async move { check.run(&ctx).await });
        let ended = timeout(limit, &mut task.0).await;
        let took = began.elapsed();
        match ended {
            // The runtime was blocked: the result is there, but came too late.
            Ok(_) if took > limit => Some(Event::TimedOut(took)),
            Ok(Ok(outcome)) => Some(Event::Finished(outcome, took)),
            Ok(Err(err)) if err.is_panic() => Some(Event::Panicked(Private::new(panic_text(err)))),
            Ok(Err(_)) => None,
            Err(_) => {
                task.0.abort();
                self.lingering = Some(task);
                Some(Event::TimedOut(took))
            }
        }
    }

    /// Whether an earlier run still goes on. Its result, if it ever comes, is dropped.
    fn is_stuck(&mut self) -> bool {
        if self
            .lingering
            .as_ref()
            .is_some_and(|task| task.0.is_finished())
        {
            self.lingering = None;
        }
        self.lingering.is_some() || !self.blocked.is_empty()
    }

    /// Says once that a check has become slow: soon it will time out.
    fn tell_if_slow(&mut self, entry: &Registration, event: &Event) {
        let Event::Finished(_, took) = event else {
            return;
        };
        let timeout = entry.policy.timeout();
        let was_slow = std::mem::replace(&mut self.is_slow, *took > timeout / 2);
        if self.is_slow && !was_slow {
            tracing::warn!(
                target: "ops_health",
                check = %entry.name,
                duration_ms = took.as_secs_f64() * 1e3,
                timeout_ms = timeout.as_secs_f64() * 1e3,
                "a check takes more than half of its timeout"
            );
        }
    }

    fn context(&self, inner: &Inner, index: usize, limit: Duration, began: Instant) -> CheckCtx {
        let snapshot = inner.snapshot.load();
        let state = snapshot.checks.get(index);
        CheckCtx {
            timeout: limit,
            deadline: began + limit,
            attempt: state.map_or(1, |state| state.consecutive_failures().saturating_add(1)),
            previous: state.and_then(|state| state.last_outcome().cloned()),
            clock: Arc::clone(&inner.settings.clock),
            shutdown: inner.shutdown.clone(),
            blocked: self.blocked.clone(),
        }
    }
}

async fn open_gate(inner: Arc<Inner>, index: usize, gate: GateFuture) {
    let mut task: Task<Result<()>> = Task::spawn(gate);
    let result = match (&mut task.0).await {
        Ok(result) => result.map_err(Outcome::from),
        Err(err) if err.is_panic() => {
            Err(Outcome::unhealthy(Code::Panicked).with_detail(panic_text(err)))
        }
        Err(_) => return,
    };
    inner.record_gate(index, result);
}

/// A task that ends with its handle.
struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn panic_text(err: tokio::task::JoinError) -> String {
    let payload = err.into_panic();
    payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the check panicked".to_owned())
}
