//! Physical backups: the files of a whole cluster, taken over the replication protocol.

mod base;
pub(crate) mod drill;
pub(crate) mod format;
pub(crate) mod incremental;
mod options;
mod pages;
mod report;
pub(crate) mod restore;
mod server_manifest;
mod tar;

pub(crate) use base::run as base_backup;
pub(crate) use server_manifest::{ManifestError, ManifestReader};

pub use drill::{ClusterDrillOptions, ClusterDrillReport, DrillLevel};
pub use format::{
    ArchiveInfo, BadPage, FileEntry, FileKind, FrameTable, PackInfo, PageChecks, PhysicalInfo,
    PhysicalKind, TablespaceInfo, WalMethod, WalRange,
};
pub use options::{BaseBackupRequest, PagePolicy, PhysicalOptions};
pub use report::{BaseBackupReport, FullReason, StoreOutcome};
pub use restore::{ClusterRestoreOptions, ClusterRestoreReport, Reached, Recovery, RestoreTarget};
