//! Checks that are ready to use.

#[cfg(feature = "backup")]
mod backup_catalogue;
mod backup_freshness;
mod bucket;
mod disk;
mod dns;
mod heartbeat;
mod limits;
mod memory;
mod migrations;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod runtime;
#[cfg(feature = "pool")]
mod session_pool;
mod storage_size;
mod tcp;

pub use backup_freshness::{BackupFacts, BackupFreshness, BackupSource};
pub use bucket::Bucket;
pub use disk::{Disk, Percent};
pub use dns::Dns;
pub use heartbeat::{Heartbeat, LastSuccess};
pub use memory::Memory;
pub use migrations::{AppliedMigrations, MigrationSource, Migrations};
pub use pool::{Pool, PoolCounters, PoolUsage};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresConnections, PostgresDatabase};
pub use runtime::Runtime;
pub use storage_size::{SizeSource, StorageSize};
pub use tcp::Tcp;
