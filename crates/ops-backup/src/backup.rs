//! The engine and its settings.

mod builder;
mod selection;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ops_core::database::ConnectInfo;
use ops_core::{Clock, Database, ObjectStore};
use ops_pg::binaries::Finder;

use crate::drill::{self, DrillOptions, DrillReport};
use crate::dump;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Job;
use crate::keeper::Keeping;
use crate::keys::{Encryption, Unlock};
use crate::physical::{
    self, BaseBackupReport, BaseBackupRequest, ClusterDrillOptions, ClusterDrillReport,
    ClusterRestoreOptions, ClusterRestoreReport, PhysicalOptions, RestoreTarget,
};
use crate::report::BackupReport;
use crate::repository::{BackupId, CatalogueEntry, Repository, SweepReport};
use crate::restore::{self, RestoreOptions, RestoreReport};
use crate::wal::{self, Archiver, ArchiverOptions, Archiving, RecoverableWindow, WalArchive};

pub use builder::BackupBuilder;
pub use selection::{Selection, SourceCheck};

/// The settings, as `build` has checked them.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) encryption: Encryption,
    pub(crate) unlock: Vec<Unlock>,
    pub(crate) level: i32,
    pub(crate) workers: usize,
    pub(crate) frame_bytes: usize,
    pub(crate) queue_depth: usize,
    pub(crate) buffers: usize,
    pub(crate) max_object_bytes: u64,
    pub(crate) sweep_grace: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) lock_wait_timeout: Duration,
    pub(crate) source_check: SourceCheck,
    pub(crate) selection: Selection,
    pub(crate) physical: PhysicalOptions,
    pub(crate) finder: Finder,
    pub(crate) clock: Arc<dyn Clock>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) database: Arc<dyn Database>,
    pub(crate) replication: Arc<dyn Database>,
    pub(crate) repository: Repository,
    /// Where physical backups are stored a second time.
    pub(crate) second: Option<Repository>,
    pub(crate) settings: Settings,
    /// The archiver that was made last.
    pub(crate) archiving: Archiving,
    /// What a keeper has found.
    pub(crate) keeping: Keeping,
}

/// Backups of one PostgreSQL database in one object store.
///
/// Cheap to clone; clones are the same engine.
#[derive(Clone, Debug)]
pub struct Backup(Arc<Inner>);

impl Backup {
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Begins to set up backups of a database in a store.
    pub fn builder(database: Arc<dyn Database>, store: Arc<dyn ObjectStore>) -> BackupBuilder {
        BackupBuilder::new(database, store)
    }

