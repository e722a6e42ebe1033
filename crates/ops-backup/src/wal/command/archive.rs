//! `archive_command`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ops_core::{Clock, SystemClock};

use super::super::objects::Store;
use super::super::{Pushed, WalArchive, WalFile, epoch};
use super::{OPERATION, persist, segment_size_near, system_id_of};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Encryption;

/// Archives single files, as a server hands them to its `archive_command`.
///
/// Idempotent: a file that is in the archive with the same content is a success, so that
/// the server may ask again after a crash. One with other content is an error and is never
/// overwritten. May run beside an [`Archiver`](super::super::Archiver).
#[derive(Debug)]
#[must_use]
pub struct ArchiveCommand {
    store: Store,
    prefix: String,
    encryption: Encryption,
    spool: Option<PathBuf>,
    patience: Duration,
    clock: Arc<dyn Clock>,
}

impl ArchiveCommand {
    /// Archives below a prefix of a store.
    pub fn new(store: Store, prefix: impl Into<String>, encryption: Encryption) -> Self {
        Self {
            store,
            prefix: prefix.into(),
            encryption,
            spool: None,
            patience: Duration::from_secs(300),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets a folder that keeps the encryption epoch between runs. Without one, each run
    /// that stores something makes an epoch of its own.
    pub fn with_spool(mut self, spool: impl Into<PathBuf>) -> Self {
        self.spool = Some(spool.into());
        self
    }

    /// Sets for how long a store that fails is tried again. Defaults to 5 minutes.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Archives a file (`%p`) under its name (`%f`), in a data folder, which is where the
    /// server runs its commands.
    ///
    /// # Errors
    /// `WrongSystem` where the prefix belongs to another cluster, `Integrity` for a file
    /// that is not what its name says or whose name holds other content in the archive,
    /// `InvalidInput` for a name that is none of WAL; `Store`, `StoreFull`, `StoreDenied`,
    /// `Timeout`. The server keeps the file and asks again.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the file archived whole, never in part.
    pub async fn run(&self, data_folder: &Path, path: &Path, name: &str) -> Result<Pushed> {
        let path = data_folder.join(path);
        let system_id = system_id_of(data_folder)?;
        let size = segment_size_near(&path).ok_or_else(|| {
            let message = "the size of WAL segments cannot be told";
            Error::new(ErrorKind::Integrity, OPERATION, message)
        })?;
        let file = WalFile::parse(name, size)?;
        if matches!(file, WalFile::BackupNote(_)) {
            return Ok(Pushed::NotKept);
        }
        persist(self.patience, || async {
            let archive = WalArchive::create(
                Arc::clone(&self.store),
                &self.prefix,
                system_id,
                size,
                &self.encryption,
                Vec::new(),
                false,
                self.clock.now(),
            )
            .await?;
            if archive.is_same(&file, &path).await? {
                return Ok(Pushed::AlreadyThere);
            }
            let (store, layout) = (&**archive.store(), archive.layout());
            let epoch = match &self.spool {
                Some(spool) => {
                    let now = self.clock.now();
                    epoch::resume(store, layout, system_id, &self.encryption, spool, now).await?
                }
                None => epoch::begin(store, layout, &self.encryption).await?,
            };
            archive.push(&file, &path, epoch.as_ref()).await
        })
        .await
    }
}
