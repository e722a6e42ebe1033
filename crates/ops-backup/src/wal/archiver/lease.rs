//! One archiver per cluster.
//!
//! The holder renews a small object by compare and swap. Whoever else wants to archive
//! watches it: only where it has not changed for its whole lifetime, by the watcher's own
//! monotonic clock, is it taken over, again by compare and swap. No wall clock decides. One
//! that was given up has a lifetime of zero.

use std::time::Duration;

use ops_core::ErrorKind as CoreKind;
use ops_core::object_store::{ETag, GetOptions, PutOptions};
use ops_core::{ObjectKey, ObjectStore};
use tokio::time::Instant;

use super::super::OPERATION;
use super::super::info::json;
use super::super::objects::{Store, read_small};
use crate::error::{Error, ErrorKind, Result};

/// What the object says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Body {
    holder: String,
    /// Differs between two processes with one spool folder.
    instance: String,
    renewals: u64,
    ttl_ms: u64,
}

/// A lease that is held.
#[derive(Debug)]
pub(crate) struct WalLease {
    store: Store,
    key: ObjectKey,
    body: Body,
    etag: Option<ETag>,
}

impl WalLease {
    /// Waits for the lease. A holder by the same name, which is that of a spool folder that
    /// this process has locked, is known to be gone, and is not waited for.
    pub(crate) async fn acquire(
        store: Store,
        key: ObjectKey,
        holder: String,
        instance: String,
        ttl: Duration,
        mut waiting: impl FnMut(&str),
    ) -> Result<Self> {
        let body = Body {
            holder,
            instance,
            renewals: 0,
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
        };
        let mut lease = Self {
            store,
            key,
            body,
            etag: None,
        };
        let mut seen: Option<(Option<ETag>, Instant)> = None;
        loop {
            match lease.read().await? {
                None => {
                    if lease.put(PutOptions::if_none_match()).await? {
                        return Ok(lease);
                    }
                }
                Some((there, etag)) => {
                    let lifetime = Duration::from_millis(there.ttl_ms);
                    let unchanged = match &seen {
                        Some((before, since)) if *before == etag => since.elapsed(),
                        _ => {
                            seen = Some((etag.clone(), Instant::now()));
                            Duration::ZERO
                        }
                    };
                    if there.holder == lease.body.holder || unchanged >= lifetime {
                        let options = etag.map_or_else(PutOptions::default, PutOptions::if_match);
                        if lease.put(options).await? {
                            return Ok(lease);
                        }
                        seen = None;
                    } else {
                        waiting(&there.holder);
                        let left = lifetime.saturating_sub(unchanged);
                        tokio::time::sleep(left.min(lifetime / 4)).await;
                    }
                }
            }
        }
    }

