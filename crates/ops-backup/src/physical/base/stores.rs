//! The stores that a backup goes into.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ops_core::{ObjectKey, Timestamp};

use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::report::StoreOutcome;
use crate::pipeline::{Uploaders, upload};
use crate::repository::{BackupId, Lease, Repository, SweepReport};

const NAMES: [&str; 2] = ["first", "second"];

/// A store, and what became of the backup in it.
struct Place {
    name: &'static str,
    repository: Repository,
    lease: Option<Lease>,
    /// Its place among the uploaders.
    slot: Option<usize>,
    failure: Option<Error>,
    manifest_was_sent: bool,
    committed: bool,
}

/// The stores that a backup goes into. One that fails is left out from then on.
pub(super) struct Stores {
    id: BackupId,
    places: Vec<Place>,
}

impl Stores {
    /// Takes the lease of a backup in each store.
    pub(super) async fn begin(inner: &Inner, id: &BackupId) -> Result<Self> {
        let repositories = [Some(&inner.repository), inner.second.as_ref()];
        let repositories = repositories.into_iter().flatten();
        let mut stores = Self {
            id: id.clone(),
            places: Vec::new(),
        };
        for (name, repository) in NAMES.into_iter().zip(repositories) {
            let key = repository.layout.lease(id)?;
            let lease = Lease::acquire(Arc::clone(&repository.store), key).await;
            let (lease, failure) = match lease {
                Ok(lease) => (Some(lease), None),
                Err(err) => (None, Some(err)),
            };
            stores.places.push(Place {
                name,
                repository: repository.clone(),
                lease,
                slot: None,
                failure,
                manifest_was_sent: false,
                committed: false,
            });
        }
        stores.require_one()?;
        Ok(stores)
    }

    /// Fails where no store is left, with what the first of them failed with.
    fn require_one(&mut self) -> Result<()> {
        if self.places.iter().any(|place| place.failure.is_none()) {
            return Ok(());
        }
        let first = self
            .places
            .iter_mut()
            .find_map(|place| place.failure.take());
        Err(first
            .unwrap_or_else(|| Error::new(ErrorKind::Internal, "base_backup", "there is no store")))
    }

    /// The stores that are left.
    pub(super) fn repositories(&self) -> Vec<Repository> {
        let left = self.places.iter().filter(|place| place.failure.is_none());
        left.map(|place| place.repository.clone()).collect()
    }

    /// The ways into the stores that are left, and what must run for uploads to go on.
    pub(super) fn uploaders(
        &mut self,
        stall: Duration,
    ) -> (Uploaders, impl Future<Output = ()> + Send + use<>) {
        let (mut uploaders, mut uploads) = (Vec::new(), Vec::new());
        for place in &mut self.places {
            if place.failure.is_none() {
                let (uploader, run) = upload(Arc::clone(&place.repository.store), stall);
                place.slot = Some(uploaders.len());
                uploaders.push(uploader);
                uploads.push(run);
            }
        }
        let all = async { drop(future::join_all(uploads).await) };
        (Uploaders::new(uploaders), all)
    }

    /// Removes what earlier jobs left; answers what that was in the first store.
    pub(super) async fn sweep(&mut self, inner: &Inner) -> Result<SweepReport> {
        let mut first = SweepReport::default();
        for (index, place) in self.places.iter_mut().enumerate() {
            let Some(lease) = &place.lease else { continue };
            let now: Timestamp = lease.renewed_at();
            let grace = inner.settings.sweep_grace;
            match place.repository.sweep(now, grace, Some(&self.id)).await {
                Ok(report) if index == 0 => first = report,
                Ok(_) => {}
                Err(err) => place.failure = Some(err),
            }
        }
        self.require_one()?;
        Ok(first)
    }

    /// Runs something while the leases are renewed. A store whose lease is lost is left out;
    /// fails where that was the last.
    pub(super) async fn while_held<T>(
        &mut self,
        uploaders: &Uploaders,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = {
            let held = self.places.iter_mut();
            let mut keeping: FuturesUnordered<_> = held
                .filter_map(|place| place.slot.zip(place.lease.as_mut()))
                .map(|(slot, lease)| async move { (slot, lease.keep().await) })
                .collect();
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    result = &mut work => break result,
                    Some((slot, err)) = keeping.next() => {
                        if let Err(err) = uploaders.exclude(slot, err) {
                            break Err(err);
                        }
                    }
                }
            }
        };
        let mut failures = uploaders.take_failures();
        for place in &mut self.places {
            let failure = place.slot.and_then(|slot| failures.get_mut(slot)?.take());
            if let Some(failure) = failure {
                place.failure.get_or_insert(failure);
            }
        }
        result
    }

    /// Stores something small everywhere.
    pub(super) async fn put(&mut self, key: &ObjectKey, content: &[u8]) -> Result<()> {
        let left = self
            .places
            .iter_mut()
            .filter(|place| place.failure.is_none());
        let puts = left.map(|place| async {
            let created = place
                .repository
                .create("base_backup", key, content.to_vec());
            if let Err(err) = created.await {
                place.failure = Some(err);
            }
        });
        future::join_all(puts).await;
        self.require_one()
    }

    /// Makes the backup visible in each store; fails where that succeeds in none.
    pub(super) async fn commit(&mut self, manifest: &[u8]) -> Result<()> {
        self.require_one()?;
        for place in &mut self.places {
            if place.failure.is_some() {
                continue;
            }
            match place.commit(&self.id, manifest.to_vec()).await {
                Ok(()) => place.committed = true,
                Err(err) => place.failure = Some(err),
            }
        }
        self.require_one()
    }

    /// Ends in the stores where the backup was committed by giving up the lease, in others
    /// by removing what was stored.
    pub(super) async fn end(self) -> Vec<StoreOutcome> {
        let mut outcomes = Vec::new();
        for mut place in self.places {
            let error = place.failure.take();
            if place.committed {
                if let Some(lease) = place.lease.take() {
                    lease.release().await;
                }
            } else if let Err(err) = place.discard(&self.id).await {
                let error = ops_core::Report(&err);
                tracing::warn!(%error, store = place.name, "a failed backup could not be removed");
            }
            outcomes.push(StoreOutcome {
                store: place.name,
                committed: place.committed,
                error: error.map(|err| ops_core::Report(&err).to_string()),
            });
        }
        outcomes
    }

    /// Removes everything that was stored, and says in the error how that went.
    pub(super) async fn discard(mut self, err: Error) -> Error {
        let mut left = Vec::new();
        for place in &mut self.places {
            if place.discard(&self.id).await.is_err() {
                left.push(format!(
                    "objects under {} of the {} store may be left; the next sweep removes them, \
                     unless the catalogue lists the backup",
                    place.repository.layout.folder(&self.id),
                    place.name
                ));
            }
        }
        if left.is_empty() {
            err.with_left_behind("nothing was committed and nothing is left in the store")
        } else {
            err.with_left_behind(left.join("; "))
        }
    }
}

impl Place {
    async fn commit(&mut self, id: &BackupId, manifest: Vec<u8>) -> Result<()> {
        let lease = self.lease.as_mut().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "base_backup", "the lease is missing")
        })?;
        // Whoever took the lease over has begun to remove objects.
        lease.renew().await?;
        let key = self.repository.layout.manifest(id)?;
        self.manifest_was_sent = true;
        self.repository.commit(&key, manifest).await
    }

    async fn discard(&self, id: &BackupId) -> Result<()> {
        if self.lease.is_none() {
            return Ok(());
        }
        self.repository.discard(id, self.manifest_was_sent).await
    }
}
