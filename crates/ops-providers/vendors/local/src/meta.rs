//! What the store keeps about an object, in a file of its own.
//!
//! A metadata file is, in this order:
//!
//! 1. the tables: for each candidate the CRC-32C of each of its blocks, 4 bytes little-endian;
//! 2. the index: one line of JSON with the key and the candidates, at most two;
//! 3. the trailer: one line of fixed length with the format's version and the index's
//!    length and CRC-32C.
//!
//! The tables stand first so that they can be written while the content streams by, in
//! constant memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use ops_core::object_store::{Checksum, ETag, ObjectMeta};
use ops_core::{ObjectKey, Result, Timestamp};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Context, integrity};
use crate::key::KeyPath;
use crate::root::{Facts, Root};
use crate::temp::TempFile;

/// The size of the blocks that have a CRC of their own.
pub(crate) const BLOCK_BYTES: u32 = 128 * 1024;

/// The largest block that is read from a file that another version wrote.
const MAX_BLOCK_BYTES: u32 = 1024 * 1024;

/// `ops-local 1 <length, 8 hex> <crc, 8 hex>\n`.
const TRAILER_BYTES: usize = 30;

/// A key of 1024 bytes may take six times that in JSON.
const MAX_INDEX_BYTES: u32 = 16 * 1024;

/// One content that the object may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Candidate {
    /// Tells two writes of the same content apart.
    pub(crate) version: u64,
    pub(crate) size_bytes: u64,
    #[serde(with = "hex")]
    pub(crate) blake3: blake3::Hash,
    pub(crate) block_bytes: u32,
    /// Where the table of this candidate begins.
    pub(crate) table_offset: u64,
    pub(crate) inode: u64,
    pub(crate) modified_ns: i64,
}

impl Candidate {
    pub(crate) fn etag(&self) -> ETag {
        let hash = self.blake3.to_hex();
        let head = hash.as_str().get(..32).unwrap_or_default();
        ETag::new(format!("{head}-{:016x}", self.version))
    }

    /// What the store says about an object with this content.
    pub(crate) fn describe(&self, key: &ObjectKey, facts: &Facts) -> ObjectMeta {
        bare(key, facts)
            .with_etag(self.etag())
            .with_checksum(Checksum::Blake3(*self.blake3.as_bytes()))
    }

    fn blocks(&self) -> u64 {
        self.size_bytes.div_ceil(u64::from(self.block_bytes))
    }

    fn has_facts(&self, facts: &Facts) -> bool {
        self.size_bytes == facts.size_bytes && self.modified_ns == facts.modified_ns
    }

    fn is_sound(&self, tables_bytes: u64) -> bool {
        (1..=MAX_BLOCK_BYTES).contains(&self.block_bytes)
            && self
                .blocks()
                .checked_mul(4)
                .and_then(|bytes| bytes.checked_add(self.table_offset))
                .is_some_and(|end| end <= tables_bytes)
    }
}

/// What is known of an object without its metadata.
pub(crate) fn bare(key: &ObjectKey, facts: &Facts) -> ObjectMeta {
    let nanos = std::time::Duration::from_nanos(facts.modified_ns.unsigned_abs());
    let epoch = Timestamp::UNIX_EPOCH;
    let modified = if facts.modified_ns < 0 {
        epoch.saturating_sub(nanos)
    } else {
        epoch.saturating_add(nanos)
    };
    ObjectMeta::new(key.clone(), facts.size_bytes, modified)
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    key: String,
    candidates: Vec<Candidate>,
}

/// An open metadata file.
#[derive(Debug)]
pub(crate) struct MetaFile {
    file: File,
    candidates: Vec<Candidate>,
}

/// Whether an object has metadata.
#[derive(Debug)]
pub(crate) enum MetaState {
    /// The file was put there by other means than this store.
    Missing,
    /// The metadata itself is not what was written.
    Damaged,
    Kept(MetaFile),
}

impl MetaFile {
    /// Opens the metadata of a key.
    pub(crate) fn load(root: &Root, key: &KeyPath) -> Result<MetaState> {
        let file = match root.open_file(&key.meta_path()) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(MetaState::Missing),
            other => other.cannot("open the object's metadata")?,
        };
        let candidates = read_index(&file, key).cannot("read the object's metadata")?;
        Ok(candidates.map_or(MetaState::Damaged, |candidates| {
            MetaState::Kept(Self { file, candidates })
        }))
    }

    pub(crate) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The candidate that was written as this very file.
    pub(crate) fn exact(&self, facts: &Facts) -> Option<&Candidate> {
        self.candidates
            .iter()
            .find(|candidate| candidate.has_facts(facts) && candidate.inode == facts.inode)
    }

    /// The one candidate with this size and time, as after the store was moved.
    ///
    /// Sound only where no writer can be active: two versions may share both.
    pub(crate) fn alike(&self, facts: &Facts) -> Option<&Candidate> {
        self.exact(facts).or_else(|| {
            let mut alike = self.candidates.iter().filter(|one| one.has_facts(facts));
            alike.next().filter(|_| alike.next().is_none())
        })
    }

    /// Reads the checksums of some blocks of a candidate.
    pub(crate) fn read_table(
        &self,
        candidate: &Candidate,
        first_block: u64,
        out: &mut Vec<u32>,
        blocks: usize,
    ) -> io::Result<()> {
        let mut bytes = vec![0; blocks * 4];
        self.file
            .read_exact_at(&mut bytes, candidate.table_offset + first_block * 4)?;
        out.clear();
        out.extend(
            bytes
                .chunks_exact(4)
                .filter_map(|four| four.try_into().ok())
                .map(u32::from_le_bytes),
        );
        Ok(())
    }
}

