//! Taking a base backup.
//!
//! One stream comes from the server. A thread of its own takes it apart, hashes it and cuts it
//! into frames as it arrives; threads look at the pages in a frame and compress it; one more puts the frames
//! into packs, encrypts them and hands them to the stores. Buffers go round in a circle: there
//! is a fixed number of them, and whoever needs one waits.

mod begin;
mod compare;
mod cutter;
mod pack;
mod parent;
mod receive;
mod source;
mod stores;
mod stream;
mod tally;
mod thread;
mod wal;

use std::sync::Arc;

use ops_core::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::keys::BackupIdentity;
use crate::physical::format::{PageChecks, PhysicalInfo, WalMethod};
use crate::physical::options::{BaseBackupRequest, PagePolicy};
use crate::physical::report::{BaseBackupReport, FullReason};
use crate::pipeline::Uploaders;
use crate::report::Stopwatch;
use crate::repository::{
    BackupId, CompressionInfo, Manifest, ManifestObject, ObjectRole, PHYSICAL, PHYSICAL_FORMAT,
    Repository, SweepReport,
};
use begin::{Begun, expected_bytes};
use pack::PackSettings;
use source::{ServerInfo, Source};
use stores::Stores;
use stream::{StreamSettings, Streamed};

const OPERATION: &str = "base_backup";
/// A store that takes nothing for this part of the time in which something must move is
/// given up, so that another can go on.
const STORE_STALL: u32 = 4;
/// How many damaged pages a message names.
const NAMED_PAGES: usize = 5;

/// Runs one base backup, cleaning up where it fails or is canceled.
pub(crate) async fn run(
    inner: Arc<Inner>,
    request: BaseBackupRequest,
    events: Events,
    cancel: CancellationToken,
) -> Result<BaseBackupReport> {
    Box::pin(take(&inner, request, events, cancel))
        .await
        .map_err(|err| err.during(OPERATION))
}

async fn take(
    inner: &Inner,
    request: BaseBackupRequest,
    events: Events,
    cancel: CancellationToken,
) -> Result<BaseBackupReport> {
    let mut watch = Stopwatch::start();
    watch.phase(Phase::Preflight);
    events.phase(Phase::Preflight);
    let started_at = inner.settings.clock.now();
    request.check()?;
    let source = Source::connect(inner).await?;
    let identity = BackupIdentity::generate();
    let id = BackupId::generate(started_at, identity.public_text().as_bytes());
    let mut run = Run {
        inner,
        request,
        events,
        id: id.clone(),
        identity,
        watch,
        started_at,
        warnings: Vec::new(),
        full_because: None,
    };
    let mut stores = Stores::begin(inner, &id).await?;
    let canceled = || Error::new(ErrorKind::Canceled, OPERATION, "the job was canceled");
    let result = tokio::select! {
        result = run.store(&mut stores, source) => result,
        () = cancel.cancelled() => Err(canceled()),
    };
    // From here on the backup may be visible: it is not canceled any more.
    let committed = match result {
        Ok(content) => run.commit(&mut stores, content).await,
        Err(err) => Err(err),
    };
    match committed {
        Ok(mut report) => {
            report.stores = stores.end().await;
            for outcome in report.stores.iter().filter(|outcome| !outcome.committed) {
                let reason = outcome.error.as_deref().unwrap_or("it failed");
                let text = format!("the {} store has no backup: {reason}", outcome.store);
                run.events.warn(&mut report.warnings, text);
            }
            Ok(report)
        }
        Err(err) => Err(stores.discard(err).await),
    }
}

/// One base backup while it is being made.
struct Run<'a> {
    inner: &'a Inner,
    request: BaseBackupRequest,
    events: Events,
    id: BackupId,
    identity: BackupIdentity,
    watch: Stopwatch,
    started_at: Timestamp,
    warnings: Vec<String>,
    full_because: Option<FullReason>,
}

/// Everything but the manifest.
struct Stored {
    server: ServerInfo,
    snapshot_at: Timestamp,
    physical: PhysicalInfo,
    objects: Vec<ManifestObject>,
    swept: SweepReport,
}

