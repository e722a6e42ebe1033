//! Counters of pools that others make.

#[cfg(feature = "bb8")]
mod bb8;
#[cfg(feature = "deadpool")]
mod deadpool;
#[cfg(feature = "pool")]
mod session_pool;
#[cfg(feature = "sqlx")]
mod sqlx;

#[cfg(feature = "bb8")]
pub use bb8::Bb8Counters;
