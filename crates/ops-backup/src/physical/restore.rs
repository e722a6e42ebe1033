//! Restoring physical backups.

mod control;
mod directory;
mod label;
mod settings;
mod target;

pub use target::RestoreTarget;
