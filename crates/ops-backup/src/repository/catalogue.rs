//! The list of committed backups.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use ops_core::object_store::{ETag, GetOptions, ListOptions, PutOptions};
use ops_core::{ErrorKind as CoreKind, ObjectKey, ObjectStore};

use super::lease::fenced;
use super::sweep::TOMBSTONE;
use super::{BackupId, Layout, Manifest};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{BackupIdentity, EncryptionInfo, Unlock};
use crate::pipeline::read_small;
use crate::repository::ObjectRole;

/// The largest manifest or report that is read.
const MAX_JSON_BYTES: u64 = 64 << 20;
/// The largest identity object that is read.
const MAX_IDENTITY_BYTES: u64 = 1 << 20;

/// A committed backup.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CatalogueEntry {
    /// What the backup is.
    pub manifest: Manifest,
    /// The BLAKE3 of the stored manifest, in hex: two equal hashes are one backup.
    pub manifest_blake3: String,
}

/// A backup that was opened with a key.
#[derive(Debug)]
pub(crate) struct OpenBackup {
    pub(crate) manifest: Manifest,
    pub(crate) manifest_blake3: String,
    pub(crate) identity: Option<BackupIdentity>,
}

/// The object store, and where in it the backups of one job lie.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) layout: Layout,
    /// Manifests that were read, by their versions: they never change, and a health check
    /// that reads the catalogue each minute should not fetch all of them each minute.
    seen: Arc<Mutex<BTreeMap<BackupId, (ETag, CatalogueEntry)>>>,
}

