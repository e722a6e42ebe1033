//! Keeping a cluster recoverable: WAL all the time, and base backups when they are due.

mod due;
mod stores;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backup::Backup;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::{BaseBackupReport, BaseBackupRequest};
use crate::wal::{Archiver, ArchiverOptions, ArchiverState, ArchiverStatus, WalRetention};

pub(crate) use stores::Keeping;
use stores::Places;

pub use due::DueReason;
pub use stores::{KeptStore, OnStore};

/// How often the archiver's state is looked at.
const TICK: Duration = Duration::from_millis(500);

/// Called with the outcome of each base backup, and why it was due.
pub type OnBackup = Arc<dyn Fn(DueReason, &Result<BaseBackupReport>) + Send + Sync>;

/// Settings of a [`Keeper`].
#[derive(Clone)]
#[non_exhaustive]
pub struct KeeperOptions {
    /// How WAL is archived.
    pub archiver: ArchiverOptions,
    /// What base backup to take. Defaults to an incremental one, which is a full one where
    /// none can be had, and at least once in
    /// [`PhysicalOptions::full_every`](crate::PhysicalOptions::full_every), a week by default.
    pub request: BaseBackupRequest,
    /// How long after the newest base backup began the next one is due. Defaults to 24 hours.
    pub every: Duration,
    /// How long after a base backup failed, or is missing in one of two stores, it is tried
    /// again. Doubles each time, up to [`every`](Self::every). Defaults to 5 minutes.
    pub retry_after: Duration,
    /// How often each store is asked whether a base backup is due. Defaults to 1 minute. A
    /// gap that the archiver writes down is seen at once.
    pub look_every: Duration,
    /// How long archived WAL is kept; looked after once a day. Defaults to for ever.
    pub retention: Option<WalRetention>,
    /// Called with the outcome of each base backup.
    pub on_backup: Option<OnBackup>,
    /// Called when a store cannot be looked at any more, and when it can be again.
    pub on_store: Option<OnStore>,
}

impl Default for KeeperOptions {
    fn default() -> Self {
        Self {
            archiver: ArchiverOptions::default(),
            request: BaseBackupRequest::incremental(),
            every: Duration::from_secs(24 * 60 * 60),
            retry_after: Duration::from_secs(5 * 60),
            look_every: Duration::from_secs(60),
            retention: None,
            on_backup: None,
            on_store: None,
        }
    }
}

impl fmt::Debug for KeeperOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeeperOptions")
            .field("archiver", &self.archiver)
            .field("request", &self.request)
            .field("every", &self.every)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

impl KeeperOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how WAL is archived.
    #[must_use]
    pub fn with_archiver(mut self, archiver: ArchiverOptions) -> Self {
        self.archiver = archiver;
        self
    }

    /// Sets what base backup to take.
    #[must_use]
    pub fn with_request(mut self, request: BaseBackupRequest) -> Self {
        self.request = request;
        self
    }

    /// Sets how long after the newest base backup the next one is due.
    #[must_use]
    pub fn with_every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Sets how long after a base backup failed it is tried again.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Sets how often the store is asked whether a base backup is due.
    #[must_use]
    pub fn with_look_every(mut self, look_every: Duration) -> Self {
        self.look_every = look_every;
        self
    }

    /// Sets how long archived WAL is kept.
    #[must_use]
    pub fn with_retention(mut self, retention: WalRetention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Sets what is called with the outcome of each base backup.
    #[must_use]
    pub fn with_on_backup(mut self, on_backup: OnBackup) -> Self {
        self.on_backup = Some(on_backup);
        self
    }

    /// Sets what is called when a store cannot be looked at any more, and when it can be
    /// again.
    #[must_use]
    pub fn with_on_store(mut self, on_store: OnStore) -> Self {
        self.on_store = Some(on_store);
        self
    }

    fn check(&self) -> Result<()> {
        let spans = [self.every, self.retry_after, self.look_every];
        if spans.iter().any(Duration::is_zero) {
            let message = "every, retry_after and look_every must not be zero";
            return Err(Error::new(ErrorKind::InvalidConfig, "keeper", message));
        }
        self.request.check()
    }
}