/// Reads the index; `None` where it is not what was written.
fn read_index(file: &File, key: &KeyPath) -> io::Result<Option<Vec<Candidate>>> {
    let length = file.metadata()?.len();
    let Some(trailer_at) = length.checked_sub(TRAILER_BYTES as u64) else {
        return Ok(None);
    };
    let mut trailer = [0; TRAILER_BYTES];
    file.read_exact_at(&mut trailer, trailer_at)?;
    let Some((index_bytes, crc)) = parse_trailer(&trailer) else {
        return Ok(None);
    };
    let Some(index_at) = trailer_at.checked_sub(u64::from(index_bytes)) else {
        return Ok(None);
    };
    let mut text = vec![0; index_bytes as usize];
    file.read_exact_at(&mut text, index_at)?;
    if crc32c::crc32c(&text) != crc {
        return Ok(None);
    }
    let Ok(index) = serde_json::from_slice::<Index>(&text) else {
        return Ok(None);
    };
    let sound = index.key == key.path()
        && (1..=2).contains(&index.candidates.len())
        && index
            .candidates
            .iter()
            .all(|candidate| candidate.is_sound(index_at));
    Ok(sound.then_some(index.candidates))
}

fn parse_trailer(trailer: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(trailer).ok()?.strip_suffix('\n')?;
    let (length, crc) = text.strip_prefix("ops-local 1 ")?.split_once(' ')?;
    let length = u32::from_str_radix(length, 16).ok()?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    (length <= MAX_INDEX_BYTES).then_some((length, crc))
}

/// Metadata that is being written.
#[derive(Debug)]
pub(crate) struct MetaWriter {
    temp: TempFile,
    pending: Vec<u8>,
    written: u64,
}

impl MetaWriter {
    pub(crate) fn new(temp: TempFile) -> Self {
        Self {
            temp,
            pending: Vec::new(),
            written: 0,
        }
    }

    /// Where the next checksum will stand.
    pub(crate) fn position(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Adds the checksum of a block.
    pub(crate) fn push(&mut self, crc: u32) -> io::Result<()> {
        self.pending.extend_from_slice(&crc.to_le_bytes());
        if self.pending.len() >= 64 * 1024 {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Takes over a candidate of another metadata file with its table.
    pub(crate) fn adopt(
        &mut self,
        from: &MetaFile,
        candidate: &Candidate,
    ) -> io::Result<Candidate> {
        self.flush()?;
        let table_offset = self.written;
        let mut source = &from.file;
        source.seek(SeekFrom::Start(candidate.table_offset))?;
        let bytes = candidate.blocks() * 4;
        if io::copy(&mut source.take(bytes), &mut self.temp)? != bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.written += bytes;
        Ok(Candidate {
            table_offset,
            ..candidate.clone()
        })
    }

    /// Writes the index and the trailer. The file is complete, but neither synced nor visible.
    pub(crate) fn finish(
        mut self,
        key: &KeyPath,
        candidates: Vec<Candidate>,
    ) -> io::Result<TempFile> {
        let index = Index {
            key: key.path().to_owned(),
            candidates,
        };
        let mut text = serde_json::to_vec(&index)?;
        text.push(b'\n');
        let crc = crc32c::crc32c(&text);
        let trailer = format!("ops-local 1 {:08x} {crc:08x}\n", text.len());
        self.pending.extend_from_slice(&text);
        self.pending.extend_from_slice(trailer.as_bytes());
        self.flush()?;
        Ok(self.temp)
    }

    /// Leaves the file behind, as a process that dies does.
    #[cfg(test)]
    pub(crate) fn abandon(self) {
        self.temp.abandon();
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.write_all(&self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

#[cold]
pub(crate) fn damaged() -> ops_core::Error {
    integrity("the metadata of the object is damaged")
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        hash: &blake3::Hash,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hash.to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<blake3::Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        blake3::Hash::from_hex(text).map_err(D::Error::custom)
    }
}
