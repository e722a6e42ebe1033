//! The timer of a pool.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::state::Deferred;

/// The least time between two ticks.
const GRAIN: Duration = Duration::from_millis(1);

impl Shared {
    /// Does what is due.
    fn tick(self: &Arc<Self>) {
        let now = self.now();
        let mut deferred = Deferred::default();
        self.lock().tick(now, &mut deferred);
        self.finish(deferred);
    }
}

/// When the runtime goes, so does whatever the pool could do: it drains.
struct RuntimeGone(Arc<Shared>);

impl Drop for RuntimeGone {
    fn drop(&mut self) {
        self.0.drain();
    }
}

/// Sends the ticks that the core asks for.
pub(super) async fn keep_time(shared: Arc<Shared>) {
    let alive = RuntimeGone(shared);
    let shared = &alive.0;
    while !shared.stop.load(Ordering::Acquire) {
        let at = shared.lock().timer();
        let tick = async {
            match at {
                Some(at) => {
                    // The clocks may differ: a tick that comes too early is not repeated
                    // at once.
                    let at = shared.clock.instant(at).max(Instant::now() + GRAIN);
                    tokio::time::sleep_until(at).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.rearm.notified() => {}
            () = tick => shared.tick(),
        }
    }
}
