#![doc = include_str!("../README.md")]

pub mod api;
mod config;
mod database;
mod error;
mod model;

pub use config::{Neon, NeonBuilder};

/// The name of this provider in errors and spans.
const PROVIDER: ops_core::ProviderId = ops_core::ProviderId::from_static("neon");
