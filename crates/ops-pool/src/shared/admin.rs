//! What an operator asks for, and what the groups give.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ops_core::Result;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Shared;
use crate::core::Event;
use crate::group::Groups;
use crate::pool::PoolSize;

impl Shared {
    /// Begins the end: nobody gets a session anymore.
    pub(crate) fn drain(self: &Arc<Self>) {
        // First, so that a connection that is given up for it does not look like a failure.
        self.step(Event::Drain);
        self.stop.store(true, Ordering::Release);
        self.config.groups.leave(self);
        self.stopping.notify_waiters();
        self.rearm.notify_one();
    }

    /// Ends when no connection is left of a pool that is paused, or it is not paused
    /// anymore. False in the latter case.
    pub(crate) async fn quiet(&self) -> bool {
        until(&self.settled, || {
            let state = self.lock();
            state.core().quiet() || !state.core().paused() || state.core().drained()
        })
        .await;
        let state = self.lock();
        state.core().quiet() || state.core().drained()
    }

    pub(crate) fn resume(self: &Arc<Self>) {
        self.step(Event::Resume);
        self.settled.notify_waiters();
    }

    /// Ends when no connection is left that was opened before the last reconnect.
    pub(crate) async fn all_current(&self) {
        until(&self.settled, || self.lock().core().outdated() == 0).await;
    }

    /// The group has given places.
    pub(crate) fn granted(self: &Arc<Self>, permits: usize) {
        self.step(Event::Granted(permits));
    }

    /// How many places the pool wants of its groups.
    pub(crate) fn requested(&self) -> usize {
        self.lock().core().requested()
    }

    /// Whether callers wait for these places.
    pub(crate) fn presses(&self) -> bool {
        self.lock().core().presses()
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.config.groups
    }

    /// Gives up the connection that has been idle for longest.
    pub(crate) fn evict(self: &Arc<Self>) {
        self.step(Event::Evict);
    }

    pub(crate) fn oldest_idle(&self) -> Option<Instant> {
        let since = self.lock().core().oldest_idle()?;
        Some(self.clock.instant(since))
    }

    /// Ends when the pool has begun to drain.
    pub(crate) async fn stopped(&self) {
        until(&self.stopping, || self.stop.load(Ordering::Acquire)).await;
    }

    /// Ends when the pool has drained: every session is back and every connection closed.
    pub(crate) async fn drained(&self) {
        until(&self.settled, || self.lock().core().drained()).await;
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.lock().core().drained()
    }

    pub(crate) fn size(&self) -> PoolSize {
        PoolSize::of(self.lock().core().settings())
    }

    pub(crate) fn resize(self: &Arc<Self>, size: PoolSize) -> Result<()> {
        size.check(&self.config.lanes)?;
        let PoolSize {
            pool_size,
            min_pool_size,
            reserve_pool_size,
        } = size;
        self.step(Event::Resize {
            pool_size,
            min_pool_size,
            reserve_pool_size,
        });
        Ok(())
    }
}

async fn until(notify: &Notify, done: impl Fn() -> bool + Send) {
    loop {
        let notified = notify.notified();
        if done() {
            return;
        }
        notified.await;
    }
}
