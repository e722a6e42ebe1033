#![doc = include_str!("../README.md")]

mod acquire;
mod builder;
mod close;
mod config;
mod connect;
mod core;
mod driver;
mod error;
mod group;
mod lane;
mod pool;
mod session;
mod shared;
mod snapshot;
mod tap;

pub use acquire::Acquire;
pub use builder::SessionPoolBuilder;
pub use close::{CloseReason, Released};
pub use connect::{Connect, Connected};
pub use error::{AcquireError, AcquireReport, Holder, ServerDown};
pub use group::PoolGroup;
pub use lane::Lane;
pub use pool::{Drain, DrainReport, PoolSize, SessionPool};
pub use session::Session;
pub use snapshot::{LaneSnapshot, ShowPools, Snapshot, Totals};
pub use tap::{Tap, TransactionStatus, Wire};
