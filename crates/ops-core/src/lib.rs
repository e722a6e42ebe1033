#![doc = include_str!("../README.md")]

pub mod database;
pub mod error;
pub mod id;
pub mod object_store;
pub mod page;
pub mod secret;
pub mod time;

#[doc(no_inline)]
pub use async_trait::async_trait;

pub use database::Database;
pub use error::{BoxError, Error, ErrorKind, Report, Result, Retry};
pub use id::ProviderId;
pub use object_store::{ByteStream, ItemStream, ObjectKey, ObjectStore};
pub use page::Page;
pub use secret::Secret;
pub use time::{Clock, SystemClock, Timestamp};