/// Keeps a cluster recoverable: archives its WAL, and takes a base backup when one is due:
/// where there is none that the archived WAL goes on from, at once after a gap, and again and
/// again after that.
///
/// Of several processes with one only that which archives takes base backups; the lease of
/// the archive elects it. Where there are two stores, each is looked at by itself: one that is
/// away, or lacks what the other has, keeps nothing from the other.
#[derive(Clone, Debug)]
pub struct Keeper {
    backup: Backup,
    archiver: Archiver,
    options: KeeperOptions,
    /// A gap was written down.
    gap: Arc<Notify>,
}

impl Backup {
    /// Sets up what keeps the cluster recoverable; see [`Keeper::run`].
    ///
    /// # Errors
    /// `InvalidConfig` and `InvalidInput` for options that cannot be met.
    pub fn keeper(&self, options: KeeperOptions) -> Result<Keeper> {
        options.check()?;
        let gap = Arc::new(Notify::new());
        let (told, hook) = (Arc::clone(&gap), options.archiver.on_gap.clone());
        let archiver = options
            .archiver
            .clone()
            .with_on_gap(Arc::new(move |record| {
                if let Some(hook) = &hook {
                    hook(record);
                }
                told.notify_one();
            }));
        Ok(Keeper {
            backup: self.clone(),
            archiver: self.archiver(archiver)?,
            options,
            gap,
        })
    }
}

impl Keeper {
    /// What the archiver is doing.
    #[must_use]
    pub fn status(&self) -> ArchiverStatus {
        self.archiver.status()
    }

    /// What it found in each store at the last look, the first store first. Empty where it
    /// does not run, or does not archive.
    #[must_use]
    pub fn stores(&self) -> Vec<KeptStore> {
        self.backup.inner().keeping.stores()
    }

    /// Archives and takes base backups until it is told to stop. A base backup that fails is
    /// tried again.
    ///
    /// # Errors
    /// As [`Archiver::run`].
    ///
    /// # Cancel safety
    /// Dropping the future stops it at once, as dropping [`Archiver::run`] and a
    /// [`Job`](crate::Job) does.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<()> {
        let archiving = Box::pin(self.archiver.run(shutdown.clone()));
        let outcome = tokio::select! {
            outcome = archiving => outcome,
            () = Box::pin(self.take_backups()) => Ok(()),
        };
        self.backup.inner().keeping.set(Vec::new());
        outcome
    }

    /// Takes base backups for as long as the archiver runs.
    async fn take_backups(&self) {
        let inner = self.backup.inner();
        let mut places = Places::of(inner);
        let mut expired_at: Option<Timestamp> = None;
        loop {
            let status = self.status();
            let second = status.second.as_ref().map(|it| it.state);
            let each: Vec<_> = [status.state].into_iter().chain(second).collect();
            // Whoever does not archive leaves it to the one that does.
            if !each.contains(&ArchiverState::Streaming) {
                inner.keeping.set(Vec::new());
                tokio::time::sleep(TICK).await;
                continue;
            }
            let now = self.now();
            let next = places.look(&each, &self.options, now).await;
            inner.keeping.set(places.seen());
            if let Some((reason, at)) = next
                && at <= now
            {
                let outcome = self.take(reason).await;
                places.tried(&outcome, self.now());
                continue;
            }
            self.expire(now, &mut expired_at).await;
            tokio::select! {
                () = tokio::time::sleep(self.options.look_every) => {}
                () = self.gap.notified() => {}
            }
        }
    }

    async fn take(&self, reason: DueReason) -> Result<BaseBackupReport> {
        tracing::info!(?reason, "a base backup is due");
        self.backup.inner().keeping.unplan();
        let request = self.options.request.clone();
        let outcome = self.backup.base_backup(request).finish().await;
        if let Err(err) = &outcome {
            tracing::error!(error = %ops_core::Report(err), "the base backup failed");
        }
        if let Some(hook) = &self.options.on_backup {
            hook(reason, &outcome);
        }
        outcome
    }

    /// Lets go of WAL, once a day.
    async fn expire(&self, now: Timestamp, last: &mut Option<Timestamp>) {
        let Some(retention) = &self.options.retention else {
            return;
        };
        let is_due = |last: Timestamp| now < last || now.saturating_since(last) >= due::DAY;
        if !last.is_none_or(is_due) {
            return;
        }
        *last = Some(now);
        for done in self.backup.expire_wal(retention).await {
            if let Err(err) = done.outcome {
                let error = ops_core::Report(&err);
                tracing::warn!(%error, store = done.store, "WAL could not be let go of");
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.backup.inner().settings.clock.now()
    }
}
