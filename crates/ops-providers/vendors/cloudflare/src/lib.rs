#![doc = include_str!("../README.md")]

mod cdn;
mod dns;
#[cfg(feature = "r2")]
pub mod r2;
mod zone_tls;

pub mod api;
mod config;
mod error;
mod model;

pub use cdn::CloudflareCdn;
pub use config::{Cloudflare, CloudflareBuilder};
#[cfg(feature = "r2")]
pub use r2::{R2, R2Builder};

/// The name of this provider in errors and spans.
const PROVIDER: ops_core::ProviderId = ops_core::ProviderId::from_static("cloudflare");
