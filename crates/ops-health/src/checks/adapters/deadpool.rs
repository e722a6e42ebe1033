//! The counters of a pool of `deadpool`.

use deadpool::managed::{Manager, Pool};

use crate::checks::{PoolCounters, PoolUsage};

/// It does not tell when a connection was given back: see
/// [`PoolReturns`](crate::checks::PoolReturns).
impl<M> PoolCounters for Pool<M>
where
    M: Manager + Send + Sync + 'static,
    M::Type: Send,
{
    fn usage(&self) -> PoolUsage {
        let status = self.status();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let in_use = status.size.saturating_sub(status.available);
        PoolUsage::new(count(in_use), count(status.max_size)).with_waiters(count(status.waiting))
    }
}
