//! Finding and reading ranges of a backup's archives.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ops_core::ObjectKey;

use super::lines::for_each_line;
use super::ranged::{RangedObject, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::BackupIdentity;
use crate::physical::format::FrameTable;
use crate::repository::{ObjectRole, OpenBackup};

/// An age payload is made of chunks of so many bytes,
const CHUNK_BYTES: u64 = 64 * 1024;
/// each with a tag of so many.
const TAG_BYTES: u64 = 16;

/// A pack and its frames.
#[derive(Debug)]
struct Pack {
    key: ObjectKey,
    size: u64,
    archive: u32,
    /// Where in the archive it begins, and how many bytes of it it holds.
    offset: u64,
    bytes: u64,
    /// Plain and stored lengths.
    frames: Vec<(u32, u32)>,
    /// All stored lengths.
    payload: u64,
}

/// The packs of a backup, those of one archive after each other.
#[derive(Debug)]
pub(crate) struct Packs {
    packs: Vec<Pack>,
    identity: Option<BackupIdentity>,
}

impl Packs {
    /// Reads the table of frames, and sees to it that it fits the manifest.
    pub(crate) async fn load(source: &Source, backup: &OpenBackup) -> Result<Self> {
        let operation = source.operation;
        let info = backup.manifest.require_physical(operation)?;
        let objects = backup.manifest.objects_of(ObjectRole::Data);
        let packs: Vec<_> = info
            .packs
            .iter()
            .zip(objects)
            .map(|(pack, object)| Pack {
                key: object.key.clone(),
                size: object.size_bytes,
                archive: pack.archive,
                offset: pack.offset,
                bytes: pack.bytes,
                frames: Vec::new(),
                payload: 0,
            })
            .collect();
        let store = &source.store;
        let add = move |packs: &mut Vec<Pack>, table: FrameTable| {
            let pack = usize::try_from(table.pack)
                .ok()
                .and_then(|at| packs.get_mut(at));
            pack.map(|pack| pack.frames.extend(table.frames))
                .ok_or_else(|| contradiction(operation))
        };
        let packs = for_each_line(operation, store, backup, ObjectRole::Frames, packs, add).await?;
        let mut packs = Self {
            packs,
            identity: backup.identity.clone(),
        };
        let max_frame = backup.manifest.compression.frame_bytes;
        packs.check(operation, max_frame)?;
        Ok(packs)
    }

    fn check(&mut self, operation: &'static str, max_frame: u64) -> Result<()> {
        let mut end: Option<(u32, u64)> = None;
        for pack in &mut self.packs {
            let plain: u64 = pack.frames.iter().map(|(plain, _)| u64::from(*plain)).sum();
            pack.payload = pack
                .frames
                .iter()
                .map(|(_, stored)| u64::from(*stored))
                .sum();
            let fits = pack.frames.iter().all(|&(plain, stored)| {
                let bound = zstd::zstd_safe::compress_bound(plain as usize);
                plain > 0 && u64::from(plain) <= max_frame && stored as usize <= bound
            });
            let follows = match end {
                Some((archive, end)) if archive == pack.archive => pack.offset == end,
                _ => pack.offset == 0,
            };
            let overhead = pack.size.checked_sub(ciphertext(pack.payload));
            let stored = self.identity.is_some() == overhead.is_some_and(|it| it > 0);
            let exact = self.identity.is_some() || pack.size == pack.payload;
            if !(fits && follows && stored && exact && plain == pack.bytes) {
                return Err(contradiction(operation));
            }
            end = Some((pack.archive, pack.offset + pack.bytes));
        }
        Ok(())
    }

    /// The pack that holds a byte of an archive.
    fn find(&self, archive: u32, offset: u64) -> Option<usize> {
        self.packs.iter().position(|pack| {
            pack.archive == archive && (pack.offset..pack.offset + pack.bytes).contains(&offset)
        })
    }

    /// Reads a range of an archive. It must not be empty.
    pub(crate) fn read(
        self: &Arc<Self>,
        source: &Source,
        archive: u32,
        start: u64,
        end: u64,
    ) -> io::Result<ArchiveReader> {
        let mut reader = ArchiveReader {
            packs: Arc::clone(self),
            source: source.clone(),
            decompressor: zstd::bulk::Decompressor::new()?,
            end,
            pack: self.find(archive, start).ok_or_else(outside)?,
            frame: 0,
            stream: None,
            position: start,
            stored: Vec::new(),
            plain: Vec::new(),
            consumed: 0,
        };
        reader.begin()?;
        Ok(reader)
    }
}

#[cold]
fn contradiction(operation: &'static str) -> Error {
    let message = "the table of frames contradicts the manifest";
    Error::new(ErrorKind::Integrity, operation, message)
}

#[cold]
fn outside() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "it lies outside of its archive",
    )
}

/// How many bytes a payload takes when it is encrypted.
fn ciphertext(payload: u64) -> u64 {
    payload + TAG_BYTES * payload.div_ceil(CHUNK_BYTES).max(1)
}

/// How many bytes the chunks take that hold a payload's first bytes.
fn chunks(payload: u64) -> u64 {
    payload.div_ceil(CHUNK_BYTES) * (CHUNK_BYTES + TAG_BYTES)
}

/// A pack that is being read.
struct PackStream {
    opened: Opened,
    until: Arc<AtomicU64>,
    /// What comes before the payload in the object.
    header: u64,
}

enum Opened {
    Plain(RangedObject),
    Age(Box<age::stream::StreamReader<RangedObject>>),
}

