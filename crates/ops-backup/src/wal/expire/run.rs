//! Marking and removing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_core::object_store::{ListOptions, ObjectMeta};
use ops_core::{ObjectKey, Timestamp};
use ops_pg_replication::Timeline;

use super::super::archiver::WalLease;
use super::super::pin::Pins;
use super::super::recoverable::chain_of;
use super::super::{BaseBackupSpan, OPERATION, WalArchive, WalObject, WalRun};
use super::marks::{self, Mark};
use super::plan::{KeptBase, Stock, overlap, without};
use super::{WalExpiryPlan, WalExpiryReport, WalRetention};
use crate::backup::Inner;
use crate::error::{Error, Result};
use crate::keys::BackupIdentity;
use crate::physical::WalRange;
use crate::repository::{BackupId, CatalogueEntry, Manifest, Repository};

/// How long the lease of a run that was killed keeps the next one waiting.
const LEASE_LIFETIME: Duration = Duration::from_secs(30);
/// How many objects are removed by one request.
const BATCH: usize = 1000;

/// What would be done in the first store.
pub(super) async fn preview(inner: &Inner, retention: &WalRetention) -> Result<WalExpiryPlan> {
    let repository = &inner.repository;
    match open(repository).await? {
        None => Ok(WalExpiryPlan::default()),
        Some(archive) => {
            let now = inner.settings.clock.now();
            let cutoff = now.saturating_sub(retention.window);
            let pins = Pins::read(&**archive.store(), archive.layout(), now).await?;
            plan(repository, &archive, cutoff, &pins).await
        }
    }
}

/// Marks and removes in one store, while the lease is held.
pub(super) async fn expire(
    inner: &Inner,
    repository: &Repository,
    retention: &WalRetention,
) -> Result<WalExpiryReport> {
    let Some(archive) = open(repository).await? else {
        return Ok(WalExpiryReport::default());
    };
    let holder = BackupIdentity::generate().public_text();
    let key = archive.layout().expire_lease()?;
    let (store, waiting) = (Arc::clone(archive.store()), |_: &str| {});
    let acquire = WalLease::acquire(
        store,
        key.clone(),
        holder.clone(),
        holder,
        LEASE_LIFETIME,
        waiting,
    );
    let mut lease = acquire.await?;
    let work = Box::pin(under_lease(inner, repository, &archive, &key, retention));
    let outcome = tokio::select! {
        outcome = work => outcome,
        lost = lease.keep() => return Err(lost),
    };
    lease.release().await;
    outcome
}

async fn open(repository: &Repository) -> Result<Option<WalArchive>> {
    let (store, prefix) = (Arc::clone(&repository.store), repository.layout.prefix());
    WalArchive::open(store, prefix, None, Vec::new()).await
}

async fn under_lease(
    inner: &Inner,
    repository: &Repository,
    archive: &WalArchive,
    lease: &ObjectKey,
    retention: &WalRetention,
) -> Result<WalExpiryReport> {
    let store = &**archive.store();
    let written = store.head(lease).await;
    let store_now = written
        .map_err(|err| Error::store(OPERATION, err))?
        .last_modified;
    // A clock that is ahead must not let go of anything: both have to say so.
    let now = inner.settings.clock.now().min(store_now);
    let cutoff = now.saturating_sub(retention.window);
    let pins = Pins::read(store, archive.layout(), store_now).await?;
    let plan = plan(repository, archive, cutoff, &pins).await?;
    let mut report = WalExpiryReport::default();
    let mut due = Vec::new();
    let kept: Vec<WalRange> = plan.keep.iter().map(|it| it.range).collect();
    let mut there = Vec::new();
    for mark in marks::list(store, archive.layout()).await? {
        if kept.iter().any(|kept| overlap(kept, &mark.range)) {
            delete(archive, mark.key).await?;
            report.withdrawn.push(mark.range);
            continue;
        }
        there.push(mark.range);
        if store_now.saturating_since(mark.marked_at) >= retention.grace {
            due.push(mark);
        } else {
            report.waiting.push(mark.range);
        }
    }
    for range in plan.expire.iter().flat_map(|range| without(*range, &there)) {
        marks::put(store, archive.layout(), range, now).await?;
        report.marked.push(range);
    }
    for mark in due {
        remove(archive, mark, &mut report).await?;
    }
    for pin in pins.lapsed {
        delete(archive, pin).await?;
    }
    report.plan = plan;
    Ok(report)
}

