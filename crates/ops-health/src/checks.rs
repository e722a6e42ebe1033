//! Checks that are ready to use.

mod adapters;
#[cfg(feature = "backup")]
mod backup_catalogue;
mod backup_freshness;
mod bucket;
mod disk;
mod dns;
mod heartbeat;
#[cfg(feature = "http")]
mod http;
mod limits;
mod memory;
mod migrations;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod runtime;
mod storage_size;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "bb8")]
pub use adapters::Bb8Counters;
pub use backup_freshness::{BackupFacts, BackupFreshness, BackupSource};
pub use bucket::Bucket;
pub use disk::{Disk, Percent};
pub use dns::Dns;
pub use heartbeat::{Heartbeat, LastSuccess};
#[cfg(feature = "http")]
pub use http::Http;
pub use memory::Memory;
pub use migrations::{AppliedMigrations, MigrationSource, Migrations};
pub use pool::{Pool, PoolCounters, PoolReturns, PoolUsage};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresConnections, PostgresDatabase};
#[cfg(feature = "redis")]
pub use redis::Redis;
pub use runtime::Runtime;
pub use storage_size::{SizeSource, StorageSize};
pub use tcp::Tcp;
#[cfg(feature = "tls")]
pub use tls::Tls;
