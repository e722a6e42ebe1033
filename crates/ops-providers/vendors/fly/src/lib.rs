#![doc = include_str!("../README.md")]

pub mod api;
mod config;
mod error;
mod hosting;
mod model;
mod rollout;
mod settings;

pub use config::{Fly, FlyBuilder};

/// The name of this provider in errors and spans.
const PROVIDER: ops_core::ProviderId = ops_core::ProviderId::from_static("fly");

#[cfg(test)]
mod wire;
