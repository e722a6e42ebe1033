#![doc = include_str!("../README.md")]

mod abilities;
mod budget;
mod client;
mod condition;
mod config;
mod copy;
mod credentials;
mod delete;
mod digest;
mod error;
mod get;
mod list;
mod operation;
mod operations;
mod plan;
mod probe;
mod profile;
mod put;
mod store;
mod trace;
mod transport;
mod upload;
mod wire;

pub use config::{Addressing, PayloadSigning, S3StoreBuilder};
pub use credentials::{CredentialsProvider, S3Credentials};
pub use operations::{OPERATIONS, S3Operation};
pub use probe::{Finding, ProbeReport};
pub use profile::{ChecksumKind, EtagForm, StoreProfile};
pub use store::S3Store;
