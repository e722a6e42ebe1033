//! Restoring physical backups.

mod chain;
mod control;
mod directory;
mod label;
mod lines;
mod outline;
mod packs;
mod ranged;
mod settings;
mod target;
mod write;

pub use target::RestoreTarget;
