#![doc = include_str!("../README.md")]

pub mod case;
pub mod cdn;
#[cfg(feature = "contract")]
pub mod contract;
pub mod database;
pub mod dns;
pub mod fixture;
pub mod hosting;
pub mod leak;
#[cfg(feature = "memory")]
pub mod memory;
pub mod monitor;
pub mod notifier;
pub mod object_store;
pub mod pipeline;
pub mod quirk;
pub mod run;
pub mod secret_store;
#[cfg(feature = "wire")]
pub mod wire;

mod macros;
mod marks;
mod support;
mod usage;

pub use async_trait::async_trait;
pub use case::{Case, Outcome, Requirement};
pub use fixture::Fixture;
pub use quirk::Quirk;
