//! What every provider must pass before it is trusted.

#[cfg(feature = "contract")]
pub mod contract;
