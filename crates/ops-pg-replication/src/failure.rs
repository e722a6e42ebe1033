//! What went wrong, in more detail than a kind of error has.

use std::error::Error as StdError;
use std::fmt;

use ops_core::{Error, ErrorKind, Retry};

use crate::notice::Notice;

/// What went wrong, in more detail than [`ops_core::ErrorKind`] has.
///
/// Where PostgreSQL has one SQLSTATE for several of these, they are told apart by names of
/// settings and files in the message, which survive translation, else by its English text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// `pg_hba.conf` does not admit the user to replication from here.
    RefusedByHba,
    /// The role lacks `REPLICATION`, or a right that the command needs.
    NotPermitted,
    /// All of `max_wal_senders` are in use.
    TooManySenders,
    /// `max_wal_senders` is 0, as it must be where `wal_level` is `minimal`.
    ReplicationOff,
    /// `wal_level` is `minimal`.
    WalLevelMinimal,
    /// The replication slot does not exist.
    SlotMissing,
    /// The replication slot exists already.
    SlotExists,
    /// Another connection uses the replication slot.
    SlotActive,
    /// The replication slot was invalidated: the WAL it held back is gone.
    SlotLost,
    /// All of `max_replication_slots` are in use, or it is 0.
    TooManySlots,
    /// The server no longer has the WAL that was asked for.
    WalRemoved,
    /// The position or the timeline that was asked for is not in the server's history.
    NotInHistory,
    /// The position that was asked for lies past the end of the server's WAL.
    AheadOfServer,
    /// The server has no history file of the timeline.
    HistoryMissing,
    /// It is another cluster than the one that was expected.
    WrongSystem,
    /// The standby was promoted while it was backed up.
    PromotedDuringBackup,
    /// No incremental backup can be taken: WAL summaries are off or missing, or the
    /// manifest of the previous backup does not fit. A full one can.
    NoIncremental,
    /// Pages whose checksum is wrong were found in a base backup.
    ChecksumFailed,
    /// WAL came that does not follow on what came before.
    OutOfSequence,
    /// Nothing came from the server for as long as it may be silent, or no whole answer for
    /// as long as that may take.
    Silent,
    /// What came is not what the protocol says.
    Protocol,
}

impl Failure {
    /// What went wrong in an error of this crate, where it is more than its kind says.
    ///
    /// ```
    /// use ops_core::{Error, ErrorKind};
    /// use ops_pg_replication::Failure;
    ///
    /// assert_eq!(Failure::of(&Error::new(ErrorKind::Timeout, "too late")), None);
    /// ```
    pub fn of(error: &Error) -> Option<Self> {
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(err) = next {
            if let Some(failure) = err.downcast_ref::<Self>() {
                return Some(*failure);
            }
            if let Some(notice) = err.downcast_ref::<Notice>() {
                return notice.failure;
            }
            next = err.source();
        }
        None
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RefusedByHba => "pg_hba.conf does not admit this user to replication from here",
            Self::NotPermitted => "the role lacks REPLICATION or a right that the command needs",
            Self::TooManySenders => "all of max_wal_senders are in use",
            Self::ReplicationOff => "max_wal_senders is 0; wal_level=minimal demands that",
            Self::WalLevelMinimal => "wal_level is minimal",
            Self::SlotMissing => "the replication slot does not exist",
            Self::SlotExists => "the replication slot exists already",
            Self::SlotActive => "another connection uses the replication slot",
            Self::SlotLost => "the replication slot was invalidated",
            Self::TooManySlots => "all of max_replication_slots are in use",
            Self::WalRemoved => "the server no longer has the WAL that was asked for",
            Self::NotInHistory => "what was asked for is not in the server's history",
            Self::AheadOfServer => "the server's WAL ends before what was asked for",
            Self::HistoryMissing => "the server has no history of that timeline",
            Self::WrongSystem => "it is another cluster than the one that was expected",
            Self::PromotedDuringBackup => "the standby was promoted while it was backed up",
            Self::NoIncremental => "no incremental backup can be taken, but a full one can",
            Self::ChecksumFailed => "pages with a wrong checksum were found",
            Self::OutOfSequence => "the WAL does not follow on what came before",
            Self::Silent => "the server was silent for too long",
            Self::Protocol => "it is not what the protocol says",
        })
    }
}

impl StdError for Failure {}

impl Failure {
    /// Finds out what a server's error means.
    pub(crate) fn detect(notice: &Notice) -> Option<Self> {
        let has = |part: &str| notice.message.contains(part);
        let detail = notice.detail.as_deref().unwrap_or_default();
        match notice.code.as_str() {
            "28000" if has("pg_hba.conf") => Some(Self::RefusedByHba),
            "42501" => Some(Self::NotPermitted),
            // "... exceeds max_wal_senders (currently 0)"
            "53300" if has("max_wal_senders") && has(" 0)") => Some(Self::ReplicationOff),
            "53300" if has("max_wal_senders") => Some(Self::TooManySenders),
            "42704" if has("slot") => Some(Self::SlotMissing),
            "42710" if has("slot") => Some(Self::SlotExists),
            "55006" if has("slot") => Some(Self::SlotActive),
            "53400" if has("slot") => Some(Self::TooManySlots),
            "55000" if has("max_replication_slots") => Some(Self::TooManySlots),
            "55000" if has("no longer") || detail.contains("invalidated") => Some(Self::SlotLost),
            "55000" if has("promoted") => Some(Self::PromotedDuringBackup),
            "55000" if notice.names("wal_level") => Some(Self::WalLevelMinimal),
            "55000" if has("summar") || has("manifest") || has("incremental") => {
                Some(Self::NoIncremental)
            }
            "58P01" if has(".history") => Some(Self::HistoryMissing),
            "58P01" => Some(Self::WalRemoved),
            "XX000" if has("not in this server's history") => Some(Self::NotInHistory),
            "XX000" if has("ahead of the WAL flush position") => Some(Self::AheadOfServer),
            "XX001" => Some(Self::ChecksumFailed),
            _ => None,
        }
    }

    /// What kind of error it is, and whether to try again, where the SQLSTATE does not say.
    pub(crate) fn classify(self) -> Option<(ErrorKind, Retry)> {
        match self {
            Self::ReplicationOff | Self::WalLevelMinimal => {
                Some((ErrorKind::Unsupported, Retry::Never))
            }
            Self::WalRemoved | Self::HistoryMissing => Some((ErrorKind::NotFound, Retry::Never)),
            Self::NotInHistory => Some((ErrorKind::Conflict, Retry::Never)),
            Self::TooManySlots => Some((ErrorKind::QuotaExceeded, Retry::Never)),
            // These may be different another time.
            Self::AheadOfServer | Self::SlotActive | Self::PromotedDuringBackup => {
                Some((ErrorKind::Conflict, Retry::Safe))
            }
            _ => None,
        }
    }
}
