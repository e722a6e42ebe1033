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
    last: Mutex<Last>,
}

/// What the last reading found.
#[derive(Debug, Default)]
struct Last {
    /// How many were lent out, and since when that is so.
    lent: Option<(u64, Instant)>,
    /// Callers that left before they had a connection: `bb8` counts them as waiting for
    /// ever.
    gone: u64,
}

impl<M: ManageConnection> Bb8Counters<M> {
    /// Reads this pool.
    #[must_use]
    pub fn new(pool: Pool<M>) -> Self {
        Self {
            pool,
            last: Mutex::default(),
        }
    }
}

impl<M: ManageConnection> PoolCounters for Bb8Counters<M> {
    fn usage(&self) -> PoolUsage {
        let state = self.pool.state();
        let counted = &state.statistics;
        // A caller whose patience ended was lent nothing.
        let lent = counted.get_direct + counted.get_waited;
        // Not `pending_gets`: the counters are read one after the other, and the difference
        // can be below zero.
        let pending = counted
            .get_started
            .saturating_sub(lent + counted.get_timed_out);
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match last.lent {
            Some((before, since)) if before == lent => since,
            _ => now,
        };
        last.lent = Some((lent, since));
        // Nobody waits beside an idle connection.
        if state.idle_connections > 0 {
            last.gone = pending;
        }
        let waiters = pending.saturating_sub(last.gone);
        drop(last);
        let in_use = state.connections.saturating_sub(state.idle_connections);
        PoolUsage::new(u64::from(in_use), u64::from(self.pool.config().max_size))
            .with_waiters(waiters)
            .with_since_last_return(now.saturating_duration_since(since))
    }
}

impl<M: ManageConnection> fmt::Debug for Bb8Counters<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bb8Counters").finish_non_exhaustive()
    }
}
