//! Checks that are ready to use.

#[cfg(feature = "backup")]
mod backup_catalogue;
mod backup_freshness;
mod disk;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod runtime;
#[cfg(feature = "pool")]
mod session_pool;

pub use backup_freshness::{BackupFacts, BackupFreshness, BackupSource};
pub use disk::{Disk, Percent};
pub use pool::{Pool, PoolCounters, PoolUsage};
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
pub use runtime::Runtime;
