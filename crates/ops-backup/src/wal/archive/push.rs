//! Putting files into the archive, as `archive_command` does.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use ops_core::Timestamp;
use ops_pg_replication::{SegmentName, SystemId, Timeline, TimelineHistory, WalSegmentSize};

use super::super::header::Header;
use super::super::info::foreign;
use super::super::objects::{Put, different, hash_file, put_once, read_header};
use super::super::scan::{LongHeader, Scanner};
use super::super::seal::{self, EpochKey};
use super::super::{FRAME_BYTES, OPERATION};
use super::{WalArchive, WalFile};
use crate::error::{Error, ErrorKind, Result};

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pushed {
    /// It is in the archive now.
    Stored,
    /// It was there already, with the same content.
    AlreadyThere,
    /// It is a kind of file that recovery does without.
    NotKept,
}

impl From<Put> for Pushed {
    fn from(put: Put) -> Self {
        match put {
            Put::Stored => Self::Stored,
            Put::Same => Self::AlreadyThere,
        }
    }
}

/// A segment that was read, and what is known of it.
struct Content {
    frames: Vec<Bytes>,
    blake3: blake3::Hash,
    bytes: u64,
    newest_commit: Option<Timestamp>,
}

impl WalArchive {
    /// Archives a file of a server. A file that is there already with the same content is
    /// left as it is.
    ///
    /// # Errors
    /// `WrongSystem` for WAL of another cluster; `Integrity` for a file that is not what its
    /// name says, or where the archive holds other bytes under its name, which are never
    /// overwritten; `Store`, `StoreDenied`, `StoreFull`.
    pub(crate) async fn push(
        &self,
        file: &WalFile,
        from: &Path,
        epoch: Option<&EpochKey>,
    ) -> Result<Pushed> {
        match file {
            WalFile::BackupNote(_) => Ok(Pushed::NotKept),
            WalFile::History(timeline) => self.push_history(*timeline, from, epoch).await,
            WalFile::Segment(name) => self.push_segment(*name, from, epoch).await,
            WalFile::Partial(name) => self.push_partial(*name, from, epoch).await,
        }
    }

    /// Whether a whole segment is in the archive as a file has it, without compressing and
    /// sealing it first.
    ///
    /// # Errors
    /// `Integrity` where the archive holds other bytes under its name.
    pub(crate) async fn is_same(&self, file: &WalFile, from: &Path) -> Result<bool> {
        let &WalFile::Segment(name) = file else {
            return Ok(false);
        };
        let key = self.layout().segment(name, self.segment_size())?;
        let Some(there) = read_header(&**self.store(), &key).await? else {
            return Ok(false);
        };
        let from = from.to_owned();
        let hash = tokio::task::spawn_blocking(move || hash_file(&from).map_err(unreadable));
        let hash = hash.await.map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                OPERATION,
                "reading a segment ended early",
            )
            .with_source(source)
        })??;
        if hash == there.blake3 {
            Ok(true)
        } else {
            Err(different(&key))
        }
    }

    async fn push_history(
        &self,
        timeline: Timeline,
        from: &Path,
        epoch: Option<&EpochKey>,
    ) -> Result<Pushed> {
        let raw = std::fs::read(from).map_err(unreadable)?;
        let history = TimelineHistory::parse(timeline, raw.into()).map_err(|source| {
            let message = format!("the file is no history of timeline {timeline}");
            Error::new(ErrorKind::Integrity, OPERATION, message).with_source(source)
        })?;
        self.put_history(&history, epoch).await.map(Pushed::from)
    }

    async fn push_segment(
        &self,
        name: SegmentName,
        from: &Path,
        epoch: Option<&EpochKey>,
    ) -> Result<Pushed> {
        let size = self.segment_size();
        let read = self.read_file(name, from, size.bytes()).await?;
        let mut header = Header::new(name.file_name(size), 0, read.bytes, read.blake3);
        header.commit = read.newest_commit;
        let key = self.layout().segment(name, size)?;
        let object = seal_blocking(header, read.frames, epoch.cloned()).await?;
        put_once(&**self.store(), &key, object, read.blake3)
            .await
            .map(Pushed::from)
    }

    /// What a promoted server keeps of the segment in which the old timeline ended: up to
    /// the end of the WAL it is a part, and what lies after that is left over from a segment
    /// that the file was before.
    async fn push_partial(
        &self,
        name: SegmentName,
        from: &Path,
        epoch: Option<&EpochKey>,
    ) -> Result<Pushed> {
        let size = self.segment_size();
        let end = valid_end(self.system_id(), name, size, from).await?;
        if self
            .parts(name)
            .await?
            .last()
            .is_some_and(|&(_, to)| u64::from(to) >= end)
        {
            return Ok(Pushed::AlreadyThere);
        }
        let Some(to) = u32::try_from(end).ok().filter(|&end| end > 0) else {
            return Ok(Pushed::NotKept);
        };
        let read = self.read_file(name, from, end).await?;
        let mut header = Header::new(name.file_name(size), 0, read.bytes, read.blake3);
        header.commit = read.newest_commit;
        let key = self.layout().part(name, size, 0, to)?;
        let object = seal_blocking(header, read.frames, epoch.cloned()).await?;
        put_once(&**self.store(), &key, object, read.blake3)
            .await
            .map(Pushed::from)
    }

    /// Reads a file, checks that it is what its name says, and compresses it.
    async fn read_file(&self, name: SegmentName, from: &Path, bytes: u64) -> Result<Content> {
        let (from, size, system_id) = (from.to_owned(), self.segment_size(), self.system_id());
        let read = tokio::task::spawn_blocking(move || {
            let file = File::open(from).map_err(unreadable)?;
            read_segment(system_id, name, size, file, bytes)
        });
        read.await.map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                OPERATION,
                "reading a segment ended early",
            )
            .with_source(source)
        })?
    }
}

