#![doc = include_str!("../README.md")]

pub mod database;
pub mod error;
pub mod ext;
pub mod hosting;
pub mod id;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
pub mod monitor;
pub mod object_store;
pub mod outcome;
pub mod page;
pub mod redact;
pub mod secret;
pub mod time;
pub mod usage;

mod forward;
mod macros;
mod stream;

#[doc(no_inline)]
pub use async_trait::async_trait;

pub use database::Database;
pub use error::{BoxError, Error, ErrorKind, Report, Result, Retry};
pub use ext::{
    DatabaseExt, DeployOutcome, Gate, GateOutcome, GateReport, HostingExt, MonitorExt,
    ObjectStoreExt, OffloadOptions, OffloadReport, SyncOptions, SyncReport, WaitOptions,
};
pub use hosting::Hosting;
pub use id::ProviderId;
pub use monitor::Monitor;
pub use object_store::{ByteStream, ItemStream, ObjectKey, ObjectStore};
pub use outcome::{DeleteOutcome, EnsureOutcome, Ensured};
pub use page::Page;
pub use secret::Secret;
pub use time::{Clock, SystemClock, Timestamp};
pub use usage::Usage;
