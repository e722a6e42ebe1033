//! wip
#![allow(dead_code)]
mod close;
mod core;
pub use close::{CloseReason, Released};
