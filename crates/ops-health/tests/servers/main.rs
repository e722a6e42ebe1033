//! Faults of real servers, disks, certificates and pools: what the checks find, and how
//! long it takes them.
//!
//! Every test prints how long each detection took beside its bound. All of them:
//! `cargo test -p ops-health --all-features --test servers -- --nocapture`

#![cfg(test)]

#[cfg(feature = "tls")]
#[path = "../it/certificates.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod certificates;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod support;
#[cfg(feature = "redis")]
#[path = "../it/tell.rs"]
mod tell;

mod disk;
#[cfg(feature = "tls")]
mod expiry;
mod measure;
mod mount;
#[cfg(any(feature = "bb8", feature = "deadpool", feature = "sqlx"))]
mod pools;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "postgres")]
mod roles;
