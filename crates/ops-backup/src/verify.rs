//! Looking at what is stored, without restoring it.
//!
//! It finds what was lost, cut, altered, exchanged or put in the place of something else.
//! Whether a server starts from it, only a drill tells.

mod backups;
mod chains;
mod content;
mod report;
mod wal;

use std::collections::BTreeMap;
use std::sync::Arc;

use ops_core::ObjectKey;
use ops_core::object_store::ObjectMeta;
use tokio_util::sync::CancellationToken;

use crate::backup::{Backup, Inner};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::job::Job;
use crate::keys::BackupIdentity;
use crate::repository::{BackupId, Manifest, Repository};
use report::Findings;

pub use report::{
    CheckedPart, ClosureEnd, PartCheck, Problem, ProblemKind, Unchecked, VerifyReport, WalClosure,
};

const OPERATION: &str = "verify";

/// How closely is looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerifyDepth {
    /// Names and lengths: everything is there, manifests are sealed, chains and WAL have no
    /// hole. A few requests for each 1000 objects, and one for each manifest.
    Listed,
    /// And all bytes of all objects of backups are those that were written, and each object
    /// of the WAL archive says of itself what its name says.
    Hashed,
    /// And everything can be decrypted and decompressed, WAL too, and holds what it should.
    /// The default. Needs a key where anything is encrypted.
    #[default]
    Opened,
}

/// What to verify.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// How closely to look.
    pub depth: VerifyDepth,
    /// Which backups. Defaults to all.
    pub backups: Option<Vec<BackupId>>,
    /// Leave the archived WAL out. Defaults to no.
    pub without_wal: bool,
    /// Look into the second store instead of the first. It has no WAL. Defaults to no.
    pub second_store: bool,
}

impl VerifyOptions {
    /// The defaults: everything in the first store, opened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how closely to look.
    #[must_use]
    pub fn with_depth(mut self, depth: VerifyDepth) -> Self {
        self.depth = depth;
        self
    }

    /// Looks at these backups only.
    #[must_use]
    pub fn with_backups(mut self, backups: impl IntoIterator<Item = BackupId>) -> Self {
        self.backups = Some(backups.into_iter().collect());
        self
    }

    /// Sets whether to leave the archived WAL out.
    #[must_use]
    pub fn with_wal_left_out(mut self, without_wal: bool) -> Self {
        self.without_wal = without_wal;
        self
    }

    /// Sets whether to look into the second store instead of the first.
    #[must_use]
    pub fn with_second_store(mut self, second_store: bool) -> Self {
        self.second_store = second_store;
        self
    }
}

impl Backup {
    /// Looks at what is stored: whether everything is there, is what was written, can be
    /// opened, and fits together.
    ///
    /// What is wrong is in the report, each with the object and the backup that it concerns;
    /// it is no error. What could not be looked at is in the report, too, and is no pass.
    ///
    /// # Errors
    /// The job ends with `InvalidInput` for a second store that is not configured, `NotFound`
    /// for a backup that is not there, `Store` or `StoreDenied` where the store cannot even be
    /// listed, or `Canceled`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn verify(&self, options: VerifyOptions) -> Job<VerifyReport> {
        let inner = Arc::clone(self.inner());
        Job::spawn(OPERATION, |events, cancel| async move {
            let run = run(inner, options, events, cancel.clone());
            cancel.run_until_cancelled(run).await.unwrap_or_else(|| {
                let message = "the job was canceled";
                Err(Error::new(ErrorKind::Canceled, OPERATION, message))
            })
        })
    }
}

/// A backup whose manifest could be read.
#[derive(Debug)]
struct Known {
    manifest: Manifest,
    /// The stored manifest.
    bytes: Vec<u8>,
    /// The identity, where it could be opened.
    identity: Option<BackupIdentity>,
}

/// One verification.
struct Run {
    inner: Arc<Inner>,
    repository: Repository,
    options: VerifyOptions,
    events: Events,
    cancel: CancellationToken,
    findings: Findings,
    /// The backups whose manifests could be read.
    known: BTreeMap<BackupId, Known>,
    /// All objects below the backups' folders.
    stored: BTreeMap<ObjectKey, ObjectMeta>,
}

async fn run(
    inner: Arc<Inner>,
    options: VerifyOptions,
    events: Events,
    cancel: CancellationToken,
) -> Result<VerifyReport> {
    let repository = if options.second_store {
        inner.second.clone().ok_or_else(|| {
            let message = "there is no second store";
            Error::new(ErrorKind::InvalidInput, OPERATION, message)
        })?
    } else {
        inner.repository.clone()
    };
    let (clock, depth) = (Arc::clone(&inner.settings.clock), options.depth);
    let started_at = clock.now();
    events.phase(Phase::Verify);
    let mut run = Run {
        inner,
        repository,
        options,
        events,
        cancel,
        findings: Findings::default(),
        known: BTreeMap::new(),
        stored: BTreeMap::new(),
    };
    let uncommitted = run.read_manifests().await?;
    let chosen = run.chosen()?;
    for id in &chosen {
        run.check_backup(id).await;
    }
    for id in &chosen {
        run.check_chain(id).await;
    }
    if !run.options.without_wal && !run.options.second_store {
        run.check_wal(&chosen).await?;
    }
    let Run {
        findings, events, ..
    } = run;
    Ok(VerifyReport {
        started_at,
        completed_at: clock.now(),
        depth,
        passed: findings.problems.is_empty() && findings.unchecked.is_empty(),
        checks: findings.checks(),
        problems: findings.problems,
        unchecked: findings.unchecked,
        backups: chosen,
        uncommitted,
        wal: findings.wal,
        bytes_read: events.counters.read().1,
    })
}

impl Run {
    /// The backups to look at.
    fn chosen(&self) -> Result<Vec<BackupId>> {
        let Some(named) = &self.options.backups else {
            return Ok(self.known.keys().cloned().collect());
        };
        let there = |id: &BackupId| {
            let manifest = self.repository.layout.manifest(id);
            let known = self.known.contains_key(id);
            known || manifest.is_ok_and(|key| self.findings.is_bad(&key))
        };
        if let Some(missing) = named.iter().find(|id| !there(id)) {
            let message = format!("there is no backup {missing}");
            return Err(Error::new(ErrorKind::NotFound, OPERATION, message));
        }
        let mut chosen: Vec<_> = named
            .iter()
            .filter(|id| self.known.contains_key(id))
            .cloned()
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }
}