/// Looks at what there is and plans.
async fn plan(
    repository: &Repository,
    archive: &WalArchive,
    cutoff: Timestamp,
    pins: &Pins,
) -> Result<WalExpiryPlan> {
    // Read before the catalogue: a backup that is committed in between is in either.
    let in_progress_since = in_progress_since(repository).await?;
    let entries = repository.catalogue().await?;
    let bases = bases(repository, archive, &entries).await?;
    let runs = archive.named_runs().await?;
    let abandoned = abandoned(archive, &runs, cutoff).await?;
    let histories = archive.histories().await?;
    let stock = Stock {
        runs: &runs,
        histories: &histories,
        bases: &bases,
        size: archive.segment_size(),
        cutoff,
        in_progress_since,
        abandoned: &abandoned,
        pins: &pins.held,
    };
    Ok(stock.plan())
}

/// When the oldest backup began that has objects and neither a manifest nor a tombstone.
async fn in_progress_since(repository: &Repository) -> Result<Option<Timestamp>> {
    let layout = &repository.layout;
    let objects = repository.list(OPERATION, layout.backups()).await?;
    let begun = objects.iter().filter_map(|meta| layout.owner(&meta.key));
    let begun: BTreeSet<BackupId> = begun.collect();
    let listed = repository.list(OPERATION, layout.manifests()).await?;
    let ended = listed.iter().filter_map(|it| layout.manifest_id(&it.key));
    let ended: BTreeSet<BackupId> = ended.collect();
    Ok((&begun - &ended).first().map(BackupId::begun_at))
}

/// The physical backups of the cluster, and whether they can be relied upon.
async fn bases(
    repository: &Repository,
    archive: &WalArchive,
    entries: &[CatalogueEntry],
) -> Result<Vec<KeptBase>> {
    let known: BTreeMap<&BackupId, &Manifest> = entries
        .iter()
        .map(|entry| (&entry.manifest.id, &entry.manifest))
        .collect();
    let of_cluster = |manifest: &Manifest| {
        let info = manifest.physical.as_ref();
        info.is_some_and(|info| info.system_id == archive.system_id())
    };
    let mut there = BTreeSet::new();
    for (id, manifest) in known.iter().filter(|(_, manifest)| of_cluster(manifest)) {
        if is_there(repository, manifest).await? {
            there.insert((*id).clone());
        } else {
            tracing::warn!(backup = %id, "objects of the backup are missing: no WAL is let go of for it");
        }
    }
    let mut bases = Vec::new();
    for manifest in known.values().filter(|manifest| of_cluster(manifest)) {
        let Some(info) = &manifest.physical else {
            continue;
        };
        let chain = chain_of(manifest, &known);
        let is_sound = |it: &&Manifest| {
            let degraded = it.physical.as_ref().is_none_or(|info| info.degraded);
            there.contains(&it.id) && !degraded
        };
        bases.push(KeptBase {
            span: BaseBackupSpan::of(manifest, info),
            sound: chain.is_some_and(|chain| chain.iter().all(is_sound)),
        });
    }
    Ok(bases)
}

/// Whether all objects of a backup are there, as long as they were written.
async fn is_there(repository: &Repository, manifest: &Manifest) -> Result<bool> {
    let folder = repository.layout.folder(&manifest.id);
    let listed = repository.list(OPERATION, folder).await?;
    let sizes: BTreeMap<&ObjectKey, u64> = listed
        .iter()
        .map(|meta| (&meta.key, meta.size_bytes))
        .collect();
    let mut objects = manifest.objects.iter();
    Ok(objects.all(|object| sizes.get(&object.key) == Some(&object.size_bytes)))
}

