//! What runs while a watch does.

use std::sync::Arc;
use std::time::Duration;

use ops_core::{Report, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::incidents::{Job, Scribe};
use super::{INTERVAL, Inner};
use crate::alert::Delivered;
use crate::lifecycle::Lifecycle;
use crate::private::scrub;

/// How often the journals of objectives are written.
const FLUSH_INTERVAL: Duration = Duration::from_secs(10);

/// How long messages that wait may take when the watch stops.
const LAST_MESSAGES: Duration = Duration::from_secs(5);

/// A running [`Watch`](super::Watch). Dropping it stops it at once.
#[derive(Debug)]
#[must_use = "dropping the task stops the watch"]
pub struct WatchTask {
    tasks: JoinSet<()>,
    inner: Arc<Inner>,
}

impl WatchTask {
    pub(super) fn spawn(inner: &Arc<Inner>, jobs: mpsc::Receiver<Job>) -> Self {
        inner.adopt();
        let mut tasks = JoinSet::new();
        let (sender, delivered) = mpsc::channel(super::MAX_JOBS);
        inner.dispatcher.spawn(&mut tasks, &sender);
        tasks.spawn(look(Arc::clone(inner)));
        tasks.spawn(keep(Arc::clone(inner)));
        tasks.spawn(write_down(Arc::clone(inner), jobs, delivered));
        for heart in &inner.hearts {
            let (heart, inner) = (Arc::clone(heart), Arc::clone(inner));
            tasks.spawn(async move { heart.run(&inner).await });
        }
        Self {
            tasks,
            inner: Arc::clone(inner),
        }
    }

    /// Stops the watch: messages that wait get five seconds, and the journals of
    /// objectives say that the process leaves on purpose. Call it at the end of a drain.
    ///
    /// # Cancel safety
    /// The watch stops even when the future is dropped; the journals may then not say it.
    pub async fn stop(mut self) {
        _ = timeout(LAST_MESSAGES, self.inner.dispatcher.idle()).await;
        self.tasks.shutdown().await;
        flush(&self.inner, true).await;
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

async fn look(inner: Arc<Inner>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        inner.tick();
    }
}

async fn keep(inner: Arc<Inner>) {
    let mut ticks = interval(FLUSH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // From the drain on the end is expected, whenever it comes.
        let leaving = matches!(
            inner.health.lifecycle(),
            Lifecycle::Draining | Lifecycle::Stopped
        );
        flush(&inner, leaving).await;
        super::metrics::publish(&inner);
    }
}

async fn flush(inner: &Arc<Inner>, leaving: bool) {
    if inner.slos.is_empty() {
        return;
    }
    let inner = Arc::clone(inner);
    let written = tokio::task::spawn_blocking(move || {
        for slo in &inner.slos {
            let result = if leaving {
                slo.mark_drained()
            } else {
                slo.flush()
            };
            tell(slo.name(), &result);
        }
    });
    _ = written.await;
}

fn tell(slo: &str, result: &Result<()>) {
    if let Err(err) = result {
        let error = scrub(&Report(err).to_string(), &[]);
        tracing::warn!(target: "ops_health", slo, error, "the journal of an objective was not written");
    }
}

async fn write_down(
    inner: Arc<Inner>,
    mut jobs: mpsc::Receiver<Job>,
    mut delivered: mpsc::Receiver<Delivered>,
) {
    let mut scribe = inner.incidents.clone().map(Scribe::new);
    loop {
        let job = tokio::select! {
            // In order of what depends on what: an incident is opened before it is told.
            biased;
            Some(job) = jobs.recv() => job,
            Some(message) = delivered.recv() => Job::Delivered(message),
            else => return,
        };
        if let Some(scribe) = &mut scribe {
            scribe.take(job).await;
        }
    }
}
