//! Puts frames into packs, and everything into the stores.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::cutter::{Tag, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Counters;
use crate::keys::BackupIdentity;
use crate::physical::format::{FrameTable, PackInfo};
use crate::pipeline::{Frames, Sealer, StoredObject, Uploaders};
use crate::repository::{BackupId, Layout, ManifestObject, ObjectRole};

/// How many packs may wait for their acknowledgement while the next is written.
const UNACKNOWLEDGED: usize = 3;
/// How many frames a line of the frame table has at most.
const LINE_FRAMES: usize = 4096;
/// How many bytes of the frame table go into a frame of its own.
const TABLE_BYTES: usize = 256 << 10;

/// How to store.
pub(super) struct PackSettings {
    pub(super) uploaders: Uploaders,
    pub(super) identity: Option<BackupIdentity>,
    pub(super) layout: Layout,
    pub(super) id: BackupId,
    pub(super) pack_bytes: u64,
    pub(super) level: i32,
}

/// Everything that was stored from frames.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) packs: Vec<PackInfo>,
    /// The packs, the index, the frame table, the server's manifest.
    pub(super) objects: Vec<ManifestObject>,
}

/// Writes packs and what goes with them. For blocking threads only.
pub(super) struct Packer {
    data: Sealer,
    files: Sealer,
    table: Sealer,
    server_manifest: Sealer,
    compressor: zstd::bulk::Compressor<'static>,
    packs: Vec<PackInfo>,
    /// Where the next frame of the archive begins.
    offset: u64,
    /// The frames of the last pack that are not in the table yet.
    frames: Vec<(u32, u32)>,
    table_lines: Vec<u8>,
}

#[cold]
fn failed(source: impl Into<ops_core::BoxError>) -> Error {
    Error::new(ErrorKind::Internal, "base_backup", "a frame cannot be made").with_source(source)
}

impl Packer {
    pub(super) fn new(settings: PackSettings) -> Result<Self> {
        let PackSettings {
            uploaders,
            identity,
            layout,
            id,
            pack_bytes,
            level,
        } = settings;
        let sealer = |role: ObjectRole, max_bytes: u64| {
            let (layout, id, encrypted) = (layout.clone(), id.clone(), identity.is_some());
            let name = move |number| layout.object(&id, role, number, encrypted);
            Sealer::new(uploaders.clone(), identity.clone(), max_bytes, name)
        };
        let mut compressor = zstd::bulk::Compressor::new(level).map_err(failed)?;
        compressor.include_checksum(true).map_err(failed)?;
        Ok(Self {
            data: sealer(ObjectRole::Data, pack_bytes).max_unacknowledged(UNACKNOWLEDGED),
            files: sealer(ObjectRole::Files, u64::MAX),
            table: sealer(ObjectRole::Frames, u64::MAX),
            server_manifest: sealer(ObjectRole::BackupManifest, u64::MAX),
            compressor,
            packs: Vec::new(),
            offset: 0,
            frames: Vec::new(),
            table_lines: Vec::new(),
        })
    }

    /// Stores all frames, and gives each buffer back. Unless the backup is `whole` at the
    /// end, everything that is not stored yet is given up.
    pub(super) fn run(
        mut self,
        mut frames: Frames<Tag>,
        buffers: mpsc::Sender<Vec<u8>>,
        counters: &Counters,
        whole: &AtomicBool,
    ) -> Result<Packed> {
        let stored = self.store(&mut frames, &buffers, counters);
        // In this order: the end of `frames` waits for threads that wait for blocks, and who
        // sends those may wait for a buffer.
        drop(buffers);
        drop(frames);
        stored?;
        if !whole.load(Ordering::Acquire) {
            let message = "receiving ended early";
            return Err(Error::new(ErrorKind::Canceled, "base_backup", message));
        }
        self.finish()
    }

    fn store(
        &mut self,
        frames: &mut Frames<Tag>,
        buffers: &mpsc::Sender<Vec<u8>>,
        counters: &Counters,
    ) -> Result<()> {
        while let Some(frame) = frames.recv() {
            let frame = frame.map_err(failed)?;
            match frame.tag.target {
                Target::Pack(archive) => self.write(archive, frame.plain_bytes, &frame.bytes)?,
                Target::Files => drop(self.files.write_frame(&frame.bytes)?),
                Target::ServerManifest => drop(self.server_manifest.write_frame(&frame.bytes)?),
            }
            counters.add_stored(frame.bytes.len() as u64);
            // There is room for all of them; where nobody fills them any more, they go.
            let _ = buffers.try_send(frame.bytes);
        }
        Ok(())
    }

    fn write(&mut self, archive: u32, plain_bytes: usize, frame: &[u8]) -> Result<()> {
        if self
            .packs
            .last()
            .is_some_and(|pack| pack.archive != archive)
        {
            self.data.end_object()?;
            self.offset = 0;
        }
        let number = self.data.write_frame(frame)?;
        if number >= self.packs.len() {
            self.end_line()?;
            self.packs.push(PackInfo {
                archive,
                offset: self.offset,
                bytes: 0,
                frames: 0,
            });
        }
        let plain = plain_bytes as u64;
        self.offset += plain;
        if let Some(pack) = self.packs.last_mut() {
            pack.bytes += plain;
            pack.frames += 1;
        }
        let plain = u32::try_from(plain_bytes).map_err(failed)?;
        self.frames
            .push((plain, u32::try_from(frame.len()).map_err(failed)?));
        if self.frames.len() >= LINE_FRAMES {
            self.end_line()?;
        }
        Ok(())
    }

    /// Writes the frames of the last pack down.
    fn end_line(&mut self) -> Result<()> {
        let Some(last) = self.packs.len().checked_sub(1) else {
            return Ok(());
        };
        if !self.frames.is_empty() {
            let pack = u32::try_from(last).map_err(failed)?;
            let line = FrameTable::new(pack, std::mem::take(&mut self.frames));
            serde_json::to_writer(&mut self.table_lines, &line).map_err(failed)?;
            self.table_lines.push(b'\n');
            self.frames = line.frames;
            self.frames.clear();
        }
        if self.table_lines.len() >= TABLE_BYTES {
            self.write_table()?;
        }
        Ok(())
    }

    fn write_table(&mut self) -> Result<()> {
        let frame = self
            .compressor
            .compress(&self.table_lines)
            .map_err(failed)?;
        self.table_lines.clear();
        self.table.write_frame(&frame).map(drop)
    }

    fn finish(mut self) -> Result<Packed> {
        self.end_line()?;
        self.write_table()?;
        let mut objects = Vec::new();
        for (role, sealer) in [
            (ObjectRole::Data, self.data),
            (ObjectRole::Files, self.files),
            (ObjectRole::Frames, self.table),
            (ObjectRole::BackupManifest, self.server_manifest),
        ] {
            let stored = sealer.finish()?.into_iter();
            objects.extend(stored.map(|object| manifest_object(role, object)));
        }
        Ok(Packed {
            packs: self.packs,
            objects,
        })
    }
}

fn manifest_object(role: ObjectRole, stored: StoredObject) -> ManifestObject {
    let StoredObject {
        key,
        size_bytes,
        blake3,
    } = stored;
    ManifestObject::new(role, key, size_bytes, blake3)
}
