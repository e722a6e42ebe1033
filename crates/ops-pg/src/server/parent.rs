//! The folder below which servers are made, and the sweep of what the dead left there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ops_core::{Error, ErrorKind, Result};
use rustix::fs::{FlockOperation, flock};

use super::folder::{DATA, OWNER, PREFIX};
use super::{file_error, leftover};
use crate::process::User;

/// A parent folder that was checked.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    path: PathBuf,
}

impl Parent {
    /// Makes the folder where it does not exist, and checks it: it must belong to us,
    /// nobody else may write to it, and the user that the server runs as must be able to
    /// pass through it.
    pub(super) fn open(path: &Path, user: Option<&User>) -> Result<Self> {
        let mode = if user.is_some() { 0o711 } else { 0o700 };
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
            .map_err(|err| file_error("making folder", path, err))?;
        let path = fs::canonicalize(path).map_err(|err| file_error("opening folder", path, err))?;
        let meta = fs::metadata(&path).map_err(|err| file_error("opening folder", &path, err))?;
        if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "folder {} must belong to us, and nobody else may write to it",
                    path.display()
                ),
            ));
        }
        if let Some(user) = user {
            let opened = meta.permissions().mode() | 0o011;
            fs::set_permissions(&path, fs::Permissions::from_mode(opened))
                .map_err(|err| file_error("opening folder", &path, err))?;
            check_passable(&path, user)?;
        }
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder in the parent, or uses the one that is there.
    pub(super) fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        match DirBuilder::new().mode(0o711).create(&path) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => {
                Err(file_error("making folder", &path, err))
            }
            _ => Ok(path),
        }
    }

    /// Waits for the lock under which folders are made and dead ones are claimed. It is
    /// held only for a moment, until the file is dropped.
    pub(super) fn lock(&self) -> Result<File> {
        lock(&self.path.join("lock"))
    }

    /// Removes the folders that nobody owns. See [`super::sweep`].
    pub(super) fn sweep(&self) -> Result<usize> {
        let claimed = self.claim_dead()?;
        for (folder, _owner) in &claimed {
            // A link where it lies elsewhere.
            let data = folder.join(DATA);
            let data = fs::read_link(&data).unwrap_or(data);
            leftover::end_server(&data);
            leftover::release_shared_memory(&data);
            if let Err(err) = fs::remove_dir_all(folder)
                && err.kind() != io::ErrorKind::NotFound
            {
                return Err(file_error("removing folder", folder, err));
            }
            tracing::info!(folder = %folder.display(), "removed the folder of a dead owner's server");
        }
        Ok(claimed.len())
    }

    /// The folders that nobody owns, each with its owner file locked by us, so that two
    /// sweeps do not remove the same one.
    fn claim_dead(&self) -> Result<Vec<(PathBuf, Option<File>)>> {
        let _lock = self.lock()?;
        let entries =
            fs::read_dir(&self.path).map_err(|err| file_error("listing", &self.path, err))?;
        let mut claimed = Vec::new();
        for entry in entries.filter_map(io::Result::ok) {
            let folder = entry.path();
            if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !folder.is_dir() {
                continue;
            }
            // Folders are made under the lock, so one without an owner file is a rest.
            match File::open(folder.join(OWNER)) {
                Ok(owner) => {
                    if flock(&owner, FlockOperation::NonBlockingLockExclusive).is_ok() {
                        claimed.push((folder, Some(owner)));
                    }
                }
                Err(err) if err.kind() == io::ErrorKind::NotFound => claimed.push((folder, None)),
                Err(err) => return Err(file_error("opening owner file of", &folder, err)),
            }
        }
        Ok(claimed)
    }
}

/// Opens a file, makes it where needed, and waits until we alone hold its lock.
pub(super) fn lock(path: &Path) -> Result<File> {
    let file = open_lock_file(path)?;
    rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
        .map_err(|err| file_error("locking", path, err.into()))?;
    Ok(file)
}

/// As [`lock`], but none where somebody else holds it.
pub(super) fn try_lock(path: &Path) -> Result<Option<File>> {
    let file = open_lock_file(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(err) => Err(file_error("locking", path, err.into())),
    }
}

fn open_lock_file(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|err| file_error("opening", path, err))
}

/// Whether a user can pass through a folder and all those above it, by their mode bits.
fn check_passable(path: &Path, user: &User) -> Result<()> {
    for folder in path.ancestors() {
        let meta = fs::metadata(folder).map_err(|err| file_error("opening folder", folder, err))?;
        let bit = if meta.uid() == user.uid() {
            0o100
        } else if meta.gid() == user.gid() {
            0o010
        } else {
            0o001
        };
        if meta.mode() & bit == 0 {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "servers below {} run as user {}, who cannot pass through {}",
                    path.display(),
                    user.name(),
                    folder.display()
                ),
            ));
        }
    }
    Ok(())
}
