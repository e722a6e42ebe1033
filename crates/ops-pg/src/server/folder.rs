//! The folder of one server.

use std::fs::{self, DirBuilder, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ops_core::{Error, ErrorKind, Result};

use super::parent::{self, Parent};
use super::{file_error, leftover};
use crate::process::User;

/// What the names of servers' folders start with.
pub(super) const PREFIX: &str = "pg-";
/// The file that is locked while the folder's process lives.
pub(super) const OWNER: &str = "owner";
/// The data folder.
pub(super) const DATA: &str = "data";

/// What `sockaddr_un` holds, less the final zero.
const MAX_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

const LOG_TAIL: u64 = 16 * 1024;

/// The folder of one server. It is removed on drop.
#[derive(Debug)]
pub(super) struct ServerFolder {
    path: PathBuf,
    socket_dir: PathBuf,
    data_dir: PathBuf,
    _owner: File,
}

impl ServerFolder {
    /// Makes a folder that only the server's user can enter, without a data folder. That
    /// may lie elsewhere: then it is not removed.
    pub(super) fn create(
        parent: &Parent,
        user: Option<&User>,
        port: u16,
        data_dir: Option<&Path>,
    ) -> Result<Self> {
        let _lock = parent.lock()?;
        let path = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(6)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent.path())
            .map_err(|err| file_error("making a folder in", parent.path(), err))?
            .keep();
        let mut owner = parent::lock(&path.join(OWNER))?;
        // For people who look around: nothing reads it.
        let _ = writeln!(owner, "{}", std::process::id());
        let folder = Self {
            socket_dir: path.join("run"),
            data_dir: data_dir.map_or_else(|| path.join(DATA), Path::to_owned),
            path,
            _owner: owner,
        };
        folder.check_socket_path(port)?;
        if let Some(elsewhere) = data_dir {
            // By which whoever sweeps finds the server.
            let link = folder.path.join(DATA);
            std::os::unix::fs::symlink(elsewhere, &link)
                .map_err(|err| file_error("linking", &link, err))?;
        }
        make_folder(&folder.socket_dir, user)?;
        give(&folder.path, user)?;
        Ok(folder)
    }

    /// Makes an empty data folder.
    pub(super) fn create_data_dir(&self, user: Option<&User>) -> Result<()> {
        make_folder(&self.data_dir, user)
    }

    fn check_socket_path(&self, port: u16) -> Result<()> {
        let socket = self.socket_dir.join(format!(".s.PGSQL.{port}"));
        let length = socket.as_os_str().as_bytes().len();
        if length <= MAX_SOCKET_PATH {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "the socket's path {} is {length} bytes long, and a socket's path may have \
                 {MAX_SOCKET_PATH}; choose a shorter parent folder",
                socket.display()
            ),
        ))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The last 16 KiB of the log from an offset on.
    pub(super) fn log_tail(&self, from: u64) -> String {
        let read = || {
            let mut file = File::open(self.log())?;
            let end = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(end.saturating_sub(LOG_TAIL).max(from)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }
}

impl Drop for ServerFolder {
    fn drop(&mut self) {
        leftover::release_shared_memory(&self.data_dir);
        // A process of the server that is about to end may still write; the rest of a
        // removal that fails is swept later, since nobody holds the owner file then.
        for _ in 0..3 {
            match fs::remove_dir_all(&self.path) {
                Err(err) if err.kind() != std::io::ErrorKind::NotFound => {}
                _ => return,
            }
        }
        tracing::warn!(folder = %self.path.display(), "a server's folder could not be removed");
    }
}

/// Makes a folder that only the server's user can enter.
fn make_folder(folder: &Path, user: Option<&User>) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .create(folder)
        .map_err(|err| file_error("making folder", folder, err))?;
    give(folder, user)
}

/// Writes a file that only the server's user can read.
pub(super) fn write(path: &Path, bytes: &[u8], user: Option<&User>) -> Result<()> {
    fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|err| file_error("writing", path, err))?;
    give(path, user)
}

/// Hands a file or folder over to the server's user.
pub(super) fn give(path: &Path, user: Option<&User>) -> Result<()> {
    let Some(user) = user else { return Ok(()) };
    std::os::unix::fs::lchown(path, Some(user.uid()), Some(user.gid()))
        .map_err(|err| file_error("handing over", path, err))
}

/// Hands a folder over to the server's user with all that is in it. Links are handed over,
/// not what they point to.
pub(super) fn give_all(path: &Path, user: &User) -> Result<()> {
    give(path, Some(user))?;
    let entries = fs::read_dir(path).map_err(|err| file_error("listing", path, err))?;
    for entry in entries {
        let entry = entry.map_err(|err| file_error("listing", path, err))?;
        let kind = entry
            .file_type()
            .map_err(|err| file_error("reading", path, err))?;
        if kind.is_dir() {
            give_all(&entry.path(), user)?;
        } else {
            give(&entry.path(), Some(user))?;
        }
    }
    Ok(())
}

/// Copies a folder, and hands the copy over to the server's user. Files and folders keep
/// their modes; there is nothing else in a data folder that was just initialized.
pub(super) fn copy(from: &Path, to: &Path, user: Option<&User>) -> Result<()> {
    make_folder(to, user)?;
    let entries = fs::read_dir(from).map_err(|err| file_error("listing", from, err))?;
    for entry in entries {
        let entry = entry.map_err(|err| file_error("listing", from, err))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry
            .file_type()
            .map_err(|err| file_error("reading", &source, err))?;
        if kind.is_dir() {
            copy(&source, &target, user)?;
        } else {
            fs::copy(&source, &target).map_err(|err| file_error("copying", &source, err))?;
            give(&target, user)?;
        }
    }
    let mode = fs::metadata(from).map_or(0o700, |meta| meta.permissions().mode());
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
        .map_err(|err| file_error("opening folder", to, err))
}
