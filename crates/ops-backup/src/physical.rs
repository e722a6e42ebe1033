//! Physical backups: the files of a whole cluster, taken over the replication protocol.

mod base;
pub(crate) mod format;
mod options;
mod pages;
mod report;
mod server_manifest;
mod tar;

pub(crate) use base::run as base_backup;

pub use format::{
    ArchiveInfo, BadPage, FileEntry, FileKind, FrameTable, PackInfo, PageChecks, PhysicalInfo,
    PhysicalKind, TablespaceInfo, WalMethod, WalRange,
};
pub use options::{BaseBackupRequest, PagePolicy, PhysicalOptions};
pub use report::{BaseBackupReport, FullReason, StoreOutcome};
