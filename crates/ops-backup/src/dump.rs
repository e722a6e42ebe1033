//! Taking a logical backup.

mod globals;
mod source;
mod stream;

use std::sync::Arc;

use ops_core::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::backup::{Inner, SourceCheck};
use crate::client::Clients;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::fingerprint::Fingerprint;
use crate::keys::BackupIdentity;
use crate::pipeline::seal_small;
use crate::report::{BackupReport, Stopwatch};
use crate::repository::{
    BackupId, CompressionInfo, DUMP, FORMAT, Lease, Manifest, ManifestObject, ObjectRole,
    Repository, SweepReport,
};
use source::Source;

/// Runs one backup, cleaning up where it fails or is canceled.
pub(crate) async fn run(
    inner: Arc<Inner>,
    events: Events,
    cancel: CancellationToken,
) -> Result<BackupReport> {
    let mut watch = Stopwatch::start();
    watch.phase(Phase::Preflight);
    events.phase(Phase::Preflight);
    let started_at = inner.settings.clock.now();
    let source = Source::connect(&inner).await?;
    let clients = Clients::find(&inner.settings.finder, source.info.server_major, "dump").await?;
    let identity = BackupIdentity::generate();
    let id = BackupId::generate(started_at, identity.public_text().as_bytes());
    let repository = &inner.repository;
    let lease_key = repository.layout.lease(&id)?;
    let mut lease = Lease::acquire(Arc::clone(&repository.store), lease_key).await?;

    let mut run = Run {
        inner: &inner,
        events,
        id: id.clone(),
        identity,
        clients,
        watch,
        started_at,
    };
    let canceled = || Error::new(ErrorKind::Canceled, "dump", "the job was canceled");
    let result = tokio::select! {
        result = run.take(source, lease.renewed_at()) => result,
        fenced = lease.keep() => Err(fenced),
        () = cancel.cancelled() => Err(canceled()),
    };
    let mut manifest_was_sent = false;
    let result = match result {
        Ok(stored) => run.commit(stored, &mut lease, &mut manifest_was_sent).await,
        Err(err) => Err(err),
    };
    match result {
        Ok(report) => {
            lease.release().await;
            Ok(report)
        }
        Err(err) => Err(clean_up(&inner, &id, manifest_was_sent, err).await),
    }
}

/// Removes uncommitted backups that were abandoned, in every store.
pub(crate) async fn sweep(inner: &Inner) -> Result<SweepReport> {
    let mut report = sweep_one(inner, &inner.repository).await?;
    if let Some(second) = &inner.second {
        let other = sweep_one(inner, second).await?;
        report.removed.extend(other.removed);
        report.objects += other.objects;
        report.bytes += other.bytes;
        report.in_progress.extend(other.in_progress);
    }
    Ok(report)
}

async fn sweep_one(inner: &Inner, repository: &Repository) -> Result<SweepReport> {
    // A lease of its own gives the store's time.
    let id = BackupId::generate(
        inner.settings.clock.now(),
        BackupIdentity::generate().public_text().as_bytes(),
    );
    let lease =
        Lease::acquire(Arc::clone(&repository.store), repository.layout.lease(&id)?).await?;
    let report = repository
        .sweep(lease.renewed_at(), inner.settings.sweep_grace, Some(&id))
        .await;
    lease.release().await;
    report
}

/// Removes what a failed job stored, and says in the error how that went.
async fn clean_up(inner: &Inner, id: &BackupId, manifest_was_sent: bool, err: Error) -> Error {
    match inner.repository.discard(id, manifest_was_sent).await {
        Ok(()) => err.with_left_behind("nothing was committed and nothing is left in the store"),
        Err(_) => err.with_left_behind(format!(
            "objects under {} may be left; the next sweep removes them, unless the catalogue \
             lists the backup",
            inner.repository.layout.folder(id)
        )),
    }
}

/// One backup while it is being made.
struct Run<'a> {
    inner: &'a Inner,
    events: Events,
    id: BackupId,
    identity: BackupIdentity,
    clients: Clients,
    watch: Stopwatch,
    started_at: Timestamp,
}

/// Everything but the manifest.
struct Stored {
    source: crate::repository::SourceInfo,
    snapshot_at: Timestamp,
    fingerprint: Fingerprint,
    objects: Vec<ManifestObject>,
    bytes_in: u64,
    swept: SweepReport,
    warnings: Vec<String>,
}

