//! Following an archive from its first byte to its last.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::toc::Header;
use super::{ArchiveError, LargeObjectsHasher, RowHasher, RowsDigest, TocEntry};

/// The largest table of contents that is accepted; about 400 bytes go to an entry.
const MAX_TOC_BYTES: usize = 1 << 30;

const BLOCK_DATA: u8 = 1;
const BLOCK_LARGE_OBJECTS: u8 = 3;

/// What an archive held.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) toc: Vec<TocEntry>,
    /// The rows of each data block, by the entry's dump id.
    pub(crate) rows: HashMap<i64, RowsDigest>,
    pub(crate) large_objects: RowsDigest,
}

/// Follows an archive that comes in pieces, cut anywhere.
pub(crate) struct Walker {
    state: State,
    toc: Vec<TocEntry>,
    int_size: usize,
    /// The start of something whose end has not come yet.
    pending: Vec<u8>,
    rows: HashMap<i64, RowsDigest>,
    large_objects: LargeObjectsHasher,
    current: RowHasher,
    /// How many bytes came before what is being parsed.
    position: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    Toc {
        header: Header,
        left: i64,
    },
    /// Between two blocks; the archive may end here and nowhere else.
    Block,
    Rows {
        dump_id: i64,
    },
    LargeObject,
    LargeObjectChunk,
    Chunk {
        left: usize,
        inside: Inside,
    },
}

#[derive(Clone, Copy, Debug)]
enum Inside {
    Rows { dump_id: i64 },
    LargeObject,
}

