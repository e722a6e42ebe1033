//! From what a target is recovered: found out before anything is written.

use std::sync::Arc;

use ops_pg::binaries::Major;
use ops_pg_replication::{Lsn, SystemId, TimelineHistory};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::chain;
use super::ranged::Source;
use super::reach::{Choice, Stock, Wishes};
use super::run::Prepared;
use super::target::RestoreTarget;
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Events;
use crate::repository::Manifest;
use crate::wal::{Coverage, Pin, WalArchive};

/// From what a target is recovered, as far as the catalogue and the archive tell.
pub(crate) struct Chosen {
    pub(crate) choice: Choice,
    archive: Option<WalArchive>,
    history: TimelineHistory,
    /// Where the WAL of the backup begins.
    start: Lsn,
}

/// Finds out from what a target is recovered.
pub(crate) async fn choose(
    inner: &Inner,
    target: &RestoreTarget,
    wishes: &Wishes,
) -> Result<Chosen> {
    let entries = inner.repository.catalogue().await?;
    let mut backups: Vec<&Manifest> = entries.iter().map(|entry| &entry.manifest).collect();
    backups.retain(|manifest| manifest.physical.is_some());
    let system_id = system_id(&backups, target, wishes)?;
    let store = Arc::clone(&inner.repository.store);
    let prefix = inner.repository.layout.prefix();
    let unlock = inner.settings.unlock.clone();
    let archive = WalArchive::open(store, prefix, Some(system_id), unlock).await?;
    let info = |manifest: &Manifest| manifest.physical.clone();
    backups.retain(|manifest| info(manifest).is_some_and(|it| it.system_id == system_id));
    let infos = backups
        .iter()
        .filter_map(|manifest| manifest.physical.as_ref());
    let first = infos.map(|info| info.start_lsn).min();
    let (coverage, points) = match &archive {
        None => (Coverage::default(), Vec::new()),
        Some(archive) => (
            archive.coverage(first).await?,
            archive.restore_points().await?,
        ),
    };
    let stock = Stock {
        backups,
        coverage: &coverage,
        points: &points,
        now: inner.settings.clock.now(),
    };
    let choice = stock.choose(target, wishes)?;
    let history = stock.history(choice.aim.timeline)?;
    let mut backups = stock.backups.iter();
    let chosen = backups.find(|manifest| manifest.id == choice.backup);
    let info = chosen.and_then(|manifest| manifest.physical.as_ref());
    let start = info.map_or(Lsn::INVALID, |info| info.start_lsn);
    Ok(Chosen {
        choice,
        archive,
        history,
        start,
    })
}

impl Chosen {
    /// Sees to it that the WAL stays while it is needed. A store that cannot be written to
    /// is no reason not to restore from it; `Err` is what somebody should know then.
    pub(crate) async fn pin(&self) -> Result<Option<Pin>, String> {
        let Some(archive) = &self.archive else {
            return Ok(None);
        };
        let timeline = self.choice.aim.timeline;
        let pin = Pin::set(archive, timeline, self.start).await;
        pin.map(Some).map_err(|err| {
            format!(
                "the WAL that the restore needs is not pinned, and stays for the grace period of \
                 its retention alone: {}",
                ops_core::Report(&err)
            )
        })
    }

    /// Opens the backup and all that it builds upon.
    pub(crate) async fn open(
        self,
        inner: &Inner,
        operation: &'static str,
        events: &Events,
        cancel: CancellationToken,
    ) -> Result<Prepared> {
        let source = Source {
            operation,
            store: Arc::clone(&inner.repository.store),
            counters: Arc::clone(&events.counters),
            cancel,
            runtime: Handle::current(),
        };
        let levels = chain::open(inner, &self.choice.backup, &source).await?;
        let newest = levels.last().ok_or_else(|| no_level(operation))?;
        let info = newest.info()?.clone();
        let major = Major(info.server_version_num / 10_000);
        let binaries = inner.settings.finder.exact(major).await;
        Ok(Prepared {
            operation,
            source,
            choice: self.choice,
            levels,
            archive: self.archive.map(|archive| archive.beside(&info)),
            info,
            history: self.history,
            binaries,
        })
    }
}

#[cold]
pub(super) fn no_level(operation: &'static str) -> Error {
    Error::new(ErrorKind::Internal, operation, "a chain has no backup")
}

/// The cluster that is meant: that of the backup that was named, else of the newest.
fn system_id(backups: &[&Manifest], target: &RestoreTarget, wishes: &Wishes) -> Result<SystemId> {
    let named = match target {
        RestoreTarget::Immediate { backup } => Some(backup),
        _ => wishes.backup.as_ref(),
    };
    let meant = match named {
        Some(id) => backups.iter().find(|manifest| manifest.id == *id),
        None => backups.last(),
    };
    let meant = meant.and_then(|manifest| manifest.physical.as_ref());
    meant.map(|info| info.system_id).ok_or_else(|| {
        let message = match named {
            Some(id) => format!("there is no physical backup {id}"),
            None => "there is no physical backup".to_owned(),
        };
        Error::new(ErrorKind::NotFound, "restore", message)
            .with_hint("the catalogue lists the committed ones")
    })
}
