//! What a server says of itself: notices, and errors with what they mean here.

use std::error::Error as StdError;
use std::fmt;

use ops_core::Error;

/// A notice, warning or error in a server's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// `ERROR`, `WARNING`, `NOTICE` and so on, never translated.
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    /// What happened, on one line, in the language of the server.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// What it means for a replication client, where that is more than the SQLSTATE says.
    pub failure: Option<Failure>,
}

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
    /// Nothing came from the server for as long as it may be silent.
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
            Self::Silent => "nothing came for as long as the server may be silent",
            Self::Protocol => "it is not what the protocol says",
        })
    }
}

impl StdError for Failure {}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            code,
            message,
            ..
        } = self;
        write!(f, "{severity} {code}: {message}")?;
        for more in self.detail.iter().chain(&self.hint) {
            write!(f, " {more}")?;
        }
        Ok(())
    }
}

impl StdError for Notice {}
