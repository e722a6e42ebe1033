//! Restoring physical backups.

mod chain;
mod choose;
mod control;
mod directory;
mod end;
mod files;
mod label;
mod lines;
mod manifest;
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

pub(crate) use chain::read_label;
pub(crate) use choose::{Chosen, choose};
pub(crate) use control::ControlData;
pub(crate) use files::{Destination, FilePlan};
pub(crate) use label::BackupLabel;
pub(crate) use lines::for_each_line;
pub(crate) use packs::Packs;
pub(crate) use ranged::Source as RangedSource;
pub(crate) use reach::Wishes;
pub(crate) use recover::{
    START_TIMEOUT, settings as recovery_settings, signal_file, stop as stop_server,
};
pub(crate) use run::{Prepared, no_server, owner, run, server_folder, write_files};
pub(crate) use spool::Spool;
