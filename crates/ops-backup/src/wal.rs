//! The WAL archive of a cluster.
//!
//! ```text
//! <prefix>wal/lineage.json                                    which cluster the prefix belongs to
//! <prefix>wal/<system id>/archive.json                        segment size, encrypted or not
//! <prefix>wal/<system id>/epochs/00000001/identity.age        an epoch's identity, for the recipients
//! <prefix>wal/<system id>/segments/<timeline>/<log>/<name>.zst.age
//! <prefix>wal/<system id>/parts/<timeline>/<name>/<from>-<to>.zst.age
//! <prefix>wal/<system id>/history/<timeline>.zst.age          a history file, byte for byte
//! <prefix>wal/<system id>/gaps/<timeline>/<from>-<to>.json    WAL that will never come
//! <prefix>wal/<system id>/expired/<timeline>/<from>-<to>.json WAL that was let go of
//! <prefix>wal/<system id>/restore-points/<timeline>/<end>.json
//! <prefix>wal/<system id>/frontier.json                       a witness of how far it was
//! <prefix>wal/<system id>/lease.json                          who archives now
//! <prefix>wal/<system id>/expire-lease.json                   who lets go of WAL now
//! <prefix>wal/<system id>/restores/<name>.json                who restores now, and needs which WAL
//! ```
//!
//! Names of segments and timelines are PostgreSQL's own, so that they sort by position.
//! A segment is one object, whole from its first byte to its last; while it is being filled,
//! sealed parts of it are stored, which are removed when it is whole. Nothing is ever
//! overwritten: a key is written once, and whoever comes second must bring the same bytes.
//! Without encryption names end without `.age`.

mod archive;
mod archiver;
mod command;
mod epoch;
mod expire;
mod gap;
mod header;
mod hint;
mod info;
mod layout;
mod objects;
mod pin;
#[cfg(test)]
mod published;
mod reach;
mod recoverable;
mod restore_point;
mod scan;
mod seal;
mod search;
mod windows;

pub(crate) use archive::WalObject;
pub use archive::{
    Absent, Coverage, FetchOptions, Fetched, Frontier, Pushed, WalArchive, WalFile, WalRun,
};
pub(crate) use archiver::Archiving;
pub use archiver::{
    Archiver, ArchiverOptions, ArchiverState, ArchiverStatus, CommitMode, FreeDisk, OnGap,
    SlotHealth, SlotPolicy,
};
pub use command::{ArchiveCommand, RestoreCommand, restore_exit_code};
pub use expire::{KeepReason, KeptWal, StoreExpiry, WalExpiryPlan, WalExpiryReport, WalRetention};
pub use gap::{GapReason, GapRecord};
pub(crate) use objects::blocking_reader;
pub(crate) use pin::Pin;
pub(crate) use reach::{Reach, reach};
#[cfg(test)]
pub(crate) use recoverable::tests::entry as entry_at;
pub(crate) use recoverable::{chain_of, recoverable_windows, spans as base_backup_spans};
pub use restore_point::RestorePoint;
pub(crate) use windows::history_of;
pub use windows::{BaseBackupSpan, RecoverableWindow, plan_windows};

/// The operation that errors of this module name.
pub(crate) const OPERATION: &str = "wal";

/// How many bytes of WAL go into a zstd frame at most.
pub(crate) const FRAME_BYTES: usize = 1 << 20;
