#![doc = include_str!("../README.md")]

pub mod registry;

#[cfg(feature = "aws-s3")]
pub use ops_aws;
#[cfg(feature = "cloudflare")]
pub use ops_cloudflare;
#[cfg(feature = "fly")]
pub use ops_fly;
#[cfg(feature = "local")]
pub use ops_local;
#[cfg(feature = "neon")]
pub use ops_neon;
#[cfg(feature = "postgres")]
pub use ops_postgres;
#[cfg(feature = "uptimerobot")]
pub use ops_uptimerobot;
