//! The folder that the store lives in, and the only way to reach files in it.
//!
//! Everything is resolved from the root's descriptor, and no symbolic link is followed: on
//! Linux by `openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`, elsewhere and on old
//! kernels by opening one component after another with `O_NOFOLLOW`.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::config::Durability;

/// The mode of new folders, less the umask.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o750);

/// The mode of new files, less the umask.
pub(crate) const FILE_MODE: Mode = Mode::from_raw_mode(0o640);

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// `NONBLOCK`, so that a pipe in the place of an object does not hang the reader.
const OBJECT: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// How many folders are remembered to be durable.
const MAX_SETTLED: usize = 4096;

/// What identifies the content of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) inode: u64,
    pub(crate) size_bytes: u64,
    pub(crate) modified_ns: i64,
}

impl Facts {
    pub(crate) fn of(stat: &Stat) -> Self {
        let seconds = i128::from(stat.st_mtime);
        let nanos = seconds * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
        Self {
            inode: stat.st_ino,
            size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
            modified_ns: i64::try_from(nanos).unwrap_or_default(),
        }
    }

    pub(crate) fn of_file(file: &File) -> Result<Self, Errno> {
        Ok(Self::of(&rustix::fs::fstat(file)?))
    }
}

/// What kind of thing a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Object,
    Folder,
    /// A symbolic link, socket, pipe or device: never an object.
    Other,
}

impl Entry {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self::from_type(FileType::from_raw_mode(stat.st_mode))
    }

    pub(crate) fn from_type(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::Object,
            FileType::Directory => Self::Folder,
            _ => Self::Other,
        }
    }
}

/// A folder as it was when its entry in the parent was last synced. The time of birth tells
/// it from a later folder that was given the same inode.
#[derive(PartialEq, Eq, Hash)]
struct FolderId {
    parent: u64,
    inode: u64,
    born: (i64, u32),
}

/// The root of a store.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    fd: OwnedFd,
    /// Whether the kernel resolves paths safely by itself.
    beneath: bool,
    durability: Durability,
    settled: Mutex<HashSet<FolderId>>,
}

impl std::fmt::Debug for FolderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.parent, self.inode)
    }
}

impl Root {
    /// Opens the root. The path itself may go through symbolic links.
    pub(crate) fn open(path: &Path, durability: Durability) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        let beneath = openat_beneath(&fd, ".", FOLDER).is_ok();
        let settled = Mutex::default();
        Ok(Self {
            path: path.to_owned(),
            fd,
            beneath,
            durability,
            settled,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durability == Durability::Full
    }

    /// Opens a folder below the root; an empty path is the root itself.
    pub(crate) fn open_folder(&self, path: &str) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        self.resolve(path, FOLDER)
    }

    /// Opens a file below the root for reading. It may turn out not to be a regular one.
    pub(crate) fn open_file(&self, path: &str) -> Result<File, Errno> {
        self.resolve(path, OBJECT).map(File::from)
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        if self.beneath {
            return openat_beneath(&self.fd, path, flags);
        }
        self.walk(path, flags)
    }

    /// Opens one component after another, each relative to the one before.
    fn walk(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let (folders, leaf) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = self.fd.try_clone().map_err(|err| to_errno(&err))?;
        for segment in folders.split('/').filter(|segment| !segment.is_empty()) {
            folder = open_child(&folder, segment, FOLDER)?;
        }
        open_child(&folder, leaf, flags)
    }

    /// Opens a folder below the root and makes what is missing of it, durably.
    ///
    /// `ENOENT` where somebody else removes an empty folder on the way at the same time.
    pub(crate) fn ensure_folder(&self, path: &str) -> Result<OwnedFd, Errno> {
        let mut folder = self.fd.try_clone().map_err(|err| to_errno(&err))?;
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let child = match open_child(&folder, segment, FOLDER) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&folder, segment, FOLDER_MODE) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                    open_child(&folder, segment, FOLDER)?
                }
                other => other?,
            };
            self.settle(&folder, &child)?;
            folder = child;
        }
        Ok(folder)
    }

    /// Syncs the entry of a folder in its parent, unless that is known to have been done.
    ///
    /// A folder that was found may have been made a moment ago by a process that has not
    /// synced it yet, so finding it is not enough.
    fn settle(&self, parent: &OwnedFd, child: &OwnedFd) -> Result<(), Errno> {
        if !self.is_durable() {
            return Ok(());
        }
        let id = folder_id(parent, child);
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if id.as_ref().is_some_and(|id| settled.contains(id)) {
            return Ok(());
        }
        drop(settled);
        self.sync(parent)?;
        if let Some(id) = id {
            settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
            if settled.len() >= MAX_SETTLED {
                settled.clear();
            }
            settled.insert(id);
        }
        Ok(())
    }

    /// Makes what was written to a file or folder durable, where the store is to be.
    pub(crate) fn sync(&self, fd: impl AsFd) -> Result<(), Errno> {
        if !self.is_durable() {
            return Ok(());
        }
        // The standard library's sync also flushes the drive's cache on macOS.
        let file = File::from(
            fd.as_fd()
                .try_clone_to_owned()
                .map_err(|err| to_errno(&err))?,
        );
        file.sync_all().map_err(|err| to_errno(&err))
    }

    /// Removes a folder and those above it as long as they are empty.
    pub(crate) fn prune(&self, path: &str) {
        let mut path = path;
        while !path.is_empty() {
            let (parent, leaf) = path.rsplit_once('/').unwrap_or(("", path));
            let Ok(folder) = self.open_folder(parent) else {
                return;
            };
            if rustix::fs::unlinkat(&folder, leaf, AtFlags::REMOVEDIR).is_err() {
                return;
            }
            path = parent;
        }
    }

    /// Removes a folder in which there are only folders; `false` where there is more.
    pub(crate) fn remove_empty(&self, path: &str) -> bool {
        let Ok(entries) = self.open_folder(path).and_then(Dir::read_from) else {
            return false;
        };
        for entry in entries {
            let Ok(entry) = entry else { return false };
            match entry.file_name().to_str() {
                Ok("." | "..") => {}
                Ok(name) if self.remove_empty(&format!("{path}/{name}")) => {}
                _ => return false,
            }
        }
        let (parent, leaf) = path.rsplit_once('/').unwrap_or(("", path));
        self.open_folder(parent)
            .and_then(|folder| rustix::fs::unlinkat(&folder, leaf, AtFlags::REMOVEDIR))
            .is_ok()
    }
}

