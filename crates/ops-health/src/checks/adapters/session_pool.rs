//! The counters of a session pool of `ops-pool`.

use std::time::Duration;

use ops_pool::SessionPool;

use crate::checks::{PoolCounters, PoolUsage};

/// A connection that is being reset is in use: nobody can have it yet.
///
/// The clone that a check keeps is a handle like any other: end the pool by
/// [`SessionPool::shutdown`], not by dropping the other handles.
impl PoolCounters for SessionPool {
    fn usage(&self) -> PoolUsage {
        let now = self.snapshot();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        PoolUsage::new(count(now.active + now.resetting), count(now.pool_size))
            .with_waiters(count(now.waiting))
            .with_since_last_return(now.since_last_return.unwrap_or(Duration::MAX))
    }
}
