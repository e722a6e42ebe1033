//! The providers of this crate: a line for each, and a file for each vendor.

use super::Registry;

#[cfg(feature = "aws-s3")]
mod aws;
#[cfg(feature = "cloudflare")]
mod cloudflare;
#[cfg(feature = "fly")]
mod fly;
#[cfg(feature = "local")]
mod local;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "neon")]
mod neon;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "aws-s3", feature = "cloudflare-r2"))]
mod s3;
#[cfg(feature = "uptimerobot")]
mod uptimerobot;

macro_rules! providers {
    ($($trait_name:ident $name:literal = $vendor:ident::$opener:ident, feature $feature:tt;)+) => {
        /// Makes the registry know every provider, or the feature that it takes.
        pub(super) fn register(registry: &mut Registry) {
            $(
                registry.$trait_name.lacks($name, $feature);
                #[cfg(feature = $feature)]
                registry
                    .$trait_name
                    .add($name, |fields| Box::pin($vendor::$opener(fields)));
            )+
        }
    };
}

providers! {
    cdn "cloudflare" = cloudflare::cdn, feature "cloudflare";
    cdn "memory" = memory::cdn, feature "memory";
    database "memory" = memory::database, feature "memory";
    database "neon" = neon::database, feature "neon";
    database "postgres" = postgres::database, feature "postgres";
    dns "cloudflare" = cloudflare::dns, feature "cloudflare";
    dns "memory" = memory::dns, feature "memory";
    hosting "fly" = fly::hosting, feature "fly";
    hosting "memory" = memory::hosting, feature "memory";
    monitor "memory" = memory::monitor, feature "memory";
    monitor "uptimerobot" = uptimerobot::monitor, feature "uptimerobot";
    notifier "memory" = memory::notifier, feature "memory";
    object_store "aws" = aws::object_store, feature "aws-s3";
    object_store "cloudflare" = cloudflare::object_store, feature "cloudflare-r2";
    object_store "local" = local::object_store, feature "local";
    object_store "memory" = memory::object_store, feature "memory";
    pipeline "memory" = memory::pipeline, feature "memory";
    secret_store "memory" = memory::secret_store, feature "memory";
}
