//! How a store is opened.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_core::{Error, ErrorKind, Result};

use crate::error::{Context, PROVIDER};
use crate::local::Local;
use crate::store::Store;

/// What a write that has returned survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A power failure: content, metadata and folders are synced.
    #[default]
    Full,
    /// The death of the process, but not of the machine. For tests.
    None,
}

/// Configures a [`Local`] store.
#[derive(Clone, Debug)]
#[must_use]
pub struct LocalBuilder {
    path: PathBuf,
    create: bool,
    read_only: bool,
    durability: Durability,
}

impl LocalBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            create: false,
            read_only: false,
            durability: Durability::Full,
        }
    }

    /// Makes the folder, and those above it, where they are missing.
    ///
    /// Defaults to false: where the disk of the backups is not mounted, a folder that is
    /// made in its place would take the backups to the wrong disk.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Opens a store on a medium that cannot or must not be written to.
    ///
    /// Reading and listing work; whatever would write is `PermissionDenied`. Defaults to false.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// What a write that has returned survives. Defaults to [`Durability::Full`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Opens the store. A few blocking calls to the file system; nothing is read but names.
    ///
    /// Temporary files that dead processes left are removed; those of living ones are not.
    ///
    /// # Errors
    /// `InvalidConfig` where the path is a file, does not exist and is not to be created, or
    /// lies on a file system without locks. `PermissionDenied` where it cannot be written to
    /// and the store was not opened read-only. `QuotaExceeded` where the disk is too full for
    /// the store's own folders.
    pub fn build(self) -> Result<Local> {
        let Self {
            path,
            create,
            read_only,
            durability,
        } = self;
        let opened = if create && !read_only {
            make_folder(&path, durability)
        } else {
            Ok(())
        }
        .and_then(|()| Store::open(&path, durability, read_only))
        .map_err(|err| {
            err.with_provider(PROVIDER)
                .with_operation("object_store.open")
                .with_resource(path.display().to_string())
        });
        Ok(Local::new(Arc::new(opened?)))
    }
}

fn make_folder(path: &Path, durability: Durability) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if path.exists() {
        let message = format!("{} is a file, not a folder", path.display());
        return Err(Error::new(ErrorKind::InvalidConfig, message));
    }
    let missing: Vec<&Path> = path.ancestors().take_while(|one| !one.exists()).collect();
    std::fs::create_dir_all(path).cannot("make the folder of the store")?;
    if durability == Durability::None {
        return Ok(());
    }
    for made in missing {
        let parent = made
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = File::open(parent.unwrap_or(Path::new(".")));
        parent
            .and_then(|parent| parent.sync_all())
            .cannot("sync the folder above the store")?;
    }
    Ok(())
}
