//! What is written down about a physical backup.
//!
//! A cluster arrives as tar archives: `base.tar`, and one `<oid>.tar` for each tablespace. An
//! archive is cut into frames, each a zstd frame of its own of at most
//! [`CompressionInfo::frame_bytes`](crate::CompressionInfo::frame_bytes) plain bytes, and
//! frames are put one after the other into packs, the objects of
//! [`ObjectRole::Data`](crate::ObjectRole::Data). The plain bytes of an archive's packs, in
//! order, are the archive: `age -d | zstd -d | tar x` unpacks it. No pack holds frames of two
//! archives.
//!
//! Three small objects go with them, sealed like everything else:
//!
//! ```text
//! files.jsonl.zst.age      one FileEntry a line: each file, folder and link, as it was sent
//! frames.jsonl.zst.age     one FrameTable a line: the lengths of the frames of each pack
//! backup_manifest.zst.age  the server's own manifest, byte for byte
//! ```
//!
//! A range of an archive is found so: [`PackInfo::offset`] leads to the pack, the plain
//! lengths of its [`FrameTable`] to the frame, and the sum of the stored lengths before it to
//! the place in the pack's payload. An age payload is made of chunks of 64 KiB, each stored
//! with a tag of 16 bytes: with `p` the sum of all stored lengths of a pack, its payload takes
//! `p + 16 * max(1, ceil(p / 65536))` bytes at the end of the object, and what comes before is
//! the header and the nonce.

mod file;
mod pages;

use ops_pg_replication::{Lsn, SystemId, Timeline, WalSegmentSize};

use crate::repository::BackupId;

#[cfg(test)]
pub(crate) use file::hex;
pub(crate) use file::unhex;
pub use file::{FileEntry, FileKind};
pub use pages::{BadPage, PageChecks};

/// Where the WAL comes from that a backup needs to become consistent.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WalMethod {
    /// It is in the backup, under `pg_wal` of the main archive: the backup can be restored
    /// by itself. The default.
    #[default]
    Included,
    /// It is in the WAL archive of the same cluster.
    Archive,
}

/// Whether a backup stands by itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PhysicalKind {
    /// It holds every file.
    Full,
    /// It holds what changed since its parent (PostgreSQL 17 or newer).
    Incremental {
        /// The backup that this one builds upon, full or incremental.
        parent: BackupId,
        /// The full backup at the bottom of the chain.
        full: BackupId,
    },
}

impl PhysicalKind {
    /// The backup that this one builds upon.
    #[must_use]
    pub fn parent(&self) -> Option<&BackupId> {
        match self {
            Self::Full => None,
            Self::Incremental { parent, .. } => Some(parent),
        }
    }
}

/// A piece of WAL that a backup needs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[non_exhaustive]
pub struct WalRange {
    /// The timeline.
    pub timeline: Timeline,
    /// The first byte.
    pub start: Lsn,
    /// The byte after the last.
    pub end: Lsn,
}

impl WalRange {
    /// A range of a timeline.
    #[must_use]
    pub const fn new(timeline: Timeline, start: Lsn, end: Lsn) -> Self {
        Self {
            timeline,
            start,
            end,
        }
    }
}

/// A tablespace.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct TablespaceInfo {
    /// Its OID, which is also its name in `pg_tblspc`.
    pub oid: u32,
    /// Where it lay on the server.
    pub location: String,
    /// The place of its archive in [`PhysicalInfo::archives`].
    pub archive: u32,
}

/// A tar archive as the server sent it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ArchiveInfo {
    /// Its name: `base.tar`, or `<oid>.tar` for a tablespace.
    pub name: String,
    /// The tablespace's OID; none for the main data folder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tablespace: Option<u32>,
    /// Its size in bytes, with the two zero blocks at its end, which servers before 15 do
    /// not send.
    pub bytes: u64,
}

/// A pack: the stored object of [`ObjectRole::Data`](crate::ObjectRole::Data) that has the
/// same place among those as this has in [`PhysicalInfo::packs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct PackInfo {
    /// The place of its archive in [`PhysicalInfo::archives`].
    pub archive: u32,
    /// Where in the archive its first byte belongs.
    pub offset: u64,
    /// How many bytes of the archive it holds.
    pub bytes: u64,
    /// How many frames it has.
    pub frames: u64,
}

/// The frames of a pack: a line of `frames.jsonl`. A pack has one line or more, in order.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct FrameTable {
    /// The place of the pack in [`PhysicalInfo::packs`].
    pub pack: u32,
    /// For each frame its plain length and its length in the pack's payload, in bytes.
    pub frames: Vec<(u32, u32)>,
}

