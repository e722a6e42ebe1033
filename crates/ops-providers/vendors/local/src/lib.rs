#![doc = include_str!("../README.md")]

mod commit;
mod config;
mod copy;
mod error;
mod key;
mod list;
mod local;
mod lock;
mod meta;
mod read;
mod receive;
mod root;
mod store;
mod sums;
mod temp;
mod upload;
mod version;

pub use config::{Durability, LocalBuilder};
pub use local::Local;
