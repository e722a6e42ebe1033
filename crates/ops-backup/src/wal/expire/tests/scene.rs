//! A store with segments and backups in it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use ops_core::memory::{MemoryDatabase, MemoryObjectStore};
use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{Clock, ObjectKey, ObjectStore};
use ops_pg_replication::{Lsn, SegmentName, Timeline, TimelineHistory, WalSegmentSize};
use ops_testkit::ManualClock;

use super::super::{WalExpiryReport, WalRetention};
use crate::backup::{Backup, BackupBuilder};
use crate::keys::Encryption;
use crate::physical::{PhysicalKind, WalMethod, WalRange};
use crate::repository::{BackupId, Layout, Manifest, ManifestObject, ObjectRole};
use crate::wal::header::Header;
use crate::wal::seal;
use crate::wal::{Pin, WalArchive};

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const GRACE: Duration = Duration::from_secs(60 * 60);

/// A window of so many days.
pub(super) fn retention(days: u32) -> WalRetention {
    WalRetention::new()
        .with_window(DAY * days)
        .with_grace(GRACE)
}

fn size() -> WalSegmentSize {
    WalSegmentSize::new(1 << 20).unwrap()
}

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

/// A position in a segment.
fn lsn(segment: u64, offset: u64) -> Lsn {
    Lsn::new((segment << 20) + offset)
}

/// Ranges as timelines, first segments, and one past the last.
pub(super) fn segments(ranges: &[WalRange]) -> Vec<(u32, u64, u64)> {
    let number = |lsn: Lsn| lsn.as_u64() >> 20;
    ranges
        .iter()
        .map(|it| (it.timeline.get(), number(it.start), number(it.end)))
        .collect()
}

/// A backup that begins and ends in one segment.
pub(super) struct Base {
    timeline: u32,
    segment: u64,
    pub(super) includes_wal: bool,
    pub(super) degraded: bool,
    /// By how much its clock was behind.
    pub(super) set_back: Duration,
}

impl Base {
    pub(super) fn new(timeline: u32, segment: u64) -> Self {
        Self {
            timeline,
            segment,
            includes_wal: true,
            degraded: false,
            set_back: Duration::ZERO,
        }
    }
}

