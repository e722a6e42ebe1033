#![doc = include_str!("../README.md")]

pub mod cdn;
pub mod database;
pub mod dns;
pub mod error;
pub mod ext;
pub mod hosting;
pub mod id;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
pub mod monitor;
pub mod notifier;
pub mod object_store;
pub mod outcome;
pub mod page;
pub mod pipeline;
pub mod redact;
pub mod secret;
pub mod secret_store;
pub mod time;
pub mod usage;

mod forward;
mod macros;
mod stream;

#[doc(no_inline)]
pub use async_trait::async_trait;

pub use cdn::Cdn;
pub use database::Database;
pub use dns::Dns;
pub use error::{BoxError, Error, ErrorKind, Report, Result, Retry};
pub use ext::{
    CdnExt, DatabaseExt, DeployOutcome, DnsExt, Gate, GateOutcome, GateReport, HostingExt,
    MonitorExt, NotifierExt, ObjectStoreExt, OffloadOptions, OffloadReport, PipelineExt,
    RunOutcome, SecretStoreExt, SyncOptions, SyncReport, WaitOptions,
};
pub use hosting::Hosting;
pub use id::ProviderId;
pub use monitor::Monitor;
pub use notifier::Notifier;
pub use object_store::{ByteStream, ItemStream, ObjectKey, ObjectStore};
pub use outcome::{DeleteOutcome, EnsureOutcome, Ensured};
pub use page::Page;
pub use pipeline::Pipeline;
pub use secret::{Secret, SecretRef};
pub use secret_store::SecretStore;
pub use time::{Clock, SystemClock, Timestamp};
pub use usage::Usage;
