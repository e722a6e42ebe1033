//! Received WAL becomes sealed objects.
//!
//! One thread does what takes time: it looks at the WAL, hashes, compresses and encrypts
//! it, a second one helps to compress a backlog. Each byte is compressed once: a part is a
//! cut out of the frames of its segment.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use ops_core::{ObjectKey, Timestamp};
use ops_pg_replication::{Lsn, SegmentName, WalSegmentSize};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};

use super::super::archive::check_first_page;
use super::super::header::Header;
use super::super::restore_point::RestorePoint;
use super::super::scan::Scanner;
use super::super::seal::{self, EpochKey};
use super::super::{FRAME_BYTES, OPERATION, WalArchive};
use super::press::{Frame, Press};
use super::spool::Spool;
use super::status::Shared;
use super::upload::Upload;
use crate::error::{Error, ErrorKind, Result};

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Work {
    /// WAL that follows on what came before, in pieces.
    Wal(Vec<Bytes>),
    /// Store what there is.
    Seal,
}

/// A part that is in the archive already.
#[derive(Clone, Debug)]
pub(crate) struct KnownPart {
    pub(crate) to: u32,
    pub(crate) blake3: blake3::Hash,
    pub(crate) key: ObjectKey,
}

/// What the thread needs to know.
pub(crate) struct PackSettings {
    pub(crate) archive: WalArchive,
    pub(crate) epoch: Option<EpochKey>,
    pub(crate) level: i32,
    /// How much received WAL is sealed without being told to.
    pub(crate) part_bytes: u64,
    /// Whether received WAL is sealed as soon as there is no more of it.
    pub(crate) at_once: bool,
    pub(crate) spool: Option<Spool>,
    pub(crate) written: watch::Sender<Lsn>,
    pub(crate) uploads: mpsc::Sender<Upload>,
    pub(crate) budget: Arc<Semaphore>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) runtime: Handle,
}

/// The segment that is being filled.
#[derive(Debug)]
struct OpenSegment {
    name: SegmentName,
    /// What was not looked at yet, nor hashed, nor compressed.
    block: Vec<u8>,
    frames: Vec<Frame>,
    hasher: blake3::Hasher,
    received: u64,
    /// The hash, the first frame and the first byte of what is not in any part yet. The
    /// first part has the hash of the segment as far as it goes.
    part_hasher: Option<blake3::Hasher>,
    part_frame: usize,
    part_from: u64,
    known: VecDeque<KnownPart>,
    parts: Vec<ObjectKey>,
}

impl OpenSegment {
    fn new(name: SegmentName, known: Vec<KnownPart>) -> Self {
        let parts = known.iter().map(|part| part.key.clone()).collect();
        Self {
            name,
            block: Vec::new(),
            frames: Vec::new(),
            hasher: blake3::Hasher::new(),
            received: 0,
            part_hasher: None,
            part_frame: 0,
            part_from: 0,
            known: known.into(),
            parts,
        }
    }

    /// The hash of what is not in any part yet. The block must be empty.
    fn part_hash(&self) -> blake3::Hash {
        self.part_hasher.as_ref().unwrap_or(&self.hasher).finalize()
    }

    fn begin_part(&mut self) {
        self.part_hasher = Some(blake3::Hasher::new());
        self.part_frame = self.frames.len();
        self.part_from = self.received;
    }
}

/// The work of the thread.
pub(crate) struct Packer {
    settings: PackSettings,
    size: WalSegmentSize,
    scanner: Scanner,
    press: Press,
    segment: OpenSegment,
    restore_points: Vec<RestorePoint>,
    problems: u64,
}

impl Packer {
    /// Begins with the first byte of a segment, of which some parts may be there already.
    pub(crate) fn new(
        settings: PackSettings,
        name: SegmentName,
        known: Vec<KnownPart>,
        newest_commit: Option<Timestamp>,
    ) -> Result<Self> {
        let size = settings.archive.segment_size();
        let mut scanner = Scanner::new(name.start(size), size);
        scanner.set_newest_commit(newest_commit);
        Ok(Self {
            press: Press::new(settings.level)?,
            settings,
            size,
            scanner,
            segment: OpenSegment::new(name, known),
            restore_points: Vec::new(),
            problems: 0,
        })
    }