impl Walker {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Header,
            toc: Vec::new(),
            int_size: 4,
            pending: Vec::new(),
            rows: HashMap::new(),
            large_objects: LargeObjectsHasher::default(),
            current: RowHasher::default(),
            position: 0,
        }
    }

    /// Takes the next bytes of the archive.
    pub(crate) fn feed(&mut self, mut data: &[u8]) -> Result<(), ArchiveError> {
        while !data.is_empty() {
            if let State::Chunk { left, inside } = self.state {
                data = self.chunk(data, left, inside);
                continue;
            }
            if self.pending.is_empty() {
                let used = self.parse(data)?;
                data = data.get(used..).unwrap_or_default();
                if used == 0 {
                    self.pending.extend_from_slice(data);
                    return Ok(());
                }
            } else {
                data = self.feed_pending(data)?;
            }
        }
        Ok(())
    }

    /// Appends to what is pending. The table of contents takes all; elsewhere a few bytes
    /// complete the number that was cut, and the rest need not be copied.
    fn feed_pending<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], ArchiveError> {
        let in_toc = matches!(self.state, State::Header | State::Toc { .. });
        let take = if in_toc {
            data.len()
        } else {
            data.len().min(1)
        };
        let (head, rest) = data.split_at(take);
        if self.pending.len() + take > MAX_TOC_BYTES {
            return Err(ArchiveError::TocTooLarge(MAX_TOC_BYTES));
        }
        self.pending.extend_from_slice(head);
        let pending = std::mem::take(&mut self.pending);
        let mut used = 0;
        loop {
            let rest = pending.get(used..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            if let State::Chunk { left, inside } = self.state {
                let after = self.chunk(rest, left, inside).len();
                used = pending.len() - after;
                continue;
            }
            match self.parse(rest)? {
                0 => {
                    self.pending = rest.to_vec();
                    break;
                }
                more => used += more,
            }
        }
        Ok(rest)
    }

    /// Consumes bytes of a chunk; answers what follows it.
    fn chunk<'a>(&mut self, data: &'a [u8], left: usize, inside: Inside) -> &'a [u8] {
        let (chunk, rest) = data.split_at(left.min(data.len()));
        self.position += chunk.len() as u64;
        match inside {
            Inside::Rows { .. } => self.current.update(chunk),
            Inside::LargeObject => self.large_objects.update(chunk),
        }
        self.state = match (left - chunk.len(), inside) {
            (0, Inside::Rows { dump_id }) => State::Rows { dump_id },
            (0, Inside::LargeObject) => State::LargeObjectChunk,
            (left, inside) => State::Chunk { left, inside },
        };
        rest
    }

    /// Parses one thing from the front; answers how many bytes it took, 0 for "not enough".
    fn parse(&mut self, data: &[u8]) -> Result<usize, ArchiveError> {
        let mut cursor = Cursor::new(data, self.int_size);
        let next = match self.state {
            State::Header => return self.parse_header(data),
            State::Toc { header, left } => {
                let Some(entry) = header.parse_entry(&mut cursor) else {
                    return Ok(0);
                };
                self.toc.push(entry);
                Self::after_entry(header, left - 1)
            }
            State::Block => match Self::parse_block(&mut cursor) {
                None => return Ok(0),
                Some((BLOCK_DATA, dump_id)) => State::Rows { dump_id },
                Some((BLOCK_LARGE_OBJECTS, dump_id)) => {
                    self.rows.insert(dump_id, RowsDigest::default());
                    State::LargeObject
                }
                Some((kind, _)) => return Err(ArchiveError::BlockType(kind, self.position)),
            },
            State::Rows { dump_id } => match cursor.int() {
                None => return Ok(0),
                Some(0) => {
                    let digest = std::mem::take(&mut self.current).finish();
                    self.rows.insert(dump_id, digest);
                    State::Block
                }
                Some(left) => State::Chunk {
                    left: self.length(left)?,
                    inside: Inside::Rows { dump_id },
                },
            },
            State::LargeObject => match cursor.int() {
                None => return Ok(0),
                Some(0) => State::Block,
                Some(oid) => {
                    let oid = u32::try_from(oid & 0xffff_ffff);
                    self.large_objects
                        .start(oid.map_err(|_| ArchiveError::Number(self.position))?);
                    State::LargeObjectChunk
                }
            },
            State::LargeObjectChunk => match cursor.int() {
                None => return Ok(0),
                Some(0) => {
                    self.large_objects.end();
                    State::LargeObject
                }
                Some(left) => State::Chunk {
                    left: self.length(left)?,
                    inside: Inside::LargeObject,
                },
            },
            State::Chunk { .. } => return Ok(0),
        };
        self.state = next;
        let used = data.len() - cursor.remaining();
        self.position += used as u64;
        Ok(used)
    }

    fn parse_header(&mut self, data: &[u8]) -> Result<usize, ArchiveError> {
        let Some(header) = Header::parse(data)? else {
            return Ok(0);
        };
        self.int_size = header.int_size;
        self.state = Self::after_entry(header, header.entries());
        self.position += header.len as u64;
        Ok(header.len)
    }

    fn after_entry(header: Header, left: i64) -> State {
        if left > 0 {
            State::Toc { header, left }
        } else {
            State::Block
        }
    }

    fn parse_block(cursor: &mut Cursor<'_>) -> Option<(u8, i64)> {
        Some((cursor.byte()?, cursor.int()?))
    }

    fn length(&self, value: i64) -> Result<usize, ArchiveError> {
        usize::try_from(value).map_err(|_| ArchiveError::Number(self.position))
    }

    /// Ends the archive: everything that was promised must have come.
    pub(crate) fn finish(self) -> Result<Archive, ArchiveError> {
        match self.state {
            State::Header | State::Toc { .. } => return Err(ArchiveError::TruncatedToc),
            State::Block if self.pending.is_empty() => {}
            _ => return Err(ArchiveError::TruncatedBlock),
        }
        let missing = self
            .toc
            .iter()
            .find(|entry| entry.has_data && !self.rows.contains_key(&entry.dump_id));
        if let Some(entry) = missing {
            let name = format!("{} {}.{}", entry.desc, entry.namespace, entry.tag);
            return Err(ArchiveError::MissingData(name));
        }
        let large_objects = self.large_objects.finish();
        Ok(Archive {
            toc: self.toc,
            rows: self.rows,
            large_objects,
        })
    }
}

#[cfg(test)]
mod tests;
