//! What can be recovered, by what the store has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ops_pg_replication::SystemId;

use super::{BaseBackupSpan, Coverage, RecoverableWindow, WalArchive, plan_windows};
use crate::backup::Inner;
use crate::error::Result;
use crate::physical::{PhysicalKind, WalMethod};
use crate::repository::{BackupId, CatalogueEntry};

/// The windows of all clusters that were backed up below the prefix.
pub(crate) async fn recoverable_windows(inner: &Inner) -> Result<Vec<RecoverableWindow>> {
    let entries = inner.repository.catalogue().await?;
    let mut windows = Vec::new();
    for (system_id, spans) in spans(&entries) {
        let archive = WalArchive::open(
            Arc::clone(&inner.repository.store),
            inner.repository.layout.prefix(),
            Some(system_id),
            Vec::new(),
        );
        let first = spans.iter().map(|span| span.start).min();
        let coverage = match archive.await? {
            Some(archive) => archive.coverage(first).await?,
            None => Coverage::default(),
        };
        let planned = plan_windows(&spans, &coverage).into_iter();
        windows.extend(planned.map(|mut window| {
            window.system_id = Some(system_id);
            window
        }));
    }
    Ok(windows)
}

/// The base backups of each cluster that can be restored: those whose parents are all there.
pub(crate) fn spans(entries: &[CatalogueEntry]) -> BTreeMap<SystemId, Vec<BaseBackupSpan>> {
    let mut whole: BTreeSet<&BackupId> = BTreeSet::new();
    let mut spans: BTreeMap<SystemId, Vec<BaseBackupSpan>> = BTreeMap::new();
    // The catalogue is in the order of time, and a parent is older than its children.
    for entry in entries {
        let manifest = &entry.manifest;
        let Some(physical) = &manifest.physical else {
            continue;
        };
        let has_parent = match &physical.kind {
            PhysicalKind::Incremental { parent, .. } => whole.contains(parent),
            _ => true,
        };
        if !has_parent {
            continue;
        }
        whole.insert(&manifest.id);
        let span = BaseBackupSpan::new(
            manifest.id.clone(),
            physical.end_timeline,
            physical.start_lsn,
            physical.end_lsn,
            manifest.completed_at,
        );
        let included = physical.wal == WalMethod::Included;
        spans
            .entry(physical.system_id)
            .or_default()
            .push(span.with_included_wal(included));
    }
    spans
}