impl PackStream {
    /// Opens a pack at a place in its payload, to read up to another.
    fn open(packs: &Packs, pack: &Pack, source: &Source, from: u64, to: u64) -> io::Result<Self> {
        let object = RangedObject::new(source.clone(), pack.key.clone(), pack.size);
        let until = object.until();
        let Some(identity) = &packs.identity else {
            let mut stream = Self {
                opened: Opened::Plain(object),
                until,
                header: 0,
            };
            stream.seek(from, to)?;
            return Ok(stream);
        };
        let header = pack.size - ciphertext(pack.payload);
        // One request where reading begins at the start, else one for the header alone.
        let first = if from < CHUNK_BYTES {
            header + chunks(to)
        } else {
            header
        };
        until.store(first, Ordering::Relaxed);
        let reader = identity.decrypt(object).map_err(io::Error::other)?;
        let mut stream = Self {
            opened: Opened::Age(Box::new(reader)),
            until,
            header,
        };
        stream.seek(from, to)?;
        Ok(stream)
    }

    fn seek(&mut self, from: u64, to: u64) -> io::Result<()> {
        match &mut self.opened {
            Opened::Plain(object) => {
                self.until.store(to, Ordering::Relaxed);
                object.seek(SeekFrom::Start(from)).map(drop)
            }
            Opened::Age(reader) => {
                self.until
                    .store(self.header + chunks(to), Ordering::Relaxed);
                // Where it is told to go to the first byte of a chunk, it first asks for
                // the last chunk. The last byte of the chunk before costs less.
                if from > 0 && from.is_multiple_of(CHUNK_BYTES) {
                    reader.seek(SeekFrom::Start(from - 1))?;
                    return reader.read_exact(&mut [0]);
                }
                reader.seek(SeekFrom::Start(from)).map(drop)
            }
        }
    }

    fn read_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        match &mut self.opened {
            Opened::Plain(object) => object.read_exact(out),
            Opened::Age(reader) => reader.read_exact(out),
        }
    }
}

/// A range of an archive, decrypted and decompressed frame by frame.
pub(crate) struct ArchiveReader {
    packs: Arc<Packs>,
    source: Source,
    decompressor: zstd::bulk::Decompressor<'static>,
    /// Where in the archive reading ends.
    end: u64,
    pack: usize,
    /// The next frame of the pack.
    frame: usize,
    stream: Option<PackStream>,
    /// Where in the archive the next byte is that is handed out.
    position: u64,
    stored: Vec<u8>,
    plain: Vec<u8>,
    consumed: usize,
}

impl ArchiveReader {
    /// Goes to the frame that holds the first byte.
    fn begin(&mut self) -> io::Result<()> {
        let packs = Arc::clone(&self.packs);
        let pack = packs.packs.get(self.pack).ok_or_else(outside)?;
        let (mut at, mut stored) = (pack.offset, 0);
        for &(plain, length) in &pack.frames {
            if at + u64::from(plain) > self.position {
                break;
            }
            at += u64::from(plain);
            stored += u64::from(length);
            self.frame += 1;
        }
        self.open(pack, stored)?;
        let skip = self.position - at;
        self.position = at;
        self.skip(skip)
    }

    /// Opens a pack at a place in its payload, to read as far as the range goes.
    fn open(&mut self, pack: &Pack, from: u64) -> io::Result<()> {
        let (mut at, mut to) = (pack.offset, 0);
        for &(plain, stored) in &pack.frames {
            if at >= self.end {
                break;
            }
            at += u64::from(plain);
            to += u64::from(stored);
        }
        self.stream = Some(PackStream::open(&self.packs, pack, &self.source, from, to)?);
        Ok(())
    }

    /// Reads the next frame.
    fn next_frame(&mut self) -> io::Result<()> {
        let packs = Arc::clone(&self.packs);
        let mut pack = packs.packs.get(self.pack).ok_or_else(outside)?;
        if self.frame == pack.frames.len() {
            let archive = pack.archive;
            self.pack += 1;
            self.frame = 0;
            pack = packs
                .packs
                .get(self.pack)
                .filter(|next| next.archive == archive)
                .ok_or_else(outside)?;
            self.open(pack, 0)?;
        }
        let &(plain, stored) = pack.frames.get(self.frame).ok_or_else(outside)?;
        let stream = self.stream.as_mut().ok_or_else(outside)?;
        self.stored.resize(stored as usize, 0);
        stream.read_exact(&mut self.stored)?;
        self.plain.resize(plain as usize, 0);
        let length = self
            .decompressor
            .decompress_to_buffer(&self.stored, self.plain.as_mut_slice())?;
        if length != plain as usize {
            let text = format!("a frame has {length} bytes instead of {plain}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.consumed = 0;
        self.frame += 1;
        Ok(())
    }

    /// Passes over bytes.
    pub(crate) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let there = self.fill_buf()?.len();
            if there == 0 {
                return Err(outside());
            }
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(there);
            self.consume(step);
            left -= step as u64;
        }
        Ok(())
    }

    /// Where in the archive the next byte is.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }
}

impl BufRead for ArchiveReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.consumed == self.plain.len() && self.position < self.end {
            self.next_frame()?;
        }
        Ok(self.plain.get(self.consumed..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.consumed += amount;
        self.position += amount as u64;
    }
}

impl Read for ArchiveReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let len = there.len().min(out.len());
        let from = there.get(..len).unwrap_or_default();
        out.get_mut(..len).unwrap_or_default().copy_from_slice(from);
        self.consume(len);
        Ok(len)
    }
}
