//! The sign that a backup is being made.
//!
//! While a job writes, it renews a small object in the backup's folder by compare and
//! swap. A sweeper that finds the sign old takes it over in the same way, and the job then
//! finds that it was fenced off, instead of going on. The commit itself is decided by who
//! creates the manifest's key, see `sweep`. Ages are differences between times of the store's own clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ops_core::object_store::{ETag, PutOptions};
use ops_core::{ErrorKind as CoreKind, ObjectKey, ObjectStore, Timestamp};

use crate::error::{Error, ErrorKind, Result};

/// How often a lease is renewed.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(20);

/// A lease that is held.
#[derive(Debug)]
pub(crate) struct Lease {
    store: Arc<dyn ObjectStore>,
    key: ObjectKey,
    etag: Option<ETag>,
    renewals: u64,
    renewed_at: Timestamp,
}

impl Lease {
    pub(crate) async fn acquire(store: Arc<dyn ObjectStore>, key: ObjectKey) -> Result<Self> {
        let meta = store
            .put(&key, body("held", 0), PutOptions::if_none_match())
            .await
            .map_err(|err| Error::store("dump", err))?;
        let (etag, renewed_at) = (meta.etag, meta.last_modified);
        Ok(Self {
            store,
            key,
            etag,
            renewals: 0,
            renewed_at,
        })
    }

    /// The store's time of the last renewal.
    pub(crate) fn renewed_at(&self) -> Timestamp {
        self.renewed_at
    }

    /// Renews the lease; fails with `Fenced` where somebody took it over.
    pub(crate) async fn renew(&mut self) -> Result<()> {
        self.renewals += 1;
        let options = self
            .etag
            .clone()
            .map_or_else(PutOptions::default, PutOptions::if_match);
        match self
            .store
            .put(&self.key, body("held", self.renewals), options)
            .await
        {
            Ok(meta) => {
                self.etag = meta.etag;
                self.renewed_at = meta.last_modified;
                Ok(())
            }
            Err(err) if err.is_conflict() || err.kind() == CoreKind::NotFound => {
                Err(fenced().with_source(err))
            }
            Err(err) => Err(Error::store("dump", err)),
        }
    }

    /// Renews the lease again and again; comes back only with an error.
    pub(crate) async fn keep(&mut self) -> Error {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            match self.renew().await {
                // A store that is away for a moment does not end the lease; a sweeper that
                // takes it over does, and then compare and swap tells.
                Ok(()) => {}
                Err(err) if err.is_transient() && err.kind() != ErrorKind::Fenced => {
                    tracing::warn!(error = %ops_core::Report(&err), "the lease could not be renewed");
                }
                Err(err) => return err,
            }
        }
    }

    /// Gives the lease up: the backup is committed, or there is nothing of it. Nobody else
    /// ever needs the lease: a sweeper that has taken it over removes it, too. What cannot be
    /// removed is removed by the next sweep.
    pub(crate) async fn release(self) {
        if let Err(err) = self.store.delete(&self.key).await {
            tracing::debug!(error = %ops_core::Report(&err), "the lease stays behind");
        }
    }

    /// Takes over a lease that its holder has left; `false` where the holder was quicker.
    pub(crate) async fn fence(
        store: &dyn ObjectStore,
        key: &ObjectKey,
        seen: ETag,
    ) -> Result<bool> {
        match store
            .put(key, body("swept", 0), PutOptions::if_match(seen))
            .await
        {
            Ok(_) => Ok(true),
            Err(err) if err.is_conflict() || err.kind() == CoreKind::NotFound => Ok(false),
            Err(err) => Err(Error::store("sweep", err)),
        }
    }
}

#[cold]
pub(crate) fn fenced() -> Error {
    Error::new(
        ErrorKind::Fenced,
        "dump",
        "another process took this backup for abandoned",
    )
    .with_hint("run the backup again, with a longer grace period if the store is slow")
}

fn body(state: &str, renewals: u64) -> Bytes {
    Bytes::from(format!(
        "{{\"state\":\"{state}\",\"renewals\":{renewals}}}\n"
    ))
}
