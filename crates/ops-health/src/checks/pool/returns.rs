//! When connections come back to a pool that does not tell.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{PoolCounters, PoolUsage};

/// Notes that connections come back to a pool that does not tell of it, so that a busy pool
/// is told from a stuck one. Clones are the same.
///
/// The pool calls [`PoolReturns::note`] from a hook: `after_release` of `sqlx`, `post_recycle`
/// of `deadpool` (which runs when a connection that came back is lent again).
///
/// ```
/// use ops_health::checks::{Pool, PoolReturns, PoolUsage};
///
/// let returns = PoolReturns::new();
/// let noted = returns.clone();
/// let on_release = move || noted.note();
/// let check = Pool::new(returns.of(|| PoolUsage::new(3, 10)));
/// # on_release();
/// ```
#[derive(Clone, Default)]
pub struct PoolReturns(Arc<Mutex<Option<Instant>>>);

impl PoolReturns {
    /// Nothing has come back yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection has come back now.
    pub fn note(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// The counters of a pool, with what was noted.
    pub fn of<C: PoolCounters>(&self, counters: C) -> impl PoolCounters + use<C> {
        let returns = self.clone();
        move || -> PoolUsage {
            let returned = returns.lock().map_or(Duration::MAX, |at| at.elapsed());
            counters.usage().with_since_last_return(returned)
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PoolReturns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolReturns").field(&*self.lock()).finish()
    }
}
