#![doc = include_str!("../README.md")]

mod backup;
mod client;
mod connection;
mod error;
mod failure;
mod lsn;
mod notice;
mod options;
mod segment;
mod slot;
mod stream;
mod system;
mod text;
mod timeline;
mod wire;

pub use backup::{
    BackupEnd, BackupEvent, BackupStart, BaseBackup, BaseBackupOptions, Checkpoint, Manifest,
    ManifestChecksums, Tablespace,
};
pub use client::{ReplicationClient, Row, SystemIdentity};
pub use failure::Failure;
pub use lsn::Lsn;
pub use notice::Notice;
pub use options::{Mode, ReplicationOptions};
pub use segment::{SegmentName, WalSegmentSize};
pub use slot::{SlotName, SlotOptions, SlotPosition};
pub use stream::{
    NextTimeline, StartReplication, StatusReporter, StatusUpdate, WalEvent, WalStream,
};
pub use system::SystemId;
pub use timeline::{HistoryEntry, Timeline, TimelineHistory};