    /// Works until nobody sends anything any more, then seals the rest.
    pub(crate) fn run(mut self, mut work: mpsc::Receiver<Work>) -> Result<()> {
        while let Some(first) = work.blocking_recv() {
            let mut next = Some(first);
            while let Some(work_item) = next {
                match work_item {
                    Work::Wal(pieces) => self.push(&pieces)?,
                    Work::Seal => self.seal_part()?,
                }
                next = work.try_recv().ok();
            }
            // All that had come by now: what commits together waits for one upload.
            self.spool_written()?;
            if self.settings.at_once {
                self.seal_part()?;
            }
        }
        self.seal_part()
    }

    fn push(&mut self, pieces: &[Bytes]) -> Result<()> {
        for piece in pieces {
            self.push_piece(piece)?;
        }
        let unsealed = self.segment.received - self.segment.part_from;
        // Where the store is behind, a part more would only put the segment off. Where we are,
        // the rest of the segment comes as fast as it can be sent, and has the part in it.
        if unsealed >= self.settings.part_bytes
            && self.settings.uploads.capacity() > 0
            && !self
                .settings
                .shared
                .server_is_past(self.segment.name.end(self.size))
        {
            self.seal_part()?;
        }
        Ok(())
    }

    fn push_piece(&mut self, mut data: &[u8]) -> Result<()> {
        if let Some(spool) = &mut self.settings.spool {
            let at = self
                .segment
                .name
                .start(self.size)
                .saturating_add(self.segment.received);
            spool.append(at, data)?;
        }
        while !data.is_empty() {
            let left_of_segment = self.size.bytes() - self.segment.received;
            let left_of_part = self.segment.known.front().map_or(left_of_segment, |part| {
                u64::from(part.to).saturating_sub(self.segment.received)
            });
            let room = (FRAME_BYTES - self.segment.block.len()) as u64;
            let len = room.min(left_of_part).min(data.len() as u64);
            let (piece, rest) = data
                .split_at_checked(usize::try_from(len).unwrap_or_default())
                .unwrap_or((data, &[]));
            data = rest;
            self.segment.block.extend_from_slice(piece);
            self.segment.received += piece.len() as u64;
            if len == room || len == left_of_part {
                self.cut_frame()?;
            }
            if len == left_of_part && !self.segment.known.is_empty() {
                self.end_known_part()?;
            }
            if self.segment.received == self.size.bytes() {
                self.end_segment()?;
            }
        }
        Ok(())
    }

    /// Looks at the block, hashes it, and makes a frame of it: all of it at once, since
    /// each is faster for a long piece than for the messages of single commits.
    fn cut_frame(&mut self) -> Result<()> {
        let segment = &mut self.segment;
        if segment.block.is_empty() {
            return Ok(());
        }
        if segment.frames.is_empty() {
            let system_id = self.settings.archive.system_id();
            check_first_page(system_id, segment.name, self.size, &segment.block)?;
        }
        self.scanner.push(&segment.block);
        segment.hasher.update(&segment.block);
        if let Some(hasher) = &mut segment.part_hasher {
            hasher.update(&segment.block);
        }
        let timeline = segment.name.timeline();
        let found = self.scanner.take_restore_points().into_iter();
        self.restore_points
            .extend(found.map(|(name, at, end)| RestorePoint {
                name,
                timeline,
                end,
                at,
            }));
        // The last frame of a segment is waited for: there is nothing to do meanwhile.
        let end = segment.name.end(self.size);
        let is_behind =
            segment.received < self.size.bytes() && self.settings.shared.server_is_past(end);
        let frame = self.press.frame(&mut segment.block, is_behind)?;
        segment.frames.push(frame);
        Ok(())
    }

