//! Restoring physical backups.

mod chain;
mod control;
mod directory;
mod end;
mod files;
mod label;
mod lines;
mod options;
mod outline;
mod packs;
mod ranged;
mod reach;
mod recover;
mod run;
mod settings;
mod spool;
mod target;
mod write;

pub use options::{ClusterRestoreOptions, ClusterRestoreReport, Reached, Recovery};
pub use target::RestoreTarget;

pub(crate) use run::run;