/// Opens an entry of a folder without following a link.
pub(crate) fn open_child(folder: impl AsFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let opened = rustix::fs::openat(&folder, name, flags | OFlags::NOFOLLOW, Mode::empty());
    match opened {
        // A link where a folder is wanted is "not a folder" to the kernel.
        Err(Errno::NOTDIR) if is_link(&folder, name) => Err(Errno::LOOP),
        other => other,
    }
}

fn is_link(folder: impl AsFd, name: &str) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

#[cfg(target_os = "linux")]
fn openat_beneath(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;

    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        // `EAGAIN`: a rename elsewhere raced the resolution.
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn openat_beneath(_root: &OwnedFd, _path: &str, _flags: OFlags) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

#[cfg(target_os = "linux")]
fn folder_id(parent: &OwnedFd, child: &OwnedFd) -> Option<FolderId> {
    use rustix::fs::{StatxFlags, statx};

    let parent = rustix::fs::fstat(parent).ok()?.st_ino;
    let wanted = StatxFlags::BTIME | StatxFlags::INO;
    let child = statx(child, c"", AtFlags::EMPTY_PATH, wanted).ok()?;
    let known = StatxFlags::from_bits_retain(child.stx_mask).contains(wanted);
    let born = (child.stx_btime.tv_sec, child.stx_btime.tv_nsec);
    known.then_some(FolderId {
        parent,
        inode: child.stx_ino,
        born,
    })
}

#[cfg(not(target_os = "linux"))]
fn folder_id(_parent: &OwnedFd, _child: &OwnedFd) -> Option<FolderId> {
    None
}

fn to_errno(err: &std::io::Error) -> Errno {
    Errno::from_io_error(err).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> (tempfile::TempDir, [Root; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let fast = Root::open(dir.path(), Durability::None).unwrap();
        let mut slow = Root::open(dir.path(), Durability::None).unwrap();
        slow.beneath = false;
        (dir, [fast, slow])
    }

    #[test]
    fn both_ways_to_resolve_a_path_refuse_links_at_every_place() {
        let (dir, roots) = roots();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("out")).unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        std::os::unix::fs::symlink("../in", dir.path().join("in/loop")).unwrap();
        let secret = outside.path().join("secret");
        std::os::unix::fs::symlink(secret, dir.path().join("in/leaf")).unwrap();
        for root in &roots {
            for path in ["out/secret", "in/leaf", "in/loop/leaf"] {
                assert_eq!(
                    root.open_file(path).unwrap_err(),
                    Errno::LOOP,
                    "{path} {root:?}"
                );
            }
            assert_eq!(root.open_folder("out").unwrap_err(), Errno::LOOP);
            assert_eq!(root.ensure_folder("out/new").unwrap_err(), Errno::LOOP);
        }
        assert!(!outside.path().join("new").exists());
    }

    #[test]
    fn both_ways_to_resolve_a_path_open_what_is_there() {
        let (dir, roots) = roots();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/c"), "x").unwrap();
        for root in &roots {
            assert!(root.open_file("a/b/c").is_ok());
            assert!(root.open_folder("a/b").is_ok());
            assert!(root.open_folder("").is_ok());
            assert_eq!(root.open_file("a/b/d").unwrap_err(), Errno::NOENT);
            assert_eq!(root.open_file("a/b/c/d").unwrap_err(), Errno::NOTDIR);
        }
    }

    #[test]
    fn pruning_stops_at_the_first_folder_that_is_not_empty() {
        let (dir, [root, _]) = roots();
        root.ensure_folder("a/b/c").unwrap();
        std::fs::write(dir.path().join("a/keep"), "x").unwrap();
        root.prune("a/b/c");
        assert!(dir.path().join("a/keep").exists());
        assert!(!dir.path().join("a/b").exists());
    }
}