    /// Takes a backup: a `pg_dump -Fc` archive with the cluster's globals.
    ///
    /// # Errors
    /// The job ends with `Unauthenticated`, `SourceUnavailable`, `SourceLost`,
    /// `ClientMissing`, `ClientTooOld`, `ClientFailed`, `Archive`, `StoreFull`,
    /// `StoreDenied`, `Store`, `Fenced` or `Timeout`. Nothing is listed then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn dump(&self) -> Job<BackupReport> {
        let inner = Arc::clone(&self.0);
        Job::spawn("dump", |events, cancel| dump::run(inner, events, cancel))
    }

    /// Takes a base backup: the files of the whole cluster, over the replication protocol.
    ///
    /// It is stored in the second store, too, where there is one. A store that fails does
    /// not end the job while the other goes on: the report says in which stores the backup
    /// was committed.
    ///
    /// # Errors
    /// The job ends with `InvalidInput`, `Unauthenticated`, `PermissionDenied`,
    /// `SourceSettings`, `SourceBusy`, `SourceUnavailable`, `SourceLost`, `SourceChanged`,
    /// `Archive`, `DamagedPages`, `WalMissing`, `StoreFull`, `StoreDenied`, `Store`,
    /// `Fenced` or `Timeout`. Nothing is listed then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn base_backup(&self, request: BaseBackupRequest) -> Job<BaseBackupReport> {
        let inner = Arc::clone(&self.0);
        Job::spawn("base_backup", |events, cancel| {
            physical::base_backup(inner, request, events, cancel)
        })
    }

    /// Loads a backup into a database, which must be empty unless the options say else.
    ///
    /// # Errors
    /// The job ends with `NotFound`, `WrongKey`, `Integrity`, `TargetNotEmpty`,
    /// `TargetUnavailable`, `ClientMissing`, `ClientTooOld` or `RestoreFailed`; the error
    /// says what is in the target then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn restore(
        &self,
        id: &BackupId,
        target: ConnectInfo,
        options: RestoreOptions,
    ) -> Job<RestoreReport> {
        let (inner, id) = (Arc::clone(&self.0), id.clone());
        Job::spawn("restore", |events, cancel| async move {
            cancel
                .run_until_cancelled(restore::run(inner, id, target, options, events))
                .await
                .unwrap_or_else(|| {
                    Err(Error::new(
                        ErrorKind::Canceled,
                        "restore",
                        "the job was canceled",
                    ))
                })
        })
    }

    /// Proves a backup: restores it into a throwaway server, compares the copy with the
    /// backup's fingerprint, runs the caller's assertions, measures the time, and stores
    /// the result beside the backup.
    ///
    /// A copy that is not equal is a report with [`DrillReport::passed`] false, not an error.
    /// A drill that ends in an error is stored, too, with its
    /// [`failure`](DrillReport::failure); one that was canceled is not.
    ///
    /// # Errors
    /// As [`restore`](Self::restore); `Server` where no throwaway server could be run. Where
    /// the failure cannot be stored, what was [left behind](Error::left_behind) says so.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn drill(&self, id: &BackupId, options: DrillOptions) -> Job<DrillReport> {
        let (inner, id) = (Arc::clone(&self.0), id.clone());
        Job::spawn("drill", |events, cancel| async move {
            cancel
                .run_until_cancelled(Box::pin(drill::run(inner, id, options, events)))
                .await
                .unwrap_or_else(|| {
                    Err(Error::new(
                        ErrorKind::Canceled,
                        "drill",
                        "the job was canceled",
                    ))
                })
        })
    }

    /// Restores a cluster into a folder, from physical backups and archived WAL: the target
    /// is resolved to a backup and to WAL before anything is touched, and where recovery has
    /// ended it is seen to that it was reached. The cluster is then ready to be started.
    ///
    /// # Errors
    /// The job ends with `NotFound`, `NotRecoverable`, `WalMissing`, `WrongKey`, `Integrity`,
    /// `InvalidInput`, `InvalidConfig`, `TargetNotEmpty`, `TargetUnavailable`, `TargetFull`,
    /// `Server`, `RecoveryShort`, `Store`, `StoreDenied` or `Timeout`; the error says what is
    /// in the folder then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn restore_cluster(
        &self,
        target: RestoreTarget,
        directory: impl Into<PathBuf>,
        options: ClusterRestoreOptions,
    ) -> Job<ClusterRestoreReport> {
        let (inner, directory) = (Arc::clone(&self.0), directory.into());
        Job::spawn("restore", |events, cancel| async move {
            let run = Box::pin(physical::restore::run(
                inner, target, directory, options, events,
            ));
            cancel.run_until_cancelled(run).await.unwrap_or_else(|| {
                let message = "the job was canceled";
                Err(Error::new(ErrorKind::Canceled, "restore", message))
            })
        })
    }

    /// The committed backups, oldest first.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` and `UnknownFormat` for a manifest that cannot
    /// be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn catalogue(&self) -> Result<Vec<CatalogueEntry>> {
        self.0.repository.catalogue().await
    }

    /// The newest committed backup; `None` where there is none.
    ///
    /// # Errors
    /// As [`catalogue`](Self::catalogue).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn latest(&self) -> Result<Option<CatalogueEntry>> {
        Ok(self.catalogue().await?.pop())
    }

    /// Proves a physical backup and the WAL that leads from it to a target: restores them
    /// into a throwaway server of the same major, compares the files with the server's
    /// manifest (`pg_verifybackup`), recovers, asks the caller's questions, looks at every
    /// table and index (`pg_amcheck`) and at every page's checksum (`pg_checksums`), measures
    /// the time, and stores the result beside the backup.
    ///
    /// A copy that is not sound is a report with [`ClusterDrillReport::passed`] false, not
    /// an error. A drill that ends in an error is stored, too, with its
    /// [`failure`](ClusterDrillReport::failure): beside the backup that was chosen, else the
    /// newest physical one. One that was canceled is not.
    ///
    /// # Errors
    /// As [`restore_cluster`](Self::restore_cluster). Where the failure cannot be stored,
    /// what was [left behind](Error::left_behind) says so.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn drill_cluster(
        &self,
        target: RestoreTarget,
        options: ClusterDrillOptions,
    ) -> Job<ClusterDrillReport> {
        let inner = Arc::clone(&self.0);
        Job::spawn("drill", |events, cancel| async move {
            let run = Box::pin(physical::drill::run(inner, target, options, events));
            cancel.run_until_cancelled(run).await.unwrap_or_else(|| {
                let message = "the job was canceled";
                Err(Error::new(ErrorKind::Canceled, "drill", message))
            })
        })
    }

    /// The stored results of a physical backup's drills, oldest first.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` for a result that cannot be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn cluster_drills(&self, id: &BackupId) -> Result<Vec<ClusterDrillReport>> {
        physical::drill::stored(&self.0.repository, id).await
    }

    /// The stored results of a dump's drills, oldest first.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` for a result that cannot be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn drills(&self, id: &BackupId) -> Result<Vec<DrillReport>> {
        drill::stored(&self.0.repository, id).await
    }

    /// Sets up the archiving of the cluster's WAL into the store; see [`Archiver::run`].
    ///
    /// # Errors
    /// `InvalidConfig` with every problem that was found.
    pub fn archiver(&self, options: ArchiverOptions) -> Result<Archiver> {
        Archiver::new(Arc::clone(&self.0), options)
    }

    /// What can be recovered to, from base backups and archived WAL: worked out from what is
    /// in the store now, not from what should be.
    ///
    /// # Errors
    /// As [`catalogue`](Self::catalogue) and [`WalArchive::coverage`].
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn recoverable_windows(&self) -> Result<Vec<RecoverableWindow>> {
        wal::recoverable_windows(&self.0).await
    }

    /// Opens the WAL archive of the cluster that the prefix belongs to; `None` where there
    /// is none.
    ///
    /// # Errors
    /// As [`WalArchive::open`].
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn wal_archive(&self) -> Result<Option<WalArchive>> {
        let (repository, settings) = (&self.0.repository, &self.0.settings);
        let store = Arc::clone(&repository.store);
        WalArchive::open(
            store,
            repository.layout.prefix(),
            None,
            settings.unlock.clone(),
        )
        .await
    }

    /// Removes what jobs left that were begun and never committed, and have shown no sign
    /// of life for the grace period. Each backup does this first by itself.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of it removed.
    pub async fn sweep(&self) -> Result<SweepReport> {
        dump::sweep(&self.0).await
    }
}
