#![doc = include_str!("../README.md")]

pub mod binaries;
pub mod connect;
pub mod conninfo;
pub mod error;
pub mod ping;
pub mod process;
pub mod query;
pub mod server;
pub mod tls;
