#![doc = include_str!("../README.md")]

pub mod clock;
pub mod data;
pub mod fixture;
mod memory;
pub mod pg;
pub mod proxy;
mod redis;
mod refused;
#[cfg(feature = "s3")]
pub mod s3;
pub mod store;
pub mod wait;

pub use clock::ManualClock;
pub use memory::peak_rss_bytes;
pub use pg::{Pg, PgBuilder};
pub use proxy::FaultProxy;
pub use redis::Redis;
pub use refused::RefusedPort;
pub use store::FaultStore;
pub use wait::wait_until;
