//! Letting go of WAL that nothing needs any more.
//!
//! It is done in two steps. First a range is marked: an object says that its WAL is not to be
//! relied upon, and no restore that begins from then on is told of it. What restores that have
//! begun already fetch is still there, and what those that run have pinned is not marked. When the mark is older than the grace period, by the
//! store's clock, its objects are removed. A process that is killed in between leaves marks
//! that the next run goes on with; one run at a time holds the lease.

mod marks;
mod plan;
mod run;

use std::time::Duration;

use ops_core::Timestamp;

use crate::backup::{Backup, Inner};
use crate::error::Result;
use crate::physical::WalRange;
use crate::repository::{BackupId, Repository};

pub(super) use marks::{Mark, list as marks, record};
pub(super) use plan::without;

/// How long archived WAL is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalRetention {
    /// How far back every moment stays recoverable. Defaults to 7 days. Kept is the WAL from
    /// the newest sound backup on that is at least this old, so that as a rule the window is
    /// wider.
    pub window: Duration,
    /// How long marked WAL stays in the store, by the store's clock. Defaults to 24 hours. A
    /// restore that may write to the store pins the WAL that it needs, for as long as it
    /// runs. One that may not, and a server that recovers by a `restore_command`, must be
    /// done with the marked WAL by then: one that is not fails for want of WAL, and does not
    /// end early.
    pub grace: Duration,
}

impl Default for WalRetention {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(7 * 24 * 60 * 60),
            grace: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl WalRetention {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how far back every moment stays recoverable.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how long marked WAL stays in the store.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// Why WAL is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum KeepReason {
    /// It leads from this backup, which is the newest sound one that is older than the
    /// window, or the oldest of all, to every later moment.
    Window {
        /// The backup.
        backup: BackupId,
    },
    /// This backup does not bring the WAL that it needs to be consistent.
    Backup {
        /// The backup.
        backup: BackupId,
    },
    /// No sound backup lies on its timeline yet.
    NoBackup,
    /// A backup is being made that may need it.
    InProgress,
    /// It is where the archive ends.
    Frontier,
    /// The history of its timeline is missing.
    HistoryMissing,
    /// A restore or a drill runs that may need it.
    Restore {
        /// The name of its pin in the archive.
        pin: String,
    },
}

/// WAL that is kept, and why. A range may be kept for several reasons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[non_exhaustive]
pub struct KeptWal {
    /// The WAL.
    pub range: WalRange,
    /// Why.
    #[serde(flatten)]
    pub reason: KeepReason,
}

/// What is kept of an archive, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WalExpiryPlan {
    /// Every moment since then stays recoverable, where there is a backup to begin from:
    /// the earlier of our and the store's time, less the window. `None` where no WAL is
    /// archived.
    pub cutoff: Option<Timestamp>,
    /// The WAL that is kept, by timeline and position.
    pub keep: Vec<KeptWal>,
    /// The WAL that nothing needs, by timeline and position.
    pub expire: Vec<WalRange>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WalExpiryReport {
    /// What was planned.
    pub plan: WalExpiryPlan,
    /// The WAL that was marked by this run.
    pub marked: Vec<WalRange>,
    /// The WAL that is marked and still within its grace period.
    pub waiting: Vec<WalRange>,
    /// The marked WAL whose objects this run has removed.
    pub removed: Vec<WalRange>,
    /// The marks that were taken back, because the WAL is needed after all.
    pub withdrawn: Vec<WalRange>,
    /// How many objects were removed.
    pub objects: usize,
    /// How many bytes those had.
    pub bytes: u64,
}

/// What came of it in one of the stores.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoreExpiry {
    /// `first` or `second`.
    pub store: &'static str,
    /// What was done, or why it was not.
    pub outcome: Result<WalExpiryReport>,
}

impl Backup {
    /// What [`expire_wal`](Self::expire_wal) would keep and let go of in the first store, and
    /// why. Changes nothing.
    ///
    /// # Errors
    /// As [`catalogue`](Self::catalogue) and [`WalArchive::coverage`](super::WalArchive::coverage).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn plan_wal_expiry(&self, retention: &WalRetention) -> Result<WalExpiryPlan> {
        run::preview(self.inner(), retention).await
    }

    /// Lets go of archived WAL that no backup needs for a moment within the window, in each
    /// store by what that store has: marks it, and removes what was marked a grace period ago.
    /// To be called again and again, once a day for example. Backups themselves are not
    /// removed; one that is older than the window, and brings its WAL, stays recoverable to
    /// its end.
    ///
    /// It is the archive of the cluster that the prefix belongs to now; those of clusters that
    /// had the prefix before are left as they are. Histories, gap records and the identities
    /// of epochs are kept.
    ///
    /// # Errors
    /// The outcome of a store is `Store` or `StoreDenied`; `Fenced` where another process has
    /// taken this one for dead; `Integrity` for an object that cannot be read. What was marked
    /// or removed by then stays so, and the next run goes on.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of it marked or removed, which is as good as an
    /// error; the next run waits for the lease, for half a minute at most.
    pub async fn expire_wal(&self, retention: &WalRetention) -> Vec<StoreExpiry> {
        let inner = self.inner();
        let mut outcomes = Vec::new();
        for (store, repository) in stores(inner) {
            let outcome = run::expire(inner, repository, retention).await;
            outcomes.push(StoreExpiry { store, outcome });
        }
        outcomes
    }
}

fn stores(inner: &Inner) -> impl Iterator<Item = (&'static str, &Repository)> {
    let second = inner.second.as_ref().map(|second| ("second", second));
    [("first", &inner.repository)].into_iter().chain(second)
}

#[cfg(test)]
mod tests;
