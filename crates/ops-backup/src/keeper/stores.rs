//! What a keeper finds in each store. What one store lacks, or that it is away, is nothing
//! to the other.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use ops_core::Timestamp;

use super::{DueReason, KeeperOptions, due};
use crate::backup::Inner;
use crate::error::Result;
use crate::physical::BaseBackupReport;
use crate::repository::Repository;
use crate::wal::ArchiverState;

/// A store that a keeper fills, as it was at the last look.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct KeptStore {
    /// Which store: `first` or `second`.
    pub store: &'static str,
    /// Why the next base backup will be due. `None` where the store could not be looked at,
    /// or where another process archives into it.
    pub due: Option<DueReason>,
    /// When that is, by the engine's clock.
    pub next: Option<Timestamp>,
    /// Since when the store cannot be looked at, by the engine's clock; `None` where it can.
    pub away_since: Option<Timestamp>,
    /// Why it cannot be.
    pub error: Option<String>,
}

/// Called when a store cannot be looked at any more, and when it can be again.
pub type OnStore = Arc<dyn Fn(&KeptStore) + Send + Sync>;

/// What a keeper tells the status.
#[derive(Debug, Default)]
pub(crate) struct Keeping(Mutex<Vec<KeptStore>>);

impl Keeping {
    pub(crate) fn stores(&self) -> Vec<KeptStore> {
        let stores = self.0.lock();
        stores.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the next base backup is due.
    pub(crate) fn next_run(&self) -> Option<Timestamp> {
        self.stores().iter().filter_map(|store| store.next).min()
    }

    pub(super) fn set(&self, stores: Vec<KeptStore>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stores;
    }

    /// Nothing is planned: a base backup is being taken.
    pub(super) fn unplan(&self) {
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for store in stores.iter_mut() {
            (store.due, store.next) = (None, None);
        }
    }
}

/// The stores of an engine.
pub(super) struct Places(Vec<Place>);

struct Place {
    repository: Repository,
    seen: KeptStore,
    failures: Failures,
}

impl Places {
    pub(super) fn of(inner: &Inner) -> Self {
        let repositories = [
            ("first", Some(&inner.repository)),
            ("second", inner.second.as_ref()),
        ];
        let places = repositories.into_iter().filter_map(|(store, repository)| {
            let repository = repository?.clone();
            let seen = KeptStore {
                store,
                due: None,
                next: None,
                away_since: None,
                error: None,
            };
            Some(Place {
                repository,
                seen,
                failures: Failures::default(),
            })
        });
        Self(places.collect())
    }

    /// Looks at each store that no other process archives into. Answers when the next base
    /// backup is due, by the store that needs it first, and why; `None` where no store could
    /// be looked at.
    pub(super) async fn look(
        &mut self,
        states: &[ArchiverState],
        options: &KeeperOptions,
        now: Timestamp,
    ) -> Option<(DueReason, Timestamp)> {
        let places = self.0.iter_mut().zip(states);
        let looks = places.map(|(place, state)| async move {
            if *state == ArchiverState::WaitingForLease {
                (place.seen.due, place.seen.next) = (None, None);
            } else {
                place.look(options, now).await;
            }
        });
        join_all(looks).await;
        let planned = self.0.iter();
        let planned = planned.filter_map(|place| place.seen.due.zip(place.seen.next));
        planned.min_by_key(|(_, at)| *at)
    }

    pub(super) fn seen(&self) -> Vec<KeptStore> {
        self.0.iter().map(|place| place.seen.clone()).collect()
    }

    /// Takes note of what became of a base backup.
    pub(super) fn tried(&mut self, outcome: &Result<BaseBackupReport>, now: Timestamp) {
        for place in &mut self.0 {
            let sound = |report: &BaseBackupReport| {
                let mut stores = report.stores.iter();
                let committed = stores.any(|it| it.store == place.seen.store && it.committed);
                // Of a degraded backup the next look says that there is none.
                committed && !report.physical.degraded
            };
            if outcome.as_ref().is_ok_and(sound) {
                place.failures = Failures::default();
            } else if place.seen.away_since.is_none() {
                // A store that is away was not tried for its own sake: it gets its backup as
                // soon as it is back.
                place.failures.count += 1;
                place.failures.last = Some(now);
            }
        }
    }
}

impl Place {
    async fn look(&mut self, options: &KeeperOptions, now: Timestamp) {
        let was_away = self.seen.away_since.is_some();
        match due::find(&self.repository, options.every, now).await {
            Ok((reason, at)) => {
                self.seen.due = Some(reason);
                self.seen.next = Some(self.failures.put_off(at, options, now));
                (self.seen.away_since, self.seen.error) = (None, None);
            }
            Err(err) => {
                let error = ops_core::Report(&err).to_string();
                let store = self.seen.store;
                tracing::warn!(%error, store, "whether a base backup is due is not known");
                (self.seen.due, self.seen.next) = (None, None);
                self.seen.away_since.get_or_insert(now);
                self.seen.error = Some(error);
            }
        }
        if let Some(hook) = &options.on_store
            && was_away != self.seen.away_since.is_some()
        {
            hook(&self.seen);
        }
    }
}

/// Base backups that failed one after the other.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: Option<Timestamp>,
}

impl Failures {
    /// When to try again what is due at a time.
    fn put_off(&self, due: Timestamp, options: &KeeperOptions, now: Timestamp) -> Timestamp {
        let Some(last) = self.last else { return due };
        let factor = 2_u32.saturating_pow(self.count.saturating_sub(1));
        let pause = options.retry_after.saturating_mul(factor);
        let pause = pause.min(options.every.max(options.retry_after));
        // A clock that was set back must not put it off for longer than that.
        let retry = last.saturating_add(pause).min(now.saturating_add(pause));
        due.max(retry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_failed_again_and_again_is_tried_after_pauses_that_double_up_to_the_interval() {
        let at = |second| Timestamp::from_unix_seconds(second).unwrap();
        let options = KeeperOptions::new()
            .with_every(Duration::from_secs(1000))
            .with_retry_after(Duration::from_secs(100));
        let tried = |count, now| {
            let last = Some(at(5000));
            let failures = Failures { count, last };
            failures.put_off(at(10), &options, at(now)).unix_seconds()
        };
        let pauses: Vec<_> = (1..=6).map(|count| tried(count, 5000) - 5000).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        // The clock was set back by an hour.
        assert_eq!(tried(2, 1400), 1600);
        let none = Failures::default();
        assert_eq!(none.put_off(at(10), &options, at(5000)), at(10));
    }
}
