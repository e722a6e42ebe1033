//! Segments that were fetched before they were asked for.
//!
//! A file is there whole or not at all, and its name carries the BLAKE3 of its content,
//! which is compared before the file is handed over.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ops_pg_replication::{SegmentName, SystemId, WalSegmentSize};

use super::super::OPERATION;
use super::super::objects::hash_file;
use crate::error::{Error, ErrorKind, Result};

/// A prefetch spool.
#[derive(Debug)]
pub(super) struct PrefetchSpool {
    folder: PathBuf,
}

impl PrefetchSpool {
    pub(super) fn open(folder: &Path, system_id: SystemId) -> Result<Self> {
        let folder = folder.join(format!("prefetch-{system_id}"));
        // WAL is as secret as the database.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(failed)?;
        Ok(Self { folder })
    }

    fn entries(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            found.push((
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            ));
        }
        Ok(found)
    }

    /// The segments that are there, with their files.
    pub(super) fn segments(&self, size: WalSegmentSize) -> Result<Vec<(SegmentName, PathBuf)>> {
        let entries = self.entries()?.into_iter();
        Ok(entries
            .filter_map(|(name, path)| {
                let (segment, _) = name.split_once('.')?;
                Some((SegmentName::parse(segment, size).ok()?, path))
            })
            .collect())
    }

    /// Hands a segment over, if it is there and what it should be.
    pub(super) fn take(&self, name: &str, to: &Path) -> Result<bool> {
        let begin = format!("{name}.");
        let mut entries = self.entries()?.into_iter();
        let Some((file, path)) = entries.find(|(file, _)| file.starts_with(&begin)) else {
            return Ok(false);
        };
        let hash = file.get(begin.len()..).unwrap_or_default();
        let is_whole = hash_file(&path).is_ok_and(|found| found.to_hex().as_str() == hash);
        if is_whole && hand_over(&path, to).is_ok() {
            return Ok(true);
        }
        // Damaged, or taken by another process in the meantime.
        tracing::warn!(name, "a prefetched segment is not used");
        let _ = fs::remove_file(&path);
        Ok(false)
    }

    /// Where a segment is written to before it is whole.
    pub(super) fn incoming(&self, name: &str) -> PathBuf {
        self.folder.join(format!("incoming-{name}"))
    }

    /// Takes what was written whole into the spool.
    pub(super) fn keep(&self, name: &str) -> Result<()> {
        let incoming = self.incoming(name);
        let hash = hash_file(&incoming).map_err(failed)?.to_hex();
        fs::rename(&incoming, self.folder.join(format!("{name}.{hash}"))).map_err(failed)
    }

    /// Removes what will not be asked for: everything but some segments.
    pub(super) fn retain(
        &self,
        size: WalSegmentSize,
        wanted: impl Fn(SegmentName) -> bool,
    ) -> Result<()> {
        for (name, path) in self.segments(size)? {
            if !wanted(name) {
                let _ = fs::remove_file(path);
            }
        }
        for (file, path) in self.entries()? {
            if file.starts_with("incoming-") || file.starts_with(".ops-wal-") {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    /// Locks the spool for the one process that fills it; `None` where there is one.
    pub(super) fn lock(&self) -> Result<Option<File>> {
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join("lock"))
            .map_err(failed)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(failed(errno.into())),
        }
    }

    /// How many segments are fetched ahead.
    pub(super) fn window(&self) -> u32 {
        let text = fs::read_to_string(self.folder.join("window")).unwrap_or_default();
        text.trim().parse().unwrap_or(FIRST_WINDOW)
    }

    pub(super) fn set_window(&self, window: u32) {
        // It is a matter of speed alone.
        let _ = fs::write(self.folder.join("window"), window.to_string());
    }

    /// Whether a segment is on its way.
    pub(super) fn is_incoming(&self, name: &str) -> bool {
        self.incoming(name).with_extension("begun").exists() && matches!(self.lock(), Ok(None))
    }

    /// Notes that a segment is on its way.
    pub(super) fn begin(&self, name: &str) {
        let _ = fs::write(self.incoming(name).with_extension("begun"), "");
    }

    pub(super) fn end(&self, name: &str) {
        let _ = fs::remove_file(self.incoming(name).with_extension("begun"));
    }
}

/// How many segments are fetched ahead at first.
pub(super) const FIRST_WINDOW: u32 = 4;

/// Moves a file to its place, which may be in another file system.
fn hand_over(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(err) if err.kind() == io::ErrorKind::CrossesDevices => {}
        other => return other,
    }
    let folder = to.parent().filter(|it| !it.as_os_str().is_empty());
    let mut temp = tempfile::Builder::new()
        .prefix(".ops-wal-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    io::copy(&mut File::open(from)?, &mut temp)?;
    temp.as_file().sync_all()?;
    temp.persist(to).map_err(|err| err.error)?;
    fs::remove_file(from)
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

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "000000010000000000000003";

    fn spool() -> (tempfile::TempDir, PrefetchSpool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = PrefetchSpool::open(folder.path(), SystemId::new(7)).unwrap();
        fs::write(spool.incoming(NAME), b"wal").unwrap();
        spool.keep(NAME).unwrap();
        (folder, spool)
    }

    #[test]
    fn a_segment_is_handed_over_once() {
        let (folder, spool) = spool();
        let to = folder.path().join("to");
        assert!(spool.take(NAME, &to).unwrap());
        assert_eq!(fs::read(&to).unwrap(), b"wal");
        assert!(!spool.take(NAME, &to).unwrap());
    }

    #[test]
    fn a_segment_that_was_damaged_in_the_spool_is_not_handed_over() {
        let (folder, spool) = spool();
        let size = WalSegmentSize::DEFAULT;
        let (_, path) = spool.segments(size).unwrap().remove(0);
        fs::write(path, b"wa1").unwrap();
        let to = folder.path().join("to");
        assert!(!spool.take(NAME, &to).unwrap());
        assert!(!to.exists());
        assert!(spool.segments(size).unwrap().is_empty());
    }

    #[test]
    fn what_will_not_be_asked_for_is_removed() {
        let (_folder, spool) = spool();
        let size = WalSegmentSize::DEFAULT;
        let name = SegmentName::parse(NAME, size).unwrap();
        fs::write(spool.incoming("x"), b"half").unwrap();
        spool.retain(size, |it| it == name).unwrap();
        assert_eq!(spool.segments(size).unwrap().len(), 1);
        assert!(!spool.incoming("x").exists());
        spool.retain(size, |_| false).unwrap();
        assert!(spool.segments(size).unwrap().is_empty());
    }

    #[test]
    fn one_process_fills_the_spool() {
        let (_folder, spool) = spool();
        let held = spool.lock().unwrap();
        assert!(held.is_some());
        assert!(spool.lock().unwrap().is_none());
        drop(held);
        assert!(spool.lock().unwrap().is_some());
    }
}