impl Run<'_> {
    fn phase(&mut self, phase: Phase) {
        self.watch.phase(phase);
        self.events.phase(phase);
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.events.warn(&mut self.warnings, text);
    }

    /// The backup's identity, where its objects are encrypted.
    fn object_identity(&self) -> Option<&BackupIdentity> {
        (!self.inner.settings.encryption.is_none()).then_some(&self.identity)
    }

    fn page_policy(&self) -> PagePolicy {
        let chosen = self.request.page_policy;
        chosen.unwrap_or(self.inner.settings.physical.page_policy)
    }

    /// Stores everything but the manifest.
    async fn store(&mut self, stores: &mut Stores, source: Source) -> Result<Stored> {
        if self.inner.settings.encryption.is_none() {
            self.warn(
                "the backup is NOT ENCRYPTED: whoever can read the store can read the cluster",
            );
        }
        self.phase(Phase::Sweep);
        let swept = stores.sweep(self.inner).await?;
        let mut objects = self.store_identity(stores).await?;
        let repositories = stores.repositories();
        let stall = self.inner.settings.stall_timeout;
        let (uploaders, uploads) = stores.uploaders(stall / STORE_STALL);
        let work = Box::pin(async {
            tokio::select! {
                work = self.receive(source, &repositories, uploaders.clone()) => work,
                // It would go on until all uploaders are gone, and this is one.
                () = uploads => Err(Error::new(ErrorKind::Internal, OPERATION, "uploads ended early")),
            }
        });
        let (server, begun, streamed) = stores.while_held(&uploaders, work).await?;
        let snapshot_at = begun.snapshot_at;
        let physical = self.describe(&server, begun, &streamed)?;
        objects.extend(streamed.packed.objects);
        Ok(Stored {
            server,
            snapshot_at,
            physical,
            objects,
            swept,
        })
    }

    async fn store_identity(&self, stores: &mut Stores) -> Result<Vec<ManifestObject>> {
        let encryption = self.inner.settings.encryption.clone();
        let identity = self.identity.clone();
        // scrypt takes about a second by design.
        let wrapped = tokio::task::spawn_blocking(move || encryption.wrap(&identity)).await;
        let wrapped = wrapped.map_err(|source| {
            Error::new(ErrorKind::Internal, OPERATION, "encryption ended early").with_source(source)
        })??;
        let Some(wrapped) = wrapped else {
            return Ok(Vec::new());
        };
        let layout = &self.inner.repository.layout;
        let key = layout.object(&self.id, ObjectRole::Identity, 0, true)?;
        stores.put(&key, &wrapped).await?;
        let (size, hash) = (wrapped.len() as u64, blake3::hash(&wrapped));
        let object = ManifestObject::new(ObjectRole::Identity, key, size, hash);
        Ok(vec![object])
    }

    /// Begins the backup and takes all of it.
    async fn receive(
        &mut self,
        source: Source,
        repositories: &[Repository],
        uploaders: Uploaders,
    ) -> Result<(ServerInfo, Begun, Streamed)> {
        if self.request.wal == WalMethod::Archive {
            for (store, repository) in repositories.iter().enumerate() {
                if let Err(err) = wal::open(repository, &source.server).await {
                    uploaders.exclude(store, err)?;
                }
            }
        }
        self.phase(Phase::Checkpoint);
        let (server, mut begun) = self.begin(source, repositories).await?;
        let backup = begun.backup.take();
        let backup = backup.ok_or_else(|| {
            Error::new(ErrorKind::Internal, OPERATION, "the backup has not begun")
        })?;
        let expected = expected_bytes(repositories, &server, &begun.kind).await;
        self.phase(Phase::BaseBackup);
        let settings = self.stream_settings(uploaders.clone());
        let stall = self.inner.settings.stall_timeout;
        let streamed = tokio::select! {
            streamed = stream::run(settings, &server, backup, &begun.thread) => streamed?,
            () = self.events.watch(Phase::BaseBackup, expected, stall) => {
                let message = format!("no byte moved for {} seconds", stall.as_secs());
                return Err(Error::new(ErrorKind::Timeout, OPERATION, message));
            }
        };
        for notice in &streamed.notices {
            self.warn(format!("the server says: {notice}"));
        }
        self.judge_pages(&streamed.pages)?;
        if self.request.wal == WalMethod::Archive {
            self.phase(Phase::Wal);
            let server = &server;
            let needed = &streamed.received.manifest.wal_ranges;
            let left = repositories.iter().enumerate();
            let waits = left.filter(|(store, _)| uploaders.takes(*store));
            let waits = waits.map(|(store, repository)| async move {
                (store, wal::wait(repository, server, needed, stall).await)
            });
            for (store, outcome) in futures_util::future::join_all(waits).await {
                if let Err(err) = outcome {
                    uploaders.exclude(store, err)?;
                }
            }
        }
        Ok((server, begun, streamed))
    }

    fn stream_settings(&self, uploaders: Uploaders) -> StreamSettings {
        let settings = &self.inner.settings;
        StreamSettings {
            pack: PackSettings {
                uploaders,
                identity: self.object_identity().cloned(),
                layout: self.inner.repository.layout.clone(),
                id: self.id.clone(),
                pack_bytes: settings.physical.pack_bytes,
                level: settings.level,
            },
            workers: settings.workers,
            buffers: settings.buffers,
            frame_bytes: settings.frame_bytes,
            counters: Arc::clone(&self.events.counters),
        }
    }

    /// Fails for damaged pages, where the policy is that.
    fn judge_pages(&mut self, pages: &PageChecks) -> Result<()> {
        let PageChecks::Checked { bad, bad_pages, .. } = pages else {
            return Ok(());
        };
        if !pages.found_bad() {
            return Ok(());
        }
        let named: Vec<_> = bad_pages
            .iter()
            .take(NAMED_PAGES)
            .map(|page| format!("block {} of {}", page.block, page.path))
            .collect();
        let message = if named.is_empty() {
            "the server has found damaged pages".to_owned()
        } else {
            format!("{bad} damaged pages were found: {}", named.join(", "))
        };
        if self.page_policy() == PagePolicy::Fail {
            return Err(Error::new(ErrorKind::DamagedPages, OPERATION, message)
                .with_hint("restore the damaged relations, or take a degraded backup"));
        }
        self.warn(format!("the backup is degraded: {message}"));
        Ok(())
    }

    fn describe(
        &self,
        server: &ServerInfo,
        begun: Begun,
        streamed: &Streamed,
    ) -> Result<PhysicalInfo> {
        let Streamed {
            received,
            packed,
            pages,
            end,
            ..
        } = streamed;
        if received.manifest.wal_ranges.is_empty() {
            let message = "the server's manifest names no WAL";
            return Err(Error::new(ErrorKind::Archive, OPERATION, message));
        }
        Ok(PhysicalInfo {
            system_id: server.identity.system_id,
            timeline: begun.start.timeline,
            start_lsn: begun.start.lsn,
            end_timeline: end.timeline,
            end_lsn: end.lsn,
            wal_ranges: received.manifest.wal_ranges.clone(),
            wal: self.request.wal,
            kind: begun.kind,
            label: begun.label,
            from_standby: received
                .label
                .lines()
                .any(|line| line == "BACKUP FROM: standby"),
            server_version_num: server.version_num,
            wal_segment_size: server.wal_segment_size,
            data_checksums: server.data_checksums,
            pages: pages.clone(),
            degraded: pages.found_bad(),
            files: received.files,
            tablespaces: received.tablespaces.clone(),
            archives: received.archives.clone(),
            packs: packed.packs.clone(),
        })
    }

    /// Makes the backup visible: the one write that matters.
    async fn commit(&mut self, stores: &mut Stores, content: Stored) -> Result<BaseBackupReport> {
        self.phase(Phase::Commit);
        let settings = &self.inner.settings;
        let completed_at = settings.clock.now();
        let archives = &content.physical.archives;
        let manifest = Manifest {
            format: PHYSICAL_FORMAT,
            id: self.id.clone(),
            kind: PHYSICAL.to_owned(),
            started_at: self.started_at,
            snapshot_at: content.snapshot_at,
            completed_at,
            source: content.server.source,
            selection: Vec::new(),
            encryption: settings.encryption.describe(),
            compression: CompressionInfo {
                codec: "zstd".to_owned(),
                level: settings.level,
                frame_bytes: settings.frame_bytes as u64,
            },
            bytes_in: archives.iter().map(|archive| archive.bytes).sum(),
            bytes_stored: content.objects.iter().map(|it| it.size_bytes).sum(),
            physical: Some(content.physical.clone()),
            objects: content.objects,
        };
        let bytes = manifest.to_bytes(self.object_identity())?;
        stores.commit(&bytes).await?;
        let watch = std::mem::replace(&mut self.watch, Stopwatch::start());
        let (duration, phases) = watch.finish();
        Ok(BaseBackupReport {
            id: manifest.id,
            started_at: manifest.started_at,
            snapshot_at: manifest.snapshot_at,
            completed_at,
            duration,
            phases,
            source: manifest.source,
            encryption: manifest.encryption,
            physical: content.physical,
            full_because: self.full_because.take(),
            bytes_in: manifest.bytes_in,
            bytes_stored: manifest.bytes_stored,
            objects: manifest.objects.len() + 1,
            stores: Vec::new(),
            swept: content.swept,
            warnings: std::mem::take(&mut self.warnings),
        })
    }
}