    async fn read(&self) -> Result<Option<(Body, Option<ETag>)>> {
        let found = read_small(&*self.store, &self.key, GetOptions::default()).await?;
        let Some((bytes, etag)) = found else {
            return Ok(None);
        };
        // What cannot be read is a holder that nobody knows how long to wait for.
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| Body {
            holder: String::new(),
            instance: String::new(),
            renewals: 0,
            ttl_ms: self.body.ttl_ms,
        });
        Ok(Some((body, etag)))
    }

    /// Writes the lease; `false` where somebody else was quicker.
    async fn put(&mut self, options: PutOptions) -> Result<bool> {
        match self.store.put(&self.key, json(&self.body)?, options).await {
            Ok(meta) => {
                self.etag = meta.etag;
                Ok(true)
            }
            Err(err) if is_lost(&err) => {
                // The answer to an earlier attempt may have been lost on its way.
                match self.read().await? {
                    Some((there, etag)) if there == self.body => {
                        self.etag = etag;
                        Ok(true)
                    }
                    _ => Ok(false),
                }
            }
            Err(err) => Err(Error::store(OPERATION, err)),
        }
    }

    async fn renew(&mut self) -> Result<()> {
        let options = self
            .etag
            .clone()
            .map_or_else(PutOptions::default, PutOptions::if_match);
        self.body.renewals += 1;
        if self.put(options).await? {
            Ok(())
        } else {
            let message = "another process has taken over the archiving of this cluster";
            Err(Error::new(ErrorKind::Fenced, OPERATION, message))
        }
    }

    /// Renews the lease again and again; comes back only where it is lost.
    pub(crate) async fn keep(&mut self) -> Error {
        let pause = Duration::from_millis(self.body.ttl_ms) / 3;
        loop {
            tokio::time::sleep(pause).await;
            match self.renew().await {
                Ok(()) => {}
                Err(err) if err.kind() == ErrorKind::Fenced => return err,
                // A store that is away does not end the lease: compare and swap tells who
                // has it when the store is back.
                Err(err) => {
                    tracing::warn!(error = %ops_core::Report(&err), "the lease could not be renewed");
                }
            }
        }
    }

    /// Gives the lease up, so that the next holder need not wait. It is written over, by
    /// compare and swap, and not deleted: no delete has a condition, and the lease may have
    /// been taken over since it was last renewed.
    pub(crate) async fn release(mut self) {
        self.body.ttl_ms = 0;
        match self.renew().await {
            Ok(()) => {}
            Err(err) if err.kind() == ErrorKind::Fenced => {
                tracing::debug!("the lease was taken over before it was given up");
            }
            Err(err) => {
                tracing::debug!(error = %ops_core::Report(&err), "the lease stays behind");
            }
        }
    }
}

fn is_lost(err: &ops_core::Error) -> bool {
    err.is_conflict() || matches!(err.kind(), CoreKind::AlreadyExists | CoreKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ops_core::memory::MemoryObjectStore;

    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    async fn acquire(store: &Store, holder: &str) -> WalLease {
        let key = ObjectKey::new("lease.json").unwrap();
        let (holder, instance) = (holder.to_owned(), format!("{holder} {:?}", Instant::now()));
        WalLease::acquire(Arc::clone(store), key, holder, instance, TTL, |_| {})
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_taken_over_only_after_its_lifetime_without_a_sign_of_life() {
        let store: Store = Arc::new(MemoryObjectStore::new());
        let mut first = acquire(&store, "a").await;
        let begun = Instant::now();
        let second = acquire(&store, "b").await;
        assert!(begun.elapsed() >= TTL);
        assert_eq!(first.renew().await.unwrap_err().kind(), ErrorKind::Fenced);
        drop(second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_gives_signs_of_life_is_waited_for_until_it_lets_go() {
        let store: Store = Arc::new(MemoryObjectStore::new());
        let mut first = acquire(&store, "a").await;
        let begun = Instant::now();
        let other = Arc::clone(&store);
        let waiting = tokio::spawn(async move { acquire(&other, "b").await });
        let kept = tokio::time::timeout(TTL * 10, first.keep()).await;
        assert!(kept.is_err(), "it was fenced");
        assert!(!waiting.is_finished());
        first.release().await;
        waiting.await.unwrap();
        assert!(begun.elapsed() < TTL * 11);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_spool_folder_need_not_wait_for_itself() {
        let store: Store = Arc::new(MemoryObjectStore::new());
        drop(acquire(&store, "a").await);
        let begun = Instant::now();
        drop(acquire(&store, "a").await);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_was_taken_over_is_not_given_up_by_who_had_it() {
        let store: Store = Arc::new(MemoryObjectStore::new());
        let late = acquire(&store, "a").await;
        // Nobody renews it, as where the process was stopped for a while.
        let mut second = acquire(&store, "b").await;
        late.release().await;
        let (there, _) = second.read().await.unwrap().unwrap();
        assert_eq!(there, second.body);
        second.renew().await.unwrap();
        let begun = Instant::now();
        let third = acquire(&store, "c").await;
        assert!(begun.elapsed() >= TTL);
        // One that is given up is not waited for, and not by its last holder alone.
        third.release().await;
        let begun = Instant::now();
        drop(acquire(&store, "d").await);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