pub(super) struct Scene {
    store: MemoryObjectStore,
    pub(super) clock: ManualClock,
    pub(super) backup: Backup,
    archive: WalArchive,
    layout: Layout,
    pub(super) ids: Vec<BackupId>,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let store = MemoryObjectStore::builder()
            .clock(Arc::new(clock.clone()))
            .build();
        let manifest = template();
        let plain = Encryption::none();
        let archive = WalArchive::create(
            Arc::new(store.clone()),
            "",
            manifest.physical.unwrap().system_id,
            size(),
            &plain,
            Vec::new(),
            false,
            clock.now(),
        );
        let archive = archive.await.unwrap();
        let backup = engine(Arc::new(store.clone()), Arc::new(clock.clone()));
        Self {
            backup: backup.build().unwrap(),
            store,
            clock,
            archive,
            layout: Layout::new(""),
            ids: Vec::new(),
        }
    }

    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.store.clone())
    }

    pub(super) fn builder(&self, store: Arc<dyn ObjectStore>) -> BackupBuilder {
        engine(store, Arc::new(self.clock.clone()))
    }

    pub(super) fn engine_with_clock_ahead(&self, by: Duration) -> Backup {
        let clock = ManualClock::new(self.clock.now().saturating_add(by));
        engine(self.store(), Arc::new(clock)).build().unwrap()
    }

    pub(super) fn folder(&self) -> String {
        format!("wal/{}/", self.archive.system_id())
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) {
        let options = PutOptions::if_none_match();
        self.store.put(key, body, options).await.unwrap();
    }

    pub(super) async fn segment(&self, on: u32, number: u64) {
        let name = SegmentName::new(timeline(on), number);
        let hash = blake3::hash(b"");
        let header = Header::new(name.file_name(size()), 0, size().bytes(), hash);
        let object = seal::seal(header, &[], None).unwrap();
        let key = self.archive.layout().segment(name, size()).unwrap();
        self.put(&key, object).await;
    }

    /// A timeline that left another one in the middle of a segment.
    pub(super) async fn history(&self, of: u32, parent: u32, segment: u64) {
        let text = format!("{parent}\t{}\twhy\n", lsn(segment, 0x800));
        let history = TimelineHistory::parse(timeline(of), text.into()).unwrap();
        self.archive.put_history(&history, None).await.unwrap();
    }

    pub(super) async fn base(&mut self, base: Base) -> BackupId {
        let mut manifest = template();
        let number = self.ids.len().to_le_bytes();
        let at = self.clock.now().saturating_sub(base.set_back);
        let id = BackupId::generate(at, &number);
        manifest.id = id.clone();
        manifest.started_at = at;
        manifest.completed_at = at;
        let info = manifest.physical.as_mut().unwrap();
        info.kind = PhysicalKind::Full;
        info.timeline = timeline(base.timeline);
        info.end_timeline = info.timeline;
        info.start_lsn = lsn(base.segment, 0x28);
        info.end_lsn = lsn(base.segment, 0x200);
        info.wal_segment_size = size();
        info.degraded = base.degraded;
        info.packs.truncate(1);
        info.wal = if base.includes_wal {
            WalMethod::Included
        } else {
            WalMethod::Archive
        };
        let key = self.layout.object(&id, ObjectRole::Data, 0, false).unwrap();
        let body = Bytes::from_static(b"data");
        let hash = blake3::hash(&body);
        manifest.objects = vec![ManifestObject::new(ObjectRole::Data, key.clone(), 4, hash)];
        self.put(&key, body).await;
        let bytes = manifest.to_bytes(None).unwrap();
        let key = self.layout.manifest(&id).unwrap();
        self.put(&key, bytes.into()).await;
        self.ids.push(id.clone());
        id
    }

    async fn remove_under(&self, folder: String) {
        let listed = self.store.list(ListOptions::prefix(folder));
        let listed: Vec<_> = listed.try_collect().await.unwrap();
        for meta in listed {
            self.store.delete(&meta.key).await.unwrap();
        }
    }

    pub(super) async fn remove_objects(&self, id: &BackupId) {
        self.remove_under(self.layout.folder(id)).await;
    }

    /// Removes a backup.
    pub(super) async fn forget(&self, id: &BackupId) {
        let key = self.layout.manifest(id).unwrap();
        self.store.delete(&key).await.unwrap();
        self.remove_objects(id).await;
    }

    fn begun() -> BackupId {
        "20260102T000000Z-00000001".parse().unwrap()
    }

    pub(super) async fn begin_backup(&self) {
        let key = self.layout.lease(&Self::begun()).unwrap();
        self.put(&key, Bytes::from_static(b"{}")).await;
    }

    pub(super) async fn end_backup(&self) {
        self.remove_objects(&Self::begun()).await;
    }

    pub(super) async fn expire(&self, retention: &WalRetention) -> WalExpiryReport {
        let mut outcomes = self.backup.expire_wal(retention).await;
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0).outcome.unwrap()
    }

    /// The windows as timelines, the segments that they begin in, and where they end, in
    /// segments and rounded up where that is not where the first one begins.
    pub(super) async fn windows(&self) -> Vec<(u32, u64, u64)> {
        let windows = self.backup.recoverable_windows().await.unwrap();
        let mut windows: Vec<_> = windows
            .into_iter()
            .map(|it| {
                let number = |lsn: Lsn| lsn.as_u64() >> 20;
                (it.timeline.get(), number(it.from), number(it.to))
            })
            .collect();
        windows.sort_unstable();
        windows
    }

    pub(super) async fn frontier(&self, on: u32) -> u64 {
        let frontier = self.archive.frontier(timeline(on)).await.unwrap();
        frontier.unwrap().end.as_u64() >> 20
    }

    pub(super) async fn segments_there(&self, on: u32) -> Vec<u64> {
        let layout = self.archive.layout();
        let folder = layout.segments_of(timeline(on));
        let listed = self.store.list(ListOptions::prefix(folder));
        let listed: Vec<_> = listed.try_collect().await.unwrap();
        listed
            .iter()
            .map(|meta| layout.segment_name(&meta.key, size()).unwrap().number())
            .collect()
    }

    /// What a restore does that begins in a segment.
    pub(super) async fn pin(&self, on: u32, segment: u64) -> Pin {
        let from = lsn(segment, 0x28);
        Pin::set(&self.archive, timeline(on), from).await.unwrap()
    }

    pub(super) async fn pins(&self) -> usize {
        let folder = self.archive.layout().restore_pins();
        let listed = self.store.list(ListOptions::prefix(folder));
        listed.try_collect::<Vec<_>>().await.unwrap().len()
    }

    pub(super) async fn marks(&self) -> usize {
        let folder = self.archive.layout().expired();
        let listed = self.store.list(ListOptions::prefix(folder));
        listed.try_collect::<Vec<_>>().await.unwrap().len()
    }
}

fn engine(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> BackupBuilder {
    Backup::builder(Arc::new(MemoryDatabase::new()), store)
        .encryption(Encryption::none())
        .clock(clock)
}

fn template() -> Manifest {
    serde_json::from_str(include_str!("../../../physical/format/physical.json")).unwrap()
}
