//! Received WAL on the local disk.
//!
//! For synchronous commits only: what is in the spool is reported as *written*, before the
//! store has it. A file is a segment as far as it was received; it is removed once the
//! store has all of it. What a process that was killed left behind is archived first of
//! all by the next one, since the server may be gone for good.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ops_pg_replication::{Lsn, SegmentName, SystemId, Timeline, WalSegmentSize};

use super::super::OPERATION;
use crate::error::{Error, ErrorKind, Result};

/// The spool of one stream.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    timeline: Timeline,
    size: WalSegmentSize,
    file: Option<(SegmentName, File)>,
    /// Where the next byte goes.
    end: Lsn,
    is_dirty: bool,
}

impl Spool {
    pub(crate) fn open(
        folder: &Path,
        system_id: SystemId,
        timeline: Timeline,
        size: WalSegmentSize,
    ) -> Result<Self> {
        let folder = folder_of(folder, system_id);
        fs::create_dir_all(&folder).map_err(failed)?;
        Ok(Self {
            folder,
            timeline,
            size,
            file: None,
            end: Lsn::INVALID,
            is_dirty: false,
        })
    }

    /// Writes WAL at its position.
    pub(crate) fn append(&mut self, mut at: Lsn, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let name = at.segment(self.timeline, self.size);
            if self.file.as_ref().is_none_or(|(open, _)| *open != name) {
                self.sync()?;
                self.file = Some((name, self.create(name)?));
            }
            let left = name.end(self.size).saturating_distance_from(at);
            let len = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (piece, rest) = data.split_at_checked(len).unwrap_or((data, &[]));
            if let Some((_, file)) = &mut self.file {
                let offset = at.offset_in_segment(self.size);
                file.seek(SeekFrom::Start(offset)).map_err(failed)?;
                file.write_all(piece).map_err(failed)?;
            }
            self.is_dirty = true;
            at = at.saturating_add(len as u64);
            self.end = at;
            data = rest;
        }
        Ok(())
    }

    fn create(&self, name: SegmentName) -> Result<File> {
        let path = self.folder.join(name.file_name(self.size));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        // The name must be there after a crash, too.
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        Ok(file)
    }

    /// Makes everything durable that was appended, and tells where it ends.
    pub(crate) fn sync(&mut self) -> Result<Lsn> {
        if let Some((_, file)) = self.file.as_ref().filter(|_| self.is_dirty) {
            file.sync_data().map_err(failed)?;
        }
        self.is_dirty = false;
        Ok(self.end)
    }
}

/// What is left in a spool: segments with how far they were received, by name.
pub(crate) fn leftovers(
    folder: &Path,
    system_id: SystemId,
    size: WalSegmentSize,
) -> Result<Vec<(SegmentName, PathBuf, u64)>> {
    let entries = match fs::read_dir(folder_of(folder, system_id)) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(failed(err)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if let Ok(name) = SegmentName::parse(&name.to_string_lossy(), size) {
            let bytes = entry.metadata().map_err(failed)?.len();
            found.push((name, entry.path(), bytes.min(size.bytes())));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes what lies whole before a position of a timeline, and everything of older ones.
pub(crate) fn remove_before(
    folder: &Path,
    system_id: SystemId,
    size: WalSegmentSize,
    timeline: Timeline,
    end: Lsn,
) {
    let Ok(found) = leftovers(folder, system_id, size) else {
        return;
    };
    for (name, path, _) in found {
        let is_done =
            name.timeline() < timeline || (name.timeline() == timeline && name.end(size) <= end);
        if is_done && let Err(err) = fs::remove_file(&path) {
            tracing::debug!(error = %err, "a file stays in the spool folder");
        }
    }
}

fn folder_of(folder: &Path, system_id: SystemId) -> PathBuf {
    folder.join(system_id.to_string())
}

#[cold]
fn failed(source: io::Error) -> Error {
    Error::new(
        ErrorKind::Internal,
        OPERATION,
        "the spool folder cannot be used",
    )
    .with_source(source)
}
