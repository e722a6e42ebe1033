//! What a base backup consists of.

use std::path::PathBuf;

use bytes::Bytes;

use crate::lsn::Lsn;
use crate::notice::Notice;
use crate::timeline::Timeline;

/// A tablespace besides the main data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tablespace {
    /// Its object id, which names its archive and its link in `pg_tblspc`.
    pub oid: u32,
    /// Where it lies on the server.
    pub path: PathBuf,
    /// About how large it is, in bytes, where progress was asked for.
    pub size: Option<u64>,
}

/// How a base backup begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupStart {
    /// Where the WAL begins that the backup needs.
    pub lsn: Lsn,
    /// The timeline of that position.
    pub timeline: Timeline,
    /// The tablespaces besides the main data directory.
    pub tablespaces: Vec<Tablespace>,
    /// About how large the main data directory is, in bytes, where progress was asked for.
    pub main_size: Option<u64>,
}

/// How a base backup ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupEnd {
    /// Where the WAL ends that the backup needs.
    pub lsn: Lsn,
    /// The timeline of that position.
    pub timeline: Timeline,
    /// What the server said of pages with a wrong checksum, of which it sent a warning per
    /// file. The backup is complete, but it has these pages in it.
    pub checksum_failure: Option<Notice>,
}

/// A piece of a base backup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackupEvent {
    /// A tar archive begins; the one before it is whole.
    Archive {
        /// Its name: `base.tar`, or `<oid>.tar`.
        name: String,
        /// The tablespace in it; `None` for the main data directory.
        tablespace: Option<Tablespace>,
    },
    /// Bytes of the archive.
    Data(Bytes),
    /// So many bytes have been read by the server.
    Progress(u64),
    /// The manifest begins; the last archive is whole.
    ManifestBegin,
    /// Bytes of the manifest.
    Manifest(Bytes),
    /// The server has something to say.
    Notice(Notice),
    /// The backup is complete. Nothing before was valid without it.
    End(BackupEnd),
}