    /// A part that is in the archive already must be what the server has now.
    fn end_known_part(&mut self) -> Result<()> {
        let Some(part) = self.segment.known.pop_front() else {
            return Ok(());
        };
        if self.segment.part_hash() != part.blake3 {
            let message = format!("{} holds other bytes than the server has now", part.key);
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message)
                .with_left_behind("what is in the archive was not overwritten")
                .with_hint("the server has lost WAL that it had sent: begin a new archive under another prefix"));
        }
        self.segment.begin_part();
        Ok(())
    }

    /// Seals what is in no part yet.
    fn seal_part(&mut self) -> Result<()> {
        let (from, to) = (self.segment.part_from, self.segment.received);
        // What is there already is not stored again.
        if from == to || !self.segment.known.is_empty() {
            return Ok(());
        }
        self.cut_frame()?;
        let name = self.segment.name;
        let blake3 = self.segment.part_hash();
        let (from32, to32) = (offset(from), offset(to));
        let header = Header::new(name.file_name(self.size), from32, to - from, blake3);
        let key = self
            .settings
            .archive
            .layout()
            .part(name, self.size, from32, to32)?;
        let frames = self.segment.frames.get_mut(self.segment.part_frame..);
        let frames = frames.unwrap_or_default().iter_mut().map(Frame::bytes);
        let frames: Vec<_> = frames.collect::<Result<_>>()?;
        self.upload(header, key.clone(), &frames, to, None)?;
        self.segment.parts.push(key);
        self.segment.begin_part();
        Ok(())
    }

    fn end_segment(&mut self) -> Result<()> {
        self.cut_frame()?;
        let name = self.segment.name;
        let mut segment =
            std::mem::replace(&mut self.segment, OpenSegment::new(name.next(), Vec::new()));
        self.segment.block = std::mem::take(&mut segment.block);
        let blake3 = segment.hasher.finalize();
        let header = Header::new(name.file_name(self.size), 0, segment.received, blake3);
        let key = self.settings.archive.layout().segment(name, self.size)?;
        let frames = segment.frames.iter_mut().map(Frame::bytes);
        let frames: Vec<_> = frames.collect::<Result<_>>()?;
        // The position is that of the next segment's first byte.
        self.upload(header, key, &frames, 0, Some(segment.parts))?;
        let problems = self.scanner.problems();
        let new = problems - std::mem::replace(&mut self.problems, problems);
        self.settings
            .shared
            .update(|status| status.unreadable += new);
        Ok(())
    }

    /// Seals frames, and waits for memory and for the store before it hands them over. `to`
    /// is an offset in the segment that is open now.
    fn upload(
        &mut self,
        mut header: Header,
        key: ObjectKey,
        frames: &[Bytes],
        to: u64,
        parts: Option<Vec<ObjectKey>>,
    ) -> Result<()> {
        let gone = || Error::new(ErrorKind::Canceled, OPERATION, "nobody uploads any more");
        let payload: usize = frames.iter().map(Bytes::len).sum();
        let payload = u32::try_from(payload).unwrap_or(u32::MAX);
        let budget = Arc::clone(&self.settings.budget);
        let permit = self
            .settings
            .runtime
            .block_on(budget.acquire_many_owned(payload));
        let permit = permit.map_err(|_| gone())?;
        header.commit = self.scanner.newest_commit();
        let (blake3, commit) = (header.blake3, header.commit);
        let object = seal::seal(header, frames, self.settings.epoch.as_ref())?;
        let upload = Upload {
            key,
            object,
            blake3,
            timeline: self.segment.name.timeline(),
            end: self.segment.name.start(self.size).saturating_add(to),
            commit,
            parts,
            restore_points: std::mem::take(&mut self.restore_points),
            permit,
        };
        self.settings
            .uploads
            .blocking_send(upload)
            .map_err(|_| gone())
    }

    fn spool_written(&mut self) -> Result<()> {
        if let Some(spool) = &mut self.settings.spool {
            let end = spool.sync()?;
            self.settings.written.send_replace(end);
        }
        Ok(())
    }
}

/// Offsets in a segment are at most 1 GiB.
fn offset(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
