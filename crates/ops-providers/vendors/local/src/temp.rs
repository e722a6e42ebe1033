//! Files that are being written, in the store's private folder.
//!
//! The name holds the owner's process id and start time, and the owner keeps the file
//! locked. A file whose lock is free and whose owner is gone was left over by a dead process
//! and is removed when a store is opened. The lock is what decides: process ids mean nothing
//! between containers that share a volume.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ops_core::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, FlockOperation, OFlags};
use rustix::io::Errno;

use crate::error::{Context, from_io};
use crate::lock::lock;
use crate::root::{FILE_MODE, Root, open_child};

/// How often a name is tried that turns out to be taken.
const ATTEMPTS: u32 = 64;

/// The folder of temporary files.
#[derive(Debug)]
pub(crate) struct TempFolder {
    fd: Arc<OwnedFd>,
    owner: String,
    next: AtomicU64,
}

impl TempFolder {
    /// Opens the folder, makes it where it is missing, and checks that files can be made and
    /// locked in it.
    pub(crate) fn open(root: &Root) -> Result<Self> {
        let fd = root
            .ensure_folder(".ops/tmp")
            .cannot("make the folder for temporary files")?;
        let owner = format!("{}-{}", std::process::id(), start_time("self").unwrap_or(0));
        // Clones of one process that opened the store twice must not try the same names.
        let next = AtomicU64::new(random());
        let folder = Self {
            fd: Arc::new(fd),
            owner,
            next,
        };
        match folder.create() {
            Ok(_probe) => Ok(folder),
            // A full store must open, so that objects can be deleted.
            Err(err) if err.kind() == ErrorKind::QuotaExceeded => Ok(folder),
            Err(err) => Err(err),
        }
    }

    /// Makes a file that is removed when it is dropped, unless it was published.
    pub(crate) fn create(&self) -> Result<TempFile> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number:016x}", self.owner);
            let fd = match rustix::fs::openat(&*self.fd, &name, flags, FILE_MODE) {
                Err(Errno::EXIST) => continue,
                other => other.cannot("make a temporary file")?,
            };
            let temp = TempFile {
                folder: Arc::clone(&self.fd),
                name,
                file: File::from(fd),
                done: false,
            };
            lock(&temp.file, FlockOperation::LockExclusive).cannot("lock a temporary file")?;
            // A sweep may have taken the file for a dead one before it was locked.
            if temp.is_linked().cannot("look at a temporary file")? {
                return Ok(temp);
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "temporary files are removed by somebody else",
        ))
    }

    /// Removes what dead processes left over, and says how many files that were.
    pub(crate) fn sweep(&self) -> Result<usize> {
        let entries = rustix::fs::Dir::read_from(&*self.fd).cannot("list temporary files")?;
        let mut swept = 0;
        for entry in entries {
            let entry = entry.cannot("list temporary files")?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if owner_is_gone(name) && self.sweep_one(name).is_ok() {
                swept += 1;
            }
        }
        Ok(swept)
    }

    fn sweep_one(&self, name: &str) -> Result<(), Errno> {
        let file = open_child(&*self.fd, name, OFlags::RDONLY | OFlags::CLOEXEC)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        rustix::fs::unlinkat(&*self.fd, name, AtFlags::empty())
    }
}

/// A file that is being written. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct TempFile {
    folder: Arc<OwnedFd>,
    name: String,
    file: File,
    done: bool,
}

impl TempFile {
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its final name, in the place of what has it now.
    pub(crate) fn publish(&mut self, folder: &OwnedFd, name: &str) -> Result<(), Errno> {
        rustix::fs::renameat(&*self.folder, &self.name, folder, name)?;
        self.done = true;
        Ok(())
    }

    /// Gives the file its final name, and fails with `EEXIST` where something has it,
    /// as far as the file system can tell.
    pub(crate) fn publish_new(&mut self, folder: &OwnedFd, name: &str) -> Result<(), Errno> {
        match self.rename_no_replace(folder, name) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.publish(folder, name),
            Ok(()) => {
                self.done = true;
                Ok(())
            }
            other => other,
        }
    }

    #[cfg(target_os = "linux")]
    fn rename_no_replace(&self, folder: &OwnedFd, name: &str) -> Result<(), Errno> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(&*self.folder, &self.name, folder, name, flags)
    }

    #[cfg(not(target_os = "linux"))]
    fn rename_no_replace(&self, _folder: &OwnedFd, _name: &str) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }

    /// Whether the file still has its name.
    pub(crate) fn is_linked(&self) -> Result<bool, Errno> {
        Ok(rustix::fs::fstat(&self.file)?.st_nlink > 0)
    }

    /// Leaves the file behind, as a process that dies does.
    #[cfg(test)]
    pub(crate) fn abandon(mut self) {
        self.done = true;
    }
}

impl io::Write for TempFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if let Err(errno) = rustix::fs::unlinkat(&*self.folder, &self.name, AtFlags::empty())
            && errno != Errno::NOENT
        {
            let err = from_io("remove a temporary file", errno.into());
            tracing::warn!(error = %err, file = self.name, "a temporary file stays behind");
        }
    }
}

/// 64 random bits, for names and versions that must differ between processes.
pub(crate) fn random() -> u64 {
    use std::hash::BuildHasher;

    std::collections::hash_map::RandomState::new().hash_one(0)
}

fn owner_is_gone(name: &str) -> bool {
    let mut parts = name.split('-');
    let (Some(pid), Some(start)) = (parts.next(), parts.next()) else {
        return false;
    };
    let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else {
        return false;
    };
    start_time(&pid.to_string()) != Some(start)
}

/// When a process was started, in ticks since boot; `None` where there is no such process.
#[cfg(target_os = "linux")]
fn start_time(pid: &str) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Without `/proc`, the lock alone tells whether an owner lives.
#[cfg(not(target_os = "linux"))]
fn start_time(_pid: &str) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Durability;

    fn folder() -> (tempfile::TempDir, TempFolder) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path(), Durability::None).unwrap();
        let folder = TempFolder::open(&root).unwrap();
        (dir, folder)
    }

    fn count(dir: &tempfile::TempDir) -> usize {
        std::fs::read_dir(dir.path().join(".ops/tmp"))
            .unwrap()
            .count()
    }

    #[test]
    fn a_file_that_is_dropped_is_removed() {
        let (dir, folder) = folder();
        let temp = folder.create().unwrap();
        assert_eq!(count(&dir), 1);
        drop(temp);
        assert_eq!(count(&dir), 0);
    }

    #[test]
    fn a_sweep_removes_files_of_dead_owners_only() {
        let (dir, folder) = folder();
        let alive = folder.create().unwrap();
        let tmp = dir.path().join(".ops/tmp");
        std::fs::write(tmp.join("4294967295-7-0000000000000000"), "left over").unwrap();
        std::fs::write(tmp.join(format!("{}-1-00", std::process::id())), "same pid").unwrap();
        assert_eq!(folder.sweep().unwrap(), 2);
        assert_eq!(count(&dir), 1);
        assert!(alive.is_linked().unwrap());
    }

    #[test]
    fn a_sweep_spares_a_locked_file_whose_owner_cannot_be_seen() {
        let (dir, folder) = folder();
        let path = dir.path().join(".ops/tmp/4294967295-7-0000000000000000");
        let elsewhere = File::create(&path).unwrap();
        lock(&elsewhere, FlockOperation::LockExclusive).unwrap();
        assert_eq!(folder.sweep().unwrap(), 0);
        assert!(path.exists());
        drop(elsewhere);
        assert_eq!(folder.sweep().unwrap(), 1);
    }
}
