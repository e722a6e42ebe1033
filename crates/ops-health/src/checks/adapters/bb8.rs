//! The counters of a pool of `bb8`.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use bb8::{ManageConnection, Pool};
use tokio::time::Instant;

use crate::checks::{PoolCounters, PoolUsage};

/// The counters of a pool of `bb8`, for the check of pools.
///
/// It counts how many connections were lent out. Where all are in use, one more can be lent
/// only after one was given back, which is how a busy pool is told from a stuck one.
///
/// ```
/// use ops_health::checks::{Bb8Counters, Pool};
///
/// fn check<M: bb8::ManageConnection>(pool: &bb8::Pool<M>) -> Pool {
///     Pool::new(Bb8Counters::new(pool.clone()))
/// }
/// ```
pub struct Bb8Counters<M: ManageConnection> {
    pool: Pool<M>,
    lent: Mutex<Option<(u64, Instant)>>,
}

impl<M: ManageConnection> Bb8Counters<M> {
    /// Reads this pool.
    #[must_use]
    pub fn new(pool: Pool<M>) -> Self {
        Self {
            pool,
            lent: Mutex::default(),
        }
    }
}

impl<M: ManageConnection> PoolCounters for Bb8Counters<M> {
    fn usage(&self) -> PoolUsage {
        let state = self.pool.state();
        let in_use = state.connections.saturating_sub(state.idle_connections);
        let completed = state.statistics.completed_gets();
        let now = Instant::now();
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match *lent {
            Some((before, since)) if before == completed => since,
            _ => now,
        };
        *lent = Some((completed, since));
        drop(lent);
        PoolUsage::new(u64::from(in_use), u64::from(self.pool.config().max_size))
            .with_waiters(state.statistics.pending_gets())
            .with_since_last_return(now.saturating_duration_since(since))
    }
}

impl<M: ManageConnection> fmt::Debug for Bb8Counters<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bb8Counters").finish_non_exhaustive()
    }
}
