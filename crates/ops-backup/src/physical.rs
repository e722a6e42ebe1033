//! Physical backups: the files of a whole cluster, taken over the replication protocol.

pub(crate) mod format;
mod pages;
mod server_manifest;
mod tar;

pub use format::{
    ArchiveInfo, BadPage, FileEntry, FileKind, FrameTable, PackInfo, PageChecks, PhysicalInfo,
    PhysicalKind, TablespaceInfo, WalMethod, WalRange,
};
