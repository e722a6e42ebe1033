//! The folder that a cluster is restored into.

mod look;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ops_pg::process::User;
use ops_pg_replication::SystemId;

use super::control;
use crate::error::{Error, ErrorKind, Result};

pub(crate) use look::free_bytes;

/// Lies in a data folder for as long as a restore into it has not ended.
pub(crate) const MARKER: &str = "ops-restore.json";

/// Files that belong to a server that ran in the folder, not to a cluster.
const OF_A_SERVER: [&str; 2] = ["postmaster.pid", "postmaster.opts"];

/// What a marker says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Marker {
    pub(crate) system_id: SystemId,
}

/// A folder that was looked at, and may be written to.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) owner: Option<User>,
    /// Whether files that are there may be kept.
    pub(crate) delta: bool,
    /// Held while a file is made.
    pub(crate) making: Arc<Mutex<()>>,
}

/// An error of the file system while a cluster is written.
#[cold]
pub(crate) fn file_error(what: &str, path: &Path, source: io::Error) -> Error {
    let kind = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::TargetFull,
        _ => ErrorKind::TargetUnavailable,
    };
    let message = format!("{what} {} failed", path.display());
    Error::new(kind, "restore", message).with_source(source)
}

impl Directory {
    /// Makes the folder where it is missing, and takes from it what would let a server
    /// start before the restore has ended.
    pub(crate) fn begin(&self, mode: u32, marker: Option<&Marker>) -> Result<()> {
        if !self.path.exists() {
            if let Some(parent) = self.path.parent() {
                fs::create_dir_all(parent).map_err(|err| file_error("making", parent, err))?;
            }
            DirBuilder::new()
                .mode(0o700)
                .create(&self.path)
                .map_err(|err| file_error("making", &self.path, err))?;
        }
        self.give(&self.path)?;
        let Some(marker) = marker else {
            return Self::set_mode(&self.path, mode);
        };
        let json = serde_json::to_vec(marker).map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                "restore",
                "the marker cannot be written",
            )
            .with_source(source)
        })?;
        self.write(Path::new(MARKER), 0o600, &json)?;
        for name in OF_A_SERVER.iter().chain(&[control::PATH]) {
            remove(&self.path.join(name))?;
        }
        Self::sync_dir(&self.path.join("global"))?;
        Self::sync_dir(&self.path)?;
        Self::set_mode(&self.path, mode)
    }

    /// Writes `pg_control`, the last of all files: from now on a server can start here.
    pub(crate) fn finish(&self, mode: u32, control: &[u8]) -> Result<()> {
        let path = self.path.join(control::PATH);
        let file = self.write(Path::new(control::PATH), mode, control)?;
        file.sync_all()
            .map_err(|err| file_error("syncing", &path, err))?;
        Self::sync_dir(&self.path.join("global"))?;
        remove(&self.path.join(MARKER))?;
        Self::sync_dir(&self.path)
    }

    /// Makes everything that was written to the folder's file system durable, at once.
    pub(crate) fn sync_all(&self) -> Result<()> {
        let open = File::open(&self.path);
        let folder = open.map_err(|err| file_error("opening", &self.path, err))?;
        sync_file_system(&folder).map_err(|err| file_error("syncing", &self.path, err))
    }

    fn sync_dir(path: &Path) -> Result<()> {
        match File::open(path) {
            Ok(folder) => folder
                .sync_all()
                .map_err(|err| file_error("syncing", path, err)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(file_error("opening", path, err)),
        }
    }

    /// Writes a small file that the server owns, over one that is there.
    pub(crate) fn write(&self, name: &Path, mode: u32, content: &[u8]) -> Result<File> {
        let path = self.path.join(name);
        let written = self.create(&path, mode).and_then(|mut file| {
            file.write_all(content)?;
            Ok(file)
        });
        written.map_err(|err| file_error("writing", &path, err))
    }

    /// Makes an empty file that the server owns, in place of whatever is there. One that is
    /// there is replaced and not written to: it may be a link to something else.
    pub(crate) fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.create_new(true).read(true).write(true);
        options.mode(mode & 0o640);
        let file = {
            // The kernel lets one at a time into a folder, and those who wait spin.
            let _one = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            match options.open(path) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                    if path.is_dir() && !path.is_symlink() {
                        fs::remove_dir_all(path)?;
                    } else {
                        fs::remove_file(path)?;
                    }
                    options.open(path)?
                }
                outcome => outcome?,
            }
        };
        file.set_permissions(fs::Permissions::from_mode(mode & 0o640))?;
        if let Some(owner) = &self.owner {
            std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(file)
    }

    /// Opens a file that is there to be brought to another content, with the mode and the owner
    /// that it shall have: only where a restore goes over what is there, and only one that has
    /// no other name.
    pub(crate) fn reuse(&self, path: &Path, mode: u32) -> Option<File> {
        let meta = fs::symlink_metadata(path).ok().filter(|_| self.delta)?;
        if !meta.is_file() || meta.nlink() != 1 {
            return None;
        }
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path);
        // Whoever may not write to it may still be allowed to put another in its place.
        let file = opened.ok()?;
        self.adopt(path, mode).ok().map(|()| file)
    }

    /// Gives a file that is kept the mode and the owner that it shall have.
    pub(crate) fn adopt(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o640))?;
        match &self.owner {
            None => Ok(()),
            Some(owner) => std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid())),
        }
    }

    /// Makes a folder that the server owns, unless it is there.
    pub(crate) fn make_dir(&self, path: &Path, mode: u32) -> Result<()> {
        let failed = |err| file_error("making", path, err);
        match fs::symlink_metadata(path) {
            // `pg_wal` of a cluster that is restored over may lie elsewhere.
            Ok(meta) if meta.is_dir() || (path.ends_with("pg_wal") && path.is_dir()) => {}
            Ok(_) => {
                fs::remove_file(path).map_err(failed)?;
                fs::create_dir(path).map_err(failed)?;
            }
            Err(_) => fs::create_dir_all(path).map_err(failed)?,
        }
        self.give(path)?;
        Self::set_mode(path, mode)
    }

    /// Makes a symbolic link, in place of whatever is there.
    pub(crate) fn link(&self, path: &Path, target: &Path) -> Result<()> {
        let failed = |err| file_error("linking", path, err);
        if fs::read_link(path).is_ok_and(|found| found == target) {
            return Ok(());
        }
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).map_err(failed)?,
            Ok(_) => fs::remove_file(path).map_err(failed)?,
            Err(_) => {}
        }
        std::os::unix::fs::symlink(target, path).map_err(failed)?;
        self.give(path)
    }

    fn set_mode(path: &Path, mode: u32) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o750))
            .map_err(|err| file_error("setting the mode of", path, err))
    }

    fn give(&self, path: &Path) -> Result<()> {
        let Some(owner) = &self.owner else {
            return Ok(());
        };
        std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid()))
            .map_err(|err| file_error("handing over", path, err))
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(err)
            if !matches!(
                err.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(file_error("removing", path, err))
        }
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn sync_file_system(folder: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_folder: &File) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SystemId {
        SystemId::new(77)
    }

    pub(super) fn look(path: &Path, delta: bool) -> Result<Directory> {
        Directory::look(path, None, delta, id())
    }

    pub(super) fn cluster(folder: &Path, system_id: u64) {
        fs::create_dir_all(folder.join("global")).unwrap();
        let mut control = system_id.to_le_bytes().to_vec();
        control.resize(8192, 0);
        fs::write(folder.join(control::PATH), control).unwrap();
    }

    #[test]
    fn between_begin_and_finish_no_server_can_start_and_the_restore_can_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        cluster(folder.path(), 77);
        let directory = look(folder.path(), true).unwrap();
        directory
            .begin(0o700, Some(&Marker { system_id: id() }))
            .unwrap();
        assert!(!folder.path().join(control::PATH).exists());
        look(folder.path(), true).unwrap();
        assert!(Directory::look(folder.path(), None, true, SystemId::new(5)).is_err());
        directory.finish(0o600, b"control").unwrap();
        assert_eq!(
            fs::read(folder.path().join(control::PATH)).unwrap(),
            b"control"
        );
        assert!(!folder.path().join(MARKER).exists());
    }

    #[test]
    fn a_file_is_replaced_and_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "precious").unwrap();
        let data = folder.path().join("data");
        let directory = look(&data, false).unwrap();
        directory.begin(0o700, None).unwrap();
        std::os::unix::fs::symlink(&outside, data.join("PG_VERSION")).unwrap();
        directory
            .write(Path::new("PG_VERSION"), 0o666, b"15\n")
            .unwrap();
        assert_eq!(fs::read(&outside).unwrap(), b"precious");
        let mode = fs::metadata(data.join("PG_VERSION"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640, "never for others");
    }
}
