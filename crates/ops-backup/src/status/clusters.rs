//! What is stored of each cluster under a prefix.

use std::collections::BTreeSet;
use std::sync::Arc;

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, SystemId};

use crate::backup::Inner;
use crate::error::Result;
use crate::repository::CatalogueEntry;
use crate::wal::{
    BaseBackupSpan, Coverage, GapRecord, RecoverableWindow, WalArchive, WalRun, base_backup_spans,
    plan_windows,
};

/// What is stored of a cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) system_id: SystemId,
    /// Whether the prefix is this cluster's now.
    pub(super) current: bool,
    pub(super) archive: Option<WalArchive>,
    pub(super) coverage: Coverage,
    pub(super) gaps: Vec<GapRecord>,
    pub(super) windows: Vec<RecoverableWindow>,
}

impl Cluster {
    /// The last WAL of the newest timeline that WAL is archived of.
    pub(super) fn last_run(&self) -> Option<&WalRun> {
        self.coverage
            .runs
            .iter()
            .max_by_key(|run| (run.timeline, run.end))
    }

    /// The newest commit in archived WAL that a backup leads to, where one is known.
    pub(super) fn newest_commit(&self) -> Option<Timestamp> {
        let last = self.windows.iter().max_by_key(|it| (it.timeline, it.to))?;
        // A window whose WAL tells of no newer commit ends no earlier than it begins.
        (last.to_time > last.from_time).then_some(last.to_time)
    }
}

/// Looks at all clusters that have backups or an archive under the prefix.
pub(super) async fn gather(inner: &Inner, entries: &[CatalogueEntry]) -> Result<Vec<Cluster>> {
    let current = open(inner, None).await?;
    let physical = entries
        .iter()
        .filter_map(|entry| entry.manifest.physical.as_ref());
    let newest = physical.clone().next_back().map(|info| info.system_id);
    let current_id = current.as_ref().map(WalArchive::system_id).or(newest);
    let all: BTreeSet<SystemId> = physical.map(|it| it.system_id).chain(current_id).collect();
    let mut spans = base_backup_spans(entries);
    let mut clusters = Vec::with_capacity(all.len());
    for system_id in all {
        let archive = match &current {
            Some(archive) if archive.system_id() == system_id => Some(archive.clone()),
            _ => open(inner, Some(system_id)).await?,
        };
        let is_current = Some(system_id) == current_id;
        let spans = spans.remove(&system_id).unwrap_or_default();
        clusters.push(look(system_id, is_current, archive, spans).await?);
    }
    Ok(clusters)
}

async fn open(inner: &Inner, system_id: Option<SystemId>) -> Result<Option<WalArchive>> {
    let repository = &inner.repository;
    let (store, prefix) = (Arc::clone(&repository.store), repository.layout.prefix());
    WalArchive::open(store, prefix, system_id, inner.settings.unlock.clone()).await
}

async fn look(
    system_id: SystemId,
    current: bool,
    archive: Option<WalArchive>,
    spans: Vec<BaseBackupSpan>,
) -> Result<Cluster> {
    let (coverage, gaps) = match &archive {
        None => (Coverage::default(), Vec::new()),
        Some(archive) => {
            let oldest = spans.iter().map(|span| span.start).min();
            (coverage(archive, oldest).await?, archive.gaps().await?)
        }
    };
    let mut windows = plan_windows(&spans, &coverage);
    for window in &mut windows {
        window.system_id = Some(system_id);
    }
    Ok(Cluster {
        system_id,
        current,
        archive,
        coverage,
        gaps,
        windows,
    })
}

/// Which WAL is archived from the oldest backup on. Without a backup nothing can be
/// recovered, and it is enough to know where the WAL ends.
async fn coverage(archive: &WalArchive, oldest: Option<Lsn>) -> Result<Coverage> {
    if oldest.is_some() {
        return archive.coverage(oldest).await;
    }
    let Some(newest) = archive.timelines().await?.pop() else {
        return Ok(Coverage::default());
    };
    let frontier = archive.frontier(newest).await?;
    let run = frontier.map(|it| {
        let mut run = WalRun::new(newest, it.whole_end.min(it.end), it.end);
        run.newest_commit = it.newest_commit;
        run
    });
    Ok(Coverage::new(run.into_iter().collect(), Vec::new()))
}
