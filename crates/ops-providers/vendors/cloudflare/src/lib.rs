#![doc = include_str!("../README.md")]

mod cdn;
mod dns;
mod zone_tls;

pub mod api;
mod config;
mod error;
mod model;

pub use cdn::CloudflareCdn;
pub use config::{Cloudflare, CloudflareBuilder};

/// The name of this provider in errors and spans.
const PROVIDER: ops_core::ProviderId = ops_core::ProviderId::from_static("cloudflare");