impl Repository {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, layout: Layout) -> Self {
        let seen = Arc::default();
        Self {
            store,
            layout,
            seen,
        }
    }

    /// The committed backups, oldest first.
    pub(crate) async fn catalogue(&self) -> Result<Vec<CatalogueEntry>> {
        let operation = "catalogue";
        let listed = self.list(operation, self.layout.manifests()).await?;
        let mut known = self.seen().clone();
        let mut entries = Vec::with_capacity(listed.len());
        let mut seen = BTreeMap::new();
        for meta in listed {
            let Some(id) = self.layout.manifest_id(&meta.key) else {
                continue;
            };
            let entry = match known.remove(&id) {
                Some((etag, entry)) if meta.etag.as_ref() == Some(&etag) => entry,
                _ if self.is_tombstone(operation, &meta).await? => continue,
                _ => self.read_entry(operation, &meta.key).await?,
            };
            if let Some(etag) = meta.etag {
                seen.insert(id, (etag, entry.clone()));
            }
            entries.push(entry);
        }
        *self.seen() = seen;
        // Ids tell seconds apart, and no less.
        entries.sort_by_key(|entry| entry.manifest.started_at);
        Ok(entries)
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<BackupId, (ETag, CatalogueEntry)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_entry(&self, operation: &'static str, key: &ObjectKey) -> Result<CatalogueEntry> {
        let bytes = self.read(operation, key, MAX_JSON_BYTES).await?;
        Ok(CatalogueEntry {
            manifest: Manifest::parse(operation, &bytes)?,
            manifest_blake3: blake3::hash(&bytes).to_hex().to_string(),
        })
    }

    /// Opens a backup: reads its manifest, opens its identity, checks the seal.
    pub(crate) async fn open(
        &self,
        operation: &'static str,
        id: &BackupId,
        keys: &[Unlock],
    ) -> Result<OpenBackup> {
        let key = self.layout.manifest(id)?;
        let missing = || {
            let message = format!("there is no backup {id}");
            Error::new(ErrorKind::NotFound, operation, message)
                .with_hint("the catalogue lists the committed ones")
        };
        let bytes = match self.read(operation, &key, MAX_JSON_BYTES).await {
            Ok(bytes) if bytes == TOMBSTONE => return Err(missing()),
            Err(err) if err.kind() == ErrorKind::NotFound => return Err(missing()),
            other => other?,
        };
        let manifest = Manifest::parse(operation, &bytes)?;
        if manifest.id != *id {
            let message = format!("the manifest of {id} is that of {}", manifest.id);
            return Err(Error::new(ErrorKind::Integrity, operation, message));
        }
        let identity = self.identity(operation, &manifest, keys).await?;
        Manifest::verify_seal(operation, &bytes, identity.as_ref())?;
        let manifest_blake3 = blake3::hash(&bytes).to_hex().to_string();
        Ok(OpenBackup {
            manifest,
            manifest_blake3,
            identity,
        })
    }

    async fn identity(
        &self,
        operation: &'static str,
        manifest: &Manifest,
        keys: &[Unlock],
    ) -> Result<Option<BackupIdentity>> {
        if manifest.encryption == EncryptionInfo::None {
            return Ok(None);
        }
        let object = manifest
            .objects_of(ObjectRole::Identity)
            .next()
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Integrity,
                    operation,
                    "the manifest names no identity",
                )
            })?;
        let wrapped = self
            .read(operation, &object.key, MAX_IDENTITY_BYTES)
            .await?;
        let keys = keys.to_vec();
        // scrypt takes about a second by design.
        tokio::task::spawn_blocking(move || BackupIdentity::unwrap(operation, &wrapped, &keys))
            .await
            .map_err(|source| {
                Error::new(
                    ErrorKind::Internal,
                    operation,
                    "opening the identity ended early",
                )
                .with_source(source)
            })?
            .map(Some)
    }

    /// Reads a sealed object of an opened backup into memory.
    pub(crate) async fn read_sealed(
        &self,
        operation: &'static str,
        backup: &OpenBackup,
        role: ObjectRole,
    ) -> Result<Option<Vec<u8>>> {
        let Some(object) = backup.manifest.objects_of(role).next() else {
            return Ok(None);
        };
        let store = Arc::clone(&self.store);
        read_small(
            operation,
            store,
            object,
            backup.identity.clone(),
            MAX_JSON_BYTES,
        )
        .await
        .map(Some)
    }

    pub(crate) async fn list(
        &self,
        operation: &'static str,
        prefix: String,
    ) -> Result<Vec<ops_core::object_store::ObjectMeta>> {
        self.store
            .list(ListOptions::prefix(prefix))
            .try_collect()
            .await
            .map_err(|err| Error::store(operation, err))
    }

    pub(crate) async fn read(
        &self,
        operation: &'static str,
        key: &ObjectKey,
        max_bytes: u64,
    ) -> Result<Vec<u8>> {
        let store = |err| Error::store(operation, err);
        let mut body = self
            .store
            .get(key, GetOptions::default())
            .await
            .map_err(store)?
            .body;
        let mut content = Vec::new();
        while let Some(chunk) = body.next().await {
            content.extend_from_slice(&chunk.map_err(store)?);
            if content.len() as u64 > max_bytes {
                let message = format!("{key} is larger than {max_bytes} bytes");
                return Err(Error::new(ErrorKind::Integrity, operation, message));
            }
        }
        Ok(content)
    }

    /// Writes a manifest; fails with `Fenced` where the backup was buried.
    pub(crate) async fn commit(&self, manifest: &ObjectKey, content: Vec<u8>) -> Result<()> {
        let options = PutOptions::if_none_match();
        match self
            .store
            .put(manifest, Bytes::from(content), options)
            .await
        {
            Ok(_) => Ok(()),
            Err(err) if err.kind() == CoreKind::AlreadyExists => Err(fenced().with_source(err)),
            Err(err) => Err(Error::store("dump", err)),
        }
    }

    /// Writes an object that must not be there yet.
    pub(crate) async fn create(
        &self,
        operation: &'static str,
        key: &ObjectKey,
        content: Vec<u8>,
    ) -> Result<()> {
        self.store
            .put(key, Bytes::from(content), PutOptions::if_none_match())
            .await
            .map(drop)
            .map_err(|err| Error::store(operation, err))
    }
}
