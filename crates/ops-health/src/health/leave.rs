//! The end of a service.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Health, Inner};
use crate::lifecycle::{Lifecycle, Step};

/// Something to write out before the process ends.
pub(crate) struct Flush {
    pub(crate) name: String,
    pub(crate) run: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The most that is kept of a plan's cap for flushing.
const MAX_FLUSH: Duration = Duration::from_secs(1);

/// How much of a plan's cap is kept for flushing.
pub(crate) fn flush_share(cap: Duration) -> Duration {
    (cap / 10).min(MAX_FLUSH)
}

impl Health {
    /// Ends the service after its server has ended: stops the checks, and runs what was
    /// registered with [`HealthBuilder::flush`](crate::HealthBuilder::flush), all together
    /// and until the drain plan's cap. Returns the names of those that did not end in time.
    ///
    /// # Cancel safety
    /// What has not ended is dropped with the future.
    pub async fn finish(&self) -> Vec<String> {
        self.stop();
        let inner = &*self.0;
        let cap = inner.settings.drain.cap;
        let deadline = inner
            .shutdown_at
            .get()
            .map_or_else(|| Instant::now() + flush_share(cap), |began| *began + cap);
        let flushes = std::mem::take(&mut *inner.flushes());
        let mut tasks = JoinSet::new();
        for Flush { name, run } in flushes {
            tasks.spawn(async move { timeout_at(deadline, run).await.is_err().then_some(name) });
        }
        let mut late = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            // One that panics has ended, too.
            late.extend(ended.ok().flatten());
        }
        late.sort_unstable();
        late
    }

    /// Whether the service drains, or has stopped.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(
            self.0.snapshot.load().lifecycle,
            Lifecycle::Draining | Lifecycle::Stopped
        )
    }

    /// The check whose failure lasted longer than its
    /// [`unrecoverable_after`](crate::Policy::unrecoverable_after), so that the service
    /// drains. The process should then end with a failure, to be started anew.
    #[must_use]
    pub fn gave_up_on(&self) -> Option<&str> {
        self.0.gave_up.get().map(String::as_str)
    }
}

impl Inner {
    /// Leaves, once: see [`Health::drain`].
    pub(crate) fn begin_drain(self: std::sync::Arc<Self>) {
        if !self.step(Step::Drain) {
            return;
        }
        tokio::spawn(async move {
            let plan = self.settings.drain;
            tokio::time::sleep(plan.delay).await;
            self.request_shutdown();
            let kept = if self.flushes().is_empty() {
                Duration::ZERO
            } else {
                flush_share(plan.cap)
            };
            let open = plan.cap.saturating_sub(kept);
            let _ = tokio::time::timeout(open, self.stopped.cancelled()).await;
            self.stop();
        });
    }

    pub(super) fn request_shutdown(&self) {
        // Only the first moment counts.
        let _ = self.shutdown_at.set(Instant::now());
        self.shutdown.cancel();
    }

    /// Drains where a check has failed for longer than the service can bear.
    pub(crate) fn give_up_where_due(self: &std::sync::Arc<Self>, index: usize) {
        let Some(entry) = self.registry.get(index) else {
            return;
        };
        let Some(limit) = entry.policy.unrecoverable_after() else {
            return;
        };
        let now = Instant::now().into_std();
        let snapshot = self.snapshot.load();
        let unhealthy_for = snapshot
            .checks
            .get(index)
            .and_then(|state| state.unhealthy_for(now));
        if unhealthy_for.is_some_and(|span| span >= limit)
            && self.gave_up.set(entry.name.clone()).is_ok()
        {
            tracing::error!(
                target: "ops_health",
                check = %entry.name,
                limit_ms = limit.as_secs_f64() * 1e3,
                "gave up: the check was unhealthy for too long"
            );
            std::sync::Arc::clone(self).begin_drain();
        }
    }
}