impl FrameTable {
    /// Frames of a pack.
    #[must_use]
    pub const fn new(pack: u32, frames: Vec<(u32, u32)>) -> Self {
        Self { pack, frames }
    }
}

/// What a manifest says about a physical backup.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct PhysicalInfo {
    /// The cluster.
    pub system_id: SystemId,
    /// The timeline on which the backup began.
    pub timeline: Timeline,
    /// Where recovery begins.
    pub start_lsn: Lsn,
    /// The timeline on which the backup ended.
    pub end_timeline: Timeline,
    /// Where the cluster is consistent: no target before it can be reached.
    pub end_lsn: Lsn,
    /// The WAL that is needed to get there, as the server's manifest says. There is more
    /// than one range where a standby's upstream was promoted in the middle.
    pub wal_ranges: Vec<WalRange>,
    /// Where that WAL is.
    pub wal: WalMethod,
    /// Full or incremental.
    #[serde(flatten)]
    pub kind: PhysicalKind,
    /// The label, as it is in `backup_label`.
    pub label: String,
    /// Whether a standby was read.
    pub from_standby: bool,
    /// The server's version as a number, such as `150018`.
    pub server_version_num: u32,
    /// The size of a WAL segment.
    pub wal_segment_size: WalSegmentSize,
    /// Whether the cluster has page checksums.
    pub data_checksums: bool,
    /// What came of looking at the pages.
    pub pages: PageChecks,
    /// Whether the backup holds damaged pages: it is better than none, and not one to rely
    /// upon.
    pub degraded: bool,
    /// How many files there are; folders and links are not counted.
    pub files: u64,
    /// The tablespaces.
    pub tablespaces: Vec<TablespaceInfo>,
    /// The archives, in the order in which they were sent.
    pub archives: Vec<ArchiveInfo>,
    /// The packs; those of one archive follow each other, in order.
    pub packs: Vec<PackInfo>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::repository::Manifest;

    const DUMP: &str = include_str!("format/dump.json");
    const PHYSICAL: &str = include_str!("format/physical.json");

    #[test]
    fn a_dump_of_format_1_is_read_as_it_was_written() {
        let manifest = Manifest::parse("test", DUMP.as_bytes()).unwrap();
        Manifest::verify_seal("test", DUMP.as_bytes(), None).unwrap();
        assert_eq!((manifest.format, manifest.kind.as_str()), (1, "dump"));
        assert!(manifest.physical.is_none());
        assert_eq!(manifest.to_bytes(None).unwrap(), DUMP.as_bytes());
        let err = manifest.require_physical("test").unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_physical_manifest_is_of_the_published_format() {
        let manifest = Manifest::parse("test", PHYSICAL.as_bytes()).unwrap();
        Manifest::verify_seal("test", PHYSICAL.as_bytes(), None).unwrap();
        let physical = manifest.require_physical("test").unwrap();
        let parent = physical.kind.parent().map(BackupId::as_str);
        assert_eq!(parent, Some("20261120T225752Z-3f9a1c07"));
        assert!(physical.pages.found_bad());
        assert_eq!(manifest.to_bytes(None).unwrap(), PHYSICAL.as_bytes());
        let err = manifest.require_dump("test").unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_manifest_that_contradicts_itself_or_is_of_the_future_is_refused() {
        let broken = [
            (
                PHYSICAL.replacen("\"format\": 2", "\"format\": 1", 1),
                ErrorKind::Integrity,
            ),
            (
                PHYSICAL.replacen("\"physical\",", "\"dump\",", 1),
                ErrorKind::Integrity,
            ),
            (
                PHYSICAL.replacen("\"archive\": 1", "\"archive\": 7", 1),
                ErrorKind::Integrity,
            ),
            (
                PHYSICAL.replacen("\"role\": \"data\"", "\"role\": \"files\"", 1),
                ErrorKind::Integrity,
            ),
            (
                DUMP.replacen("\"format\": 1", "\"format\": 2", 1),
                ErrorKind::Integrity,
            ),
            (
                DUMP.replacen("\"format\": 1", "\"format\": 3", 1),
                ErrorKind::UnknownFormat,
            ),
        ];
        for (text, kind) in broken {
            let err = Manifest::parse("test", text.as_bytes()).unwrap_err();
            assert_eq!(err.kind(), kind, "{text}");
        }
    }
}
