//! The header and the table of contents.

use super::ArchiveError;
use super::cursor::Cursor;

/// One entry of the table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]

pub(crate) struct TocEntry {
    pub(crate) dump_id: i64,
    /// Whether a data block belongs to it.
    pub(crate) has_data: bool,
    /// The object's name.
    pub(crate) tag: String,
    /// The kind of entry, such as `TABLE` or `TABLE DATA`.
    pub(crate) desc: String,
    /// The schema, empty for objects outside schemas.
    pub(crate) namespace: String,
    /// The owner.
    pub(crate) owner: String,
    /// The command that makes the object.
    pub(crate) defn: String,
    /// The `COPY ... FROM stdin` command of a table's data.
    pub(crate) copy_stmt: String,
}

/// What the header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    minor: u8,
    pub(super) int_size: usize,
    offset_size: usize,
    entries: i64,
    /// How many bytes the header takes.
    pub(super) len: usize,
}

const MAGIC: &[u8] = b"PGDMP";
const FORMAT_CUSTOM: u8 = 1;

impl Header {
    /// Parses the header from the start of the archive; `None` where more is needed.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, ArchiveError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes.get(..known) != MAGIC.get(..known) {
            return Err(ArchiveError::Magic);
        }
        let Some(&[major, minor, _revision, int_size, offset_size, format]) =
            bytes.get(MAGIC.len()..MAGIC.len() + 6)
        else {
            return Ok(None);
        };
        if major != 1 || !(14..=16).contains(&minor) {
            return Err(ArchiveError::Version(major, minor));
        }
        if format != FORMAT_CUSTOM {
            return Err(ArchiveError::Format);
        }
        let int_size = usize::from(int_size);
        if !(1..=8).contains(&int_size) || offset_size > 16 {
            return Err(ArchiveError::Number(8));
        }
        let rest = bytes.get(MAGIC.len() + 6..).unwrap_or_default();
        let mut cursor = Cursor::new(rest, int_size);
        let Some((compression, entries)) = Self::parse_rest(&mut cursor, minor) else {
            return Ok(None);
        };
        if compression != 0 {
            return Err(ArchiveError::Compressed);
        }
        let len = bytes.len() - cursor.remaining();
        Ok(Some(Self {
            minor,
            int_size,
            offset_size: usize::from(offset_size),
            entries,
            len,
        }))
    }

    /// Compression (an algorithm from 1.15, a level before), seven numbers of the date,
    /// database name, server and program version, number of entries.
    fn parse_rest(cursor: &mut Cursor<'_>, minor: u8) -> Option<(i64, i64)> {
        let compression = if minor >= 15 {
            i64::from(cursor.byte()?)
        } else {
            cursor.int()?
        };
        for _ in 0..7 {
            cursor.int()?;
        }
        for _ in 0..3 {
            cursor.string()?;
        }
        Some((compression, cursor.int()?))
    }

    pub(super) fn entries(&self) -> i64 {
        self.entries
    }

    /// Parses one entry; `None` where more is needed.
    pub(super) fn parse_entry(&self, cursor: &mut Cursor<'_>) -> Option<TocEntry> {
        let text =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let dump_id = cursor.int()?;
        let has_data = cursor.int()? != 0;
        cursor.string()?; // table oid
        cursor.string()?; // object oid
        let tag = text(cursor.string()?);
        let desc = text(cursor.string()?);
        cursor.int()?; // section
        let defn = text(cursor.string()?);
        cursor.string()?; // drop statement
        let copy_stmt = text(cursor.string()?);
        let namespace = text(cursor.string()?);
        cursor.string()?; // tablespace
        cursor.string()?; // table access method
        if self.minor >= 16 {
            cursor.int()?; // relkind
        }
        let owner = text(cursor.string()?);
        cursor.string()?; // "with oids", always false since PostgreSQL 12
        while cursor.string()?.is_some() {} // dependencies
        cursor.bytes(1 + self.offset_size)?; // where the data is, unknown in a stream
        Some(TocEntry {
            dump_id,
            has_data,
            tag,
            desc,
            namespace,
            owner,
            defn,
            copy_stmt,
        })
    }
}