/// The timelines before the newest whose newest WAL was stored before the cutoff.
async fn abandoned(
    archive: &WalArchive,
    runs: &[WalRun],
    cutoff: Timestamp,
) -> Result<BTreeSet<Timeline>> {
    let newest = runs.iter().map(|run| run.timeline).max();
    let mut last: BTreeMap<Timeline, &WalRun> = BTreeMap::new();
    for run in runs.iter().filter(|run| Some(run.timeline) != newest) {
        let known = last.entry(run.timeline).or_insert(run);
        if known.end < run.end {
            *known = run;
        }
    }
    let mut abandoned = BTreeSet::new();
    for (timeline, run) in last {
        let stored = archive.newest_object(run).await?;
        if stored.is_some_and(|meta| meta.last_modified < cutoff) {
            abandoned.insert(timeline);
        }
    }
    Ok(abandoned)
}

/// Removes what a mark is about, then the mark. A mark with WAL before it on its timeline
/// stays: it says why there is a hole.
async fn remove(archive: &WalArchive, mark: Mark, report: &mut WalExpiryReport) -> Result<()> {
    let objects = objects_of(archive, &mark.range).await?;
    for batch in objects.chunks(BATCH) {
        let keys = batch.iter().map(|meta| meta.key.clone()).collect();
        let outcomes = archive.store().delete_many(keys).await;
        for outcome in outcomes.map_err(|err| Error::store(OPERATION, err))? {
            outcome.map_err(|err| Error::store(OPERATION, err))?;
        }
        report.objects += batch.len();
        report.bytes += batch.iter().map(|meta| meta.size_bytes).sum::<u64>();
    }
    if !objects.is_empty() {
        report.removed.push(mark.range);
    }
    if !has_wal_before(archive, &mark.range).await? {
        delete(archive, mark.key).await?;
    }
    Ok(())
}

/// The segments, parts and restore points of a range.
async fn objects_of(archive: &WalArchive, range: &WalRange) -> Result<Vec<ObjectMeta>> {
    let (layout, size, timeline) = (archive.layout(), archive.segment_size(), range.timeline);
    let is_inside = |meta: &ObjectMeta| {
        let start = match archive.object_of(&meta.key) {
            Some(WalObject::Segment(name) | WalObject::Part(name, ..)) => name.start(size),
            _ => match layout.restore_point_end(&meta.key) {
                // It ends in the segment, or with it.
                Some(end) => end.segment_of_end(timeline, size).start(size),
                None => return false,
            },
        };
        range.start <= start && start < range.end
    };
    let mut segments = ListOptions::prefix(layout.segments_of(timeline));
    let before = range.start.segment(timeline, size).previous();
    segments.start_after = before.map(|name| layout.segment(name, size)).transpose()?;
    let parts = ListOptions::prefix(layout.parts_of(timeline));
    let points = ListOptions::prefix(layout.restore_points_of(timeline));
    let end = layout.segment(range.end.segment(timeline, size), size)?;
    let mut found = Vec::new();
    for options in [segments, parts, points] {
        let is_segments = options.start_after.is_some();
        let mut listing = archive.store().list(options);
        let failed = |err| Error::store(OPERATION, err);
        while let Some(meta) = listing.try_next().await.map_err(failed)? {
            if is_segments && meta.key >= end {
                break;
            }
            if is_inside(&meta) {
                found.push(meta);
            }
        }
    }
    Ok(found)
}

async fn has_wal_before(archive: &WalArchive, range: &WalRange) -> Result<bool> {
    let (layout, size) = (archive.layout(), archive.segment_size());
    let folder = layout.segments_of(range.timeline);
    let first = super::super::search::first(&**archive.store(), ListOptions::prefix(folder));
    let name = first.await?.and_then(|key| layout.segment_name(&key, size));
    Ok(name.is_some_and(|name| name.start(size) < range.start))
}

async fn delete(archive: &WalArchive, key: ObjectKey) -> Result<()> {
    let deleted = archive.store().delete(&key).await;
    deleted
        .map(drop)
        .map_err(|err| Error::store(OPERATION, err))
}
