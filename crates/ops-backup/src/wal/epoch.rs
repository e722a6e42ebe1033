//! Encryption epochs.
//!
//! All sealed objects of an epoch are encrypted to one random age identity, and that
//! identity lies in the store once, wrapped to the recipients: rotating recipients rewrites
//! the identity objects and nothing else. A writer never reads an identity back: it has
//! recipients, not keys. It makes a new epoch whenever it does not know the public half of
//! one, which is never in the store: whoever could put it there could have the WAL encrypted
//! to himself, and whoever could read it there could write WAL that passes for ours. A
//! writer that runs once per segment keeps the public half in its spool folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{ErrorKind as CoreKind, ObjectKey, ObjectStore, Timestamp};
use ops_pg_replication::SystemId;

use super::OPERATION;
use super::layout::WalLayout;
use super::seal::EpochKey;
use super::search::last_under;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{BackupIdentity, Encryption, EncryptionInfo};

/// How long a writer goes on with an epoch.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The epoch that a writer goes on with, as its spool folder keeps it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    /// Whose WAL, and where in the store.
    system_id: SystemId,
    folder: String,
    number: u32,
    recipient: String,
    /// Whom the identity was wrapped to.
    wrapped_to: EncryptionInfo,
    since: Timestamp,
}

/// Makes a new epoch; `None` where the archive is not encrypted.
pub(crate) async fn begin(
    store: &dyn ObjectStore,
    layout: &WalLayout,
    encryption: &Encryption,
) -> Result<Option<EpochKey>> {
    if encryption.is_none() {
        return Ok(None);
    }
    let identity = BackupIdentity::generate();
    let recipient = identity.public_text().parse().map_err(|reason: &str| {
        Error::new(
            ErrorKind::Internal,
            OPERATION,
            "the new identity is unusable",
        )
        .with_source(reason)
    })?;
    let encryption = encryption.clone();
    // scrypt takes about a second by design.
    let wrapped = tokio::task::spawn_blocking(move || encryption.wrap(&identity))
        .await
        .map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                OPERATION,
                "wrapping the identity ended early",
            )
            .with_source(source)
        })??;
    let wrapped = Bytes::from(wrapped.unwrap_or_default());
    let mut number = next_number(store, layout).await?;
    loop {
        let key = layout.epoch(number)?;
        match store
            .put(&key, wrapped.clone(), PutOptions::if_none_match())
            .await
        {
            Ok(_) => return Ok(Some(EpochKey { number, recipient })),
            Err(err) if err.kind() == CoreKind::AlreadyExists => number += 1,
            Err(err) => return Err(Error::store(OPERATION, err)),
        }
    }
}

async fn next_number(store: &dyn ObjectStore, layout: &WalLayout) -> Result<u32> {
    let options = |after: Option<ObjectKey>| {
        let mut options = ListOptions::prefix(layout.epochs());
        options.start_after = after;
        options
    };
    let number = |key: &ObjectKey| layout.epoch_number(key).map(u64::from);
    let key = |number: u64| layout.epoch(u32::try_from(number).unwrap_or(u32::MAX));
    let last = last_under(store, options, number, key).await?;
    Ok(last.map_or(1, |last| {
        u32::try_from(last).unwrap_or(u32::MAX).saturating_add(1)
    }))
}

/// The epoch that the spool folder keeps, or a new one that it then keeps.
pub(crate) async fn resume(
    store: &dyn ObjectStore,
    layout: &WalLayout,
    system_id: SystemId,
    encryption: &Encryption,
    spool: &Path,
    now: Timestamp,
) -> Result<Option<EpochKey>> {
    if encryption.is_none() {
        return Ok(None);
    }
    let file = spool.join("epoch.json");
    let fits = |kept: &Kept| {
        kept.system_id == system_id
            && kept.folder == layout.epochs()
            && kept.wrapped_to == encryption.describe()
            && kept.since <= now
            && now.saturating_since(kept.since) < MAX_AGE
    };
    if let Some(kept) = read(&file).filter(fits)
        && let Ok(recipient) = kept.recipient.parse()
        && exists(store, layout, kept.number).await?
    {
        let number = kept.number;
        return Ok(Some(EpochKey { number, recipient }));
    }
    let epoch = begin(store, layout, encryption).await?;
    if let Some(epoch) = &epoch {
        let kept = Kept {
            system_id,
            folder: layout.epochs(),
            number: epoch.number,
            recipient: epoch.recipient.to_string(),
            wrapped_to: encryption.describe(),
            since: now,
        };
        if let Err(err) = write(spool, &file, &kept) {
            tracing::warn!(error = %ops_core::Report(&err), "the epoch cannot be kept in the spool folder");
        }
    }
    Ok(epoch)
}

/// Whether the identity is still there: WAL that is encrypted to one that is gone is lost.
async fn exists(store: &dyn ObjectStore, layout: &WalLayout, number: u32) -> Result<bool> {
    match store.head(&layout.epoch(number)?).await {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == CoreKind::NotFound => Ok(false),
        Err(err) => Err(Error::store(OPERATION, err)),
    }
}

fn read(file: &PathBuf) -> Option<Kept> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn write(spool: &Path, file: &Path, kept: &Kept) -> std::io::Result<()> {
    // Only its owner may read a temporary file, and it keeps that when it is renamed.
    let mut temp = tempfile::NamedTempFile::new_in(spool)?;
    serde_json::to_writer(&mut temp, kept)?;
    temp.as_file().sync_all()?;
    temp.persist(file).map_err(|err| err.error)?;
    Ok(())
}
