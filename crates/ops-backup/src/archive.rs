//! Reading `pg_dump`'s custom format while it streams past.
//!
//! A dump that ends early looks like any other pipe that closed. [`Walker`] follows the
//! archive byte by byte: it ends well only where every entry of the table of contents
//! that promises data had its block, and every block its end. On the way it counts and
//! hashes the rows of each table, which costs the server nothing.
//!
//! The format has no specification but its source: `src/bin/pg_dump/pg_backup_archiver.c`
//! (`ReadHead`, `ReadToc`, `ReadInt`, `ReadStr`) and `pg_backup_custom.c` (`_WriteData`,
//! `_StartLOs`). Versions 1.14 (PostgreSQL 12 to 15), 1.15 (16) and 1.16 (17 and 18)
//! are understood.

mod cursor;
mod rows;
mod toc;
mod walker;

pub use rows::RowsDigest;
pub(crate) use rows::{LargeObjectsHasher, RowHasher};
pub(crate) use toc::TocEntry;
pub(crate) use walker::{Archive, Walker};

/// An archive that is not what `pg_dump -Fc -Z0` writes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("it does not start as an archive of pg_dump")]
    Magic,
    #[error("its format version {0}.{1} is not known")]
    Version(u8, u8),
    #[error("it is not in the custom format")]
    Format,
    #[error("it is compressed, although -Z0 was asked for")]
    Compressed,
    #[error("it holds a number that cannot be right at byte {0}")]
    Number(u64),
    #[error("it holds a block of unknown type {0} at byte {1}")]
    BlockType(u8, u64),
    #[error("its table of contents is larger than {0} bytes")]
    TocTooLarge(usize),
    #[error("it ends in the middle of its table of contents")]
    TruncatedToc,
    #[error("it ends in the middle of a data block")]
    TruncatedBlock,
    #[error("the data of {0} is missing")]
    MissingData(String),
}