fn read_segment(
    system_id: SystemId,
    name: SegmentName,
    size: WalSegmentSize,
    mut file: impl Read,
    bytes: u64,
) -> Result<Content> {
    let mut compressor = seal::Compressor::new(1)?;
    let mut scanner = Scanner::new(name.start(size), size);
    let mut hasher = blake3::Hasher::new();
    let mut read = Content {
        frames: Vec::new(),
        blake3: blake3::Hash::from_bytes([0; 32]),
        bytes: 0,
        newest_commit: None,
    };
    let mut block = Vec::with_capacity(FRAME_BYTES);
    while read.bytes < bytes {
        block.clear();
        let wanted = (bytes - read.bytes).min(FRAME_BYTES as u64);
        (&mut file)
            .take(wanted)
            .read_to_end(&mut block)
            .map_err(unreadable)?;
        if block.is_empty() {
            return Err(wrong(name, size, "it is shorter than a segment"));
        }
        if read.bytes == 0 {
            check_first_page(system_id, name, size, &block)?;
        }
        scanner.push(&block);
        hasher.update(&block);
        read.frames.push(compressor.compress(&block)?);
        read.bytes += block.len() as u64;
    }
    let whole = read.bytes == size.bytes();
    if whole && file.read(&mut [0]).map_err(unreadable)? > 0 {
        return Err(wrong(name, size, "it is longer than a segment"));
    }
    read.blake3 = hasher.finalize();
    read.newest_commit = scanner.newest_commit();
    Ok(read)
}

/// How many bytes of a segment file are WAL.
async fn valid_end(
    system_id: SystemId,
    name: SegmentName,
    size: WalSegmentSize,
    from: &Path,
) -> Result<u64> {
    let from = from.to_owned();
    let scan = tokio::task::spawn_blocking(move || {
        let mut file = File::open(from).map_err(unreadable)?;
        let mut scanner = Scanner::new(name.start(size), size);
        let mut block = vec![0; FRAME_BYTES];
        let mut first = true;
        loop {
            let len = file.read(&mut block).map_err(unreadable)?;
            let Some(read) = block.get(..len).filter(|read| !read.is_empty()) else {
                break;
            };
            if std::mem::take(&mut first) {
                check_first_page(system_id, name, size, read)?;
            }
            scanner.push(read);
        }
        Ok(scanner
            .valid_end()
            .saturating_distance_from(name.start(size)))
    });
    scan.await.map_err(|source| {
        Error::new(
            ErrorKind::Internal,
            OPERATION,
            "reading a segment ended early",
        )
        .with_source(source)
    })?
}

/// Sees to it that the first page of a segment is what its name says.
pub(crate) fn check_first_page(
    system_id: SystemId,
    name: SegmentName,
    size: WalSegmentSize,
    page: &[u8],
) -> Result<()> {
    let header = LongHeader::parse(page).ok_or_else(|| {
        wrong(
            name,
            size,
            "its first page is none that a known version of PostgreSQL writes",
        )
    })?;
    if header.system_id != system_id {
        return Err(foreign(system_id, header.system_id));
    }
    if u64::from(header.segment_size) != size.bytes() {
        return Err(wrong(
            name,
            size,
            "its first page speaks of another size of segments",
        ));
    }
    if header.page_address != name.start(size) {
        return Err(wrong(name, size, "its first page has another position"));
    }
    if header.timeline > name.timeline().get() {
        return Err(wrong(name, size, "its first page is of a later timeline"));
    }
    Ok(())
}

async fn seal_blocking(
    header: Header,
    frames: Vec<Bytes>,
    epoch: Option<EpochKey>,
) -> Result<Bytes> {
    tokio::task::spawn_blocking(move || seal::seal(header, &frames, epoch.as_ref()))
        .await
        .map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                OPERATION,
                "sealing a segment ended early",
            )
            .with_source(source)
        })?
}

#[cold]
fn wrong(name: SegmentName, size: WalSegmentSize, problem: &str) -> Error {
    let message = format!(
        "what should be the segment {} is not: {problem}",
        name.file_name(size)
    );
    Error::new(ErrorKind::Integrity, OPERATION, message)
}

#[cold]
fn unreadable(source: io::Error) -> Error {
    Error::new(ErrorKind::Internal, OPERATION, "the file cannot be read").with_source(source)
}
