//! The counters of a pool of `sqlx`.

use sqlx::{Database, Pool};

use crate::checks::{PoolCounters, PoolUsage};

/// It tells neither how many wait nor when a connection was given back: for the latter, see
/// [`PoolReturns`](crate::checks::PoolReturns).
impl<DB: Database> PoolCounters for Pool<DB> {
    fn usage(&self) -> PoolUsage {
        let idle = u64::try_from(self.num_idle()).unwrap_or(u64::MAX);
        let in_use = u64::from(self.size()).saturating_sub(idle);
        PoolUsage::new(in_use, u64::from(self.options().get_max_connections()))
    }
}
