//! Physical backups: the files of a whole cluster, taken over the replication protocol.

pub(crate) mod format;
pub(crate) mod incremental;
pub(crate) mod restore;

pub use format::{
    ArchiveInfo, BadPage, FileEntry, FileKind, FrameTable, PackInfo, PageChecks, PhysicalInfo,
    PhysicalKind, TablespaceInfo, WalMethod, WalRange,
};
pub use restore::{ClusterRestoreOptions, ClusterRestoreReport, Reached, Recovery, RestoreTarget};
