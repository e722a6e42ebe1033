#![doc = include_str!("../README.md")]

pub mod api;
mod config;
mod error;
mod model;
mod monitor;

pub use config::{UptimeRobot, UptimeRobotBuilder};

/// The name of this provider in errors and spans.
const PROVIDER: ops_core::ProviderId = ops_core::ProviderId::from_static("uptimerobot");
