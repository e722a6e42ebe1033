#![doc = include_str!("../README.md")]

mod acquire;
mod builder;
mod cancel;
mod close;
mod config;
mod connect;
mod core;
mod driver;
mod error;
mod kept;
mod pool;
mod reset;
mod session;
mod shared;
mod snapshot;
mod tap;

pub use acquire::Acquire;
pub use builder::SessionPoolBuilder;
pub use cancel::SessionCancel;
pub use close::{CloseReason, Released};
pub use connect::{Connect, Connected};
pub use error::{AcquireError, AcquireReport, Holder, ServerDown};
pub use kept::Kept;
pub use pool::{Drain, DrainReport, SessionPool};
pub use reset::{OnDirty, Reset};
pub use session::Session;
pub use snapshot::{ShowPools, Snapshot, Totals};
pub use tap::{Tap, TransactionStatus, Wire};
