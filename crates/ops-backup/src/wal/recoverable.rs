//! What can be recovered, by what the store has.

use std::collections::BTreeMap;
use std::sync::Arc;

use ops_pg_replication::SystemId;

use super::{BaseBackupSpan, Coverage, RecoverableWindow, WalArchive, plan_windows};
use crate::backup::Inner;
use crate::error::Result;
use crate::repository::{BackupId, CatalogueEntry, Manifest};

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
/// By timeline and position, which no clock decides.
pub(crate) fn spans(entries: &[CatalogueEntry]) -> BTreeMap<SystemId, Vec<BaseBackupSpan>> {
    let known: BTreeMap<&BackupId, &Manifest> = entries
        .iter()
        .map(|entry| (&entry.manifest.id, &entry.manifest))
        .collect();
    let mut spans: BTreeMap<SystemId, Vec<BaseBackupSpan>> = BTreeMap::new();
    for manifest in known.values() {
        if let Some(info) = &manifest.physical
            && chain_of(manifest, &known).is_some()
        {
            let own = spans.entry(info.system_id).or_default();
            own.push(BaseBackupSpan::of(manifest, info));
        }
    }
    for own in spans.values_mut() {
        own.sort_by_key(|span| (span.timeline, span.end, span.start));
    }
    spans
}

/// A backup and all that it builds upon, down to the full one; `None` where some of it is
/// not there.
pub(crate) fn chain_of<'a>(
    manifest: &'a Manifest,
    known: &BTreeMap<&BackupId, &'a Manifest>,
) -> Option<Vec<&'a Manifest>> {
    let mut chain = vec![manifest];
    let mut next = manifest.physical.as_ref()?;
    while let Some(parent) = next.kind.parent() {
        let parent = *known.get(parent)?;
        // A chain that bites its own tail leads to no full backup.
        if chain.len() > known.len() {
            return None;
        }
        chain.push(parent);
        next = parent.physical.as_ref()?;
    }
    Some(chain)
}

#[cfg(test)]
pub(crate) mod tests;
