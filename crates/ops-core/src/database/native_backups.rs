//! Backups that the vendor keeps by itself.

use std::fmt;

use async_trait::async_trait;

use super::DatabaseState;
use crate::error::Result;
use crate::id::{DatabaseId, IdempotencyKey, NativeBackupId};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::time::Timestamp;

/// How far a backup has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NativeBackupState {
    /// Being made.
    Running,
    /// Can be restored.
    Complete,
    /// Could not be made.
    Failed,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// A backup that the vendor keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NativeBackup {
    /// The vendor's id.
    pub id: NativeBackupId,
    /// The name that somebody gave it.
    pub name: Option<String>,
    /// How far it has come.
    pub state: NativeBackupState,
    /// The instant that it holds.
    pub created_at: Timestamp,
    /// How large it is, in bytes, where the vendor tells.
    pub size_bytes: Option<u64>,
    /// When the vendor removes it, where that is known.
    pub expires_at: Option<Timestamp>,
}

impl NativeBackup {
    /// What is known of every backup.
    #[must_use]
    pub fn new(id: NativeBackupId, state: NativeBackupState, created_at: Timestamp) -> Self {
        Self {
            id,
            name: None,
            state,
            created_at,
            size_bytes: None,
            expires_at: None,
        }
    }
}

setters! { NativeBackup {
    opt { with_size_bytes(size_bytes: u64), with_expires_at(expires_at: Timestamp) }
    opt_into { with_name(name: String) }
} }

/// A request to make a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateBackupRequest {
    /// A name for it. Defaults to the vendor's.
    pub name: Option<String>,
    /// The same key makes the same backup. Defaults to a key of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

setters! { CreateBackupRequest {
    opt { with_idempotency_key(idempotency_key: IdempotencyKey) }
    opt_into { with_name(name: String) }
} }

/// What to restore.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestorePoint {
    /// A backup.
    Backup(NativeBackupId),
    /// The state at an instant inside the [`RecoveryWindow`].
    Time(Timestamp),
}

/// Where to restore to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreTarget {
    /// A new instance of that name; the old one stays as it is.
    NewInstance {
        /// The new instance's name.
        name: String,
    },
    /// The instance itself: what was written since is lost, unless it is preserved.
    InPlace {
        /// Keeps the present state under this name, where the vendor can; refused where
        /// it cannot.
        preserve_as: Option<String>,
    },
}

/// A request to restore.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreBackupRequest {
    /// What to restore.
    pub from: RestorePoint,
    /// Where to.
    pub target: RestoreTarget,
    /// The same key makes the same restore. Defaults to a key of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl RestoreBackupRequest {
    /// Restores to a new instance and leaves the old one as it is.
    pub fn to_new_instance(from: RestorePoint, name: impl Into<String>) -> Self {
        let target = RestoreTarget::NewInstance { name: name.into() };
        Self {
            from,
            target,
            idempotency_key: None,
        }
    }

    /// Restores the instance itself. What was written since is lost.
    #[must_use]
    pub fn in_place(from: RestorePoint) -> Self {
        Self {
            from,
            target: RestoreTarget::InPlace { preserve_as: None },
            idempotency_key: None,
        }
    }
}

setters! { RestoreBackupRequest {
    opt { with_idempotency_key(idempotency_key: IdempotencyKey) }
    val { with_target(target: RestoreTarget) }
} }

/// A restore that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NativeRestore {
    /// The instance that will hold the data; [`Provision::instance`](super::Provision::instance)
    /// tells when it is there.
    pub instance: DatabaseId,
    /// What that instance is doing now.
    pub state: DatabaseState,
}

impl NativeRestore {
    /// A restore that was started.
    #[must_use]
    pub fn new(instance: DatabaseId, state: DatabaseState) -> Self {
        Self { instance, state }
    }
}

/// The instants to which an instance can be restored, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RecoveryWindow {
    /// The earliest.
    pub earliest: Timestamp,
    /// The latest.
    pub latest: Timestamp,
}

impl RecoveryWindow {
    /// A span of instants.
    #[must_use]
    pub fn new(earliest: Timestamp, latest: Timestamp) -> Self {
        Self { earliest, latest }
    }

    /// Whether an instant can be restored.
    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.earliest <= instant && instant <= self.latest
    }
}

/// Backups that the vendor keeps by itself. An ability of [`Database`](super::Database).
///
/// They live with the vendor and fall with the account: they complement backups in a
/// store of one's own, and do not replace them.
#[async_trait]
pub trait NativeBackups: fmt::Debug + Send + Sync + 'static {
    /// Lists the instance's backups, newest first, page by page as the stream is polled.
    fn list_backups(&self) -> ItemStream<NativeBackup>;

    /// What is known of a backup.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn backup(&self, backup: &NativeBackupId) -> Result<NativeBackup>;

    /// Starts a backup.
    ///
    /// # Behavior
    /// 1. Returns when the vendor has accepted it; [`backup`](Self::backup) tells when it
    ///    is complete.
    /// 2. Two calls with one idempotency key make one backup and both answer it.
    ///
    /// # Errors
    /// `Unsupported` where the vendor makes backups by its own schedule alone;
    /// `QuotaExceeded`; `Conflict` while another one runs. After a timeout the outcome is
    /// unknown: [`list_backups`](Self::list_backups) tells.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the backup started.
    async fn create_backup(&self, request: CreateBackupRequest) -> Result<NativeBackup>;

    /// Starts a restore.
    ///
    /// # Behavior
    /// 1. A restore to a new instance changes nothing about this one.
    /// 2. A target that the vendor does not have is `Unsupported`: RDS has no restore in
    ///    place, Upstash has no other. Nothing is changed then.
    ///
    /// # Errors
    /// `NotFound` for the backup; `InvalidInput` for an instant outside the
    /// [`recovery_window`](Self::recovery_window); `Conflict` for a backup that is not
    /// complete; `AlreadyExists` for the new name; `Unsupported`. After a timeout the
    /// outcome is unknown: list the instances, or read the state of this one.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the restore started.
    async fn restore_backup(&self, request: RestoreBackupRequest) -> Result<NativeRestore>;

    /// The instants to which the instance can be restored; `None` where it cannot be
    /// restored to an instant.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn recovery_window(&self) -> Result<Option<RecoveryWindow>>;
}

const _: fn(&dyn NativeBackups) = |_| {};
