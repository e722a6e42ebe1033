#![doc = include_str!("../README.md")]

mod acquire;
mod budget;
mod builder;
mod cancel;
mod clock;
mod close;
mod config;
mod connect;
mod connect_query;
mod core;
mod driver;
mod error;
mod group;
mod histogram;
mod kept;
mod lane;
mod pool;
#[cfg(feature = "metrics")]
mod publish;
mod reset;
mod session;
mod settings;
mod shared;
pub mod show;
mod snapshot;
mod sync;
mod tap;
mod trace;

pub use acquire::Acquire;
pub use budget::{Budget, Term};
pub use builder::SessionPoolBuilder;
pub use cancel::SessionCancel;
pub use close::{CloseReason, Released};
pub use connect::{Connect, Connected};
pub use error::{AcquireError, AcquireReport, Holder, ServerDown};
pub use group::PoolGroup;
pub use histogram::{Histogram, HistogramSnapshot, Timings, TimingsSnapshot};
pub use kept::Kept;
pub use lane::Lane;
pub use pool::{Drain, DrainReport, PoolSize, SessionPool};
#[cfg(feature = "metrics")]
pub use publish::MetricsPublisher;
pub use reset::{OnDirty, Reset};
pub use session::Session;
pub use settings::pgbouncer::{Ignored, PgBouncerIni, PgBouncerPool};
pub use settings::{PoolSettings, ResetOnReturn, SqlAlchemy};
pub use snapshot::{LaneSnapshot, Snapshot, Totals};
pub use tap::{CommandTag, Tap, TapCounts, TapCountsSnapshot, TransactionStatus, Wire};

// The examples of the longer texts are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrating-to-ops-pool.md")]
mod migrating {}
#[cfg(doctest)]
#[doc = include_str!("../../../docs/pool-sizing.md")]
mod pool_sizing {}
