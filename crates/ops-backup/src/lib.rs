#![doc = include_str!("../README.md")]

mod archive;
mod backup;
mod client;
mod drill;
mod dump;
mod error;
mod event;
mod fingerprint;
mod job;
mod keeper;
mod keys;
mod physical;
mod pipeline;
mod report;
mod repository;
mod restore;
mod status;
mod verify;
pub mod wal;

pub use archive::RowsDigest;
pub use backup::{Backup, BackupBuilder, Selection, SourceCheck};
pub use drill::{Assertion, DrillFailure, DrillOptions, DrillReport};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, Phase, Progress};
pub use fingerprint::{Check, CheckOutcome, Difference};
pub use job::Job;
pub use keeper::{DueReason, Keeper, KeeperOptions, KeptStore, OnBackup, OnStore};
pub use keys::{Encryption, EncryptionInfo, Unlock};
pub use ops_pg_replication::{Lsn, SystemId, Timeline, WalSegmentSize};
pub use physical::{
    ArchiveInfo, BadPage, BaseBackupReport, BaseBackupRequest, ClusterDrillOptions,
    ClusterDrillReport, ClusterRestoreOptions, ClusterRestoreReport, DrillLevel, FileEntry,
    FileKind, FrameTable, FullReason, PackInfo, PageChecks, PagePolicy, PhysicalInfo, PhysicalKind,
    PhysicalOptions, Reached, Recovery, RestoreTarget, StoreOutcome, TablespaceInfo, WalMethod,
    WalRange,
};
pub use report::BackupReport;
pub use repository::{
    BackupId, CatalogueEntry, CompressionInfo, Manifest, ManifestObject, ObjectRole, SourceInfo,
    SweepReport,
};
pub use restore::{RestoreOptions, RestoreReport};
pub use status::{
    ArchiveStatus, BackupKind, BackupSummary, DrillSummary, ListedBackup, Listing, Managed,
    RecoverablePoint, Source, Status,
};
pub use verify::{
    CheckedPart, ClosureEnd, PartCheck, Problem, ProblemKind, Unchecked, VerifyDepth,
    VerifyOptions, VerifyReport, WalClosure,
};