impl Run<'_> {
    fn phase(&mut self, phase: Phase) {
        self.watch.phase(phase);
        self.events.phase(phase);
    }

    /// The backup's identity, where its objects are encrypted.
    fn object_identity(&self) -> Option<&BackupIdentity> {
        (!self.inner.settings.encryption.is_none()).then_some(&self.identity)
    }

    async fn take(&mut self, source: Source, store_now: Timestamp) -> Result<Stored> {
        let settings = &self.inner.settings;
        let mut warnings = Vec::new();
        if settings.encryption.is_none() {
            self.events.warn(
                &mut warnings,
                "the backup is NOT ENCRYPTED: whoever can read the store can read the database",
            );
        }
        if let Some(newer) = self.clients.newer_than_the_server() {
            self.events.warn(&mut warnings, newer);
        }
        self.phase(Phase::Sweep);
        let grace = settings.sweep_grace;
        let swept = self
            .inner
            .repository
            .sweep(store_now, grace, Some(&self.id))
            .await?;

        self.phase(Phase::Dump);
        let snapshot = source.export_snapshot().await?;
        let snapshot_at = settings.clock.now();
        let counted = if settings.selection.is_everything() {
            Some(source.count_objects().await?)
        } else {
            None
        };
        let mut objects = self.store_identity().await?;
        let streamed = stream::run(self, &source, &snapshot).await?;
        objects.extend(streamed.objects);
        let extension_tables = source.extension_tables().await?;
        let fingerprint = Fingerprint::new(&streamed.archive, counted, &extension_tables);

        if settings.source_check == SourceCheck::Full {
            self.phase(Phase::Compare);
            source.compare(&fingerprint).await?;
        }
        let (info, connect_info) = source.close();

        self.phase(Phase::Globals);
        let globals = globals::read(self, &connect_info, &mut warnings).await?;
        objects.push(self.store_small(ObjectRole::Globals, &globals).await?);
        let json = serde_json::to_vec(&fingerprint).map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                "dump",
                "the fingerprint cannot be written",
            )
            .with_source(source)
        })?;
        objects.push(self.store_small(ObjectRole::Fingerprint, &json).await?);
        let source = crate::repository::SourceInfo {
            client_version: self.clients.version(),
            ..info
        };
        let bytes_in = streamed.bytes_in;
        Ok(Stored {
            source,
            snapshot_at,
            fingerprint,
            objects,
            bytes_in,
            swept,
            warnings,
        })
    }

    async fn store_identity(&self) -> Result<Vec<ManifestObject>> {
        let Some(wrapped) = self.wrap_identity().await? else {
            return Ok(Vec::new());
        };
        let key = self
            .inner
            .repository
            .layout
            .object(&self.id, ObjectRole::Identity, 0, true)?;
        self.put(ObjectRole::Identity, key, wrapped)
            .await
            .map(|object| vec![object])
    }

    async fn wrap_identity(&self) -> Result<Option<Vec<u8>>> {
        let (encryption, identity) = (
            self.inner.settings.encryption.clone(),
            self.identity.clone(),
        );
        // scrypt takes about a second by design.
        tokio::task::spawn_blocking(move || encryption.wrap(&identity))
            .await
            .map_err(|source| {
                Error::new(ErrorKind::Internal, "dump", "encryption ended early")
                    .with_source(source)
            })?
    }

    async fn store_small(&self, role: ObjectRole, content: &[u8]) -> Result<ManifestObject> {
        let identity = self.object_identity();
        let sealed = seal_small(content, self.inner.settings.level, identity)?;
        let layout = &self.inner.repository.layout;
        let key = layout.object(&self.id, role, 0, identity.is_some())?;
        self.put(role, key, sealed).await
    }

    async fn put(
        &self,
        role: ObjectRole,
        key: ops_core::ObjectKey,
        content: Vec<u8>,
    ) -> Result<ManifestObject> {
        let object = ManifestObject::new(role, key, content.len() as u64, blake3::hash(&content));
        self.events.counters.add_stored(object.size_bytes);
        self.inner
            .repository
            .create("dump", &object.key, content)
            .await?;
        Ok(object)
    }

    /// Makes the backup visible: the one write that matters.
    async fn commit(
        mut self,
        stored: Stored,
        lease: &mut Lease,
        manifest_was_sent: &mut bool,
    ) -> Result<BackupReport> {
        self.phase(Phase::Commit);
        let settings = &self.inner.settings;
        let completed_at = settings.clock.now();
        let bytes_stored = stored.objects.iter().map(|object| object.size_bytes).sum();
        let manifest = Manifest {
            format: FORMAT,
            id: self.id.clone(),
            kind: DUMP.to_owned(),
            started_at: self.started_at,
            snapshot_at: stored.snapshot_at,
            completed_at,
            source: stored.source,
            encryption: settings.encryption.describe(),
            compression: CompressionInfo {
                codec: "zstd".to_owned(),
                level: settings.level,
                frame_bytes: settings.frame_bytes as u64,
            },
            selection: settings.selection.arguments(),
            bytes_in: stored.bytes_in,
            bytes_stored,
            physical: None,
            objects: stored.objects,
        };
        let bytes = manifest.to_bytes(self.object_identity())?;
        // Whoever took the lease over has begun to remove objects.
        lease.renew().await?;
        let key = self.inner.repository.layout.manifest(&self.id)?;
        *manifest_was_sent = true;
        let repository = &self.inner.repository;
        repository.commit(&key, bytes).await?;
        let (duration, phases) = self.watch.finish();
        let fingerprint = stored.fingerprint;
        Ok(BackupReport {
            id: manifest.id,
            started_at: manifest.started_at,
            snapshot_at: manifest.snapshot_at,
            completed_at,
            duration,
            phases,
            source: manifest.source,
            encryption: manifest.encryption,
            bytes_in: manifest.bytes_in,
            bytes_stored,
            objects: manifest.objects.len() + 1,
            tables: fingerprint.tables.len(),
            rows: fingerprint.rows(),
            sequences: fingerprint.sequences.len(),
            large_objects: fingerprint.large_objects.rows,
            swept: stored.swept,
            warnings: stored.warnings,
        })
    }
}
