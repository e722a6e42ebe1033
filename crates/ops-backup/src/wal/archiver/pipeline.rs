//! The workers behind a stream.

use std::sync::Arc;

use ops_pg_replication::Lsn;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::super::objects::read_header;
use super::super::{OPERATION, WalArchive};
use super::pack::{KnownPart, PackSettings, Packer, Work};
use super::resume::ResumePoint;
use super::spool::Spool;
use super::upload::{Durable, Upload, Uploader};
use super::{CommitMode, Engine};
use crate::error::{Error, ErrorKind, Result};

/// How many batches wait to be compressed. A message keeps a read buffer of 512 KiB alive,
/// most of which is WAL of the batch, or of those next to it.
const QUEUED_BATCHES: usize = 6;
/// How many sealed objects wait for a place among the uploads.
const QUEUED_UPLOADS: usize = 1;

/// The two workers behind a stream. Dropped, it leaves what is not stored yet: the thread
/// ends for want of the uploader.
pub(super) struct Pipeline {
    pub(super) work: mpsc::Sender<Work>,
    pub(super) packer: JoinHandle<Result<()>>,
    pub(super) uploader: AbortOnDropHandle<Result<()>>,
    pub(super) durable: watch::Receiver<Durable>,
    pub(super) written: watch::Receiver<Lsn>,
}

impl Pipeline {
    /// Waits until everything that was received is stored.
    pub(super) async fn drain(self) -> Result<()> {
        let Self {
            work,
            packer,
            uploader,
            ..
        } = self;
        drop(work);
        let ended = |source| {
            Error::new(
                ErrorKind::Internal,
                OPERATION,
                "a worker of the archiver ended early",
            )
            .with_source(source)
        };
        // The uploader's reason comes first: the packer fails for want of it.
        let (packed, uploaded) = tokio::join!(packer, uploader);
        uploaded.map_err(ended)??;
        packed.map_err(ended)?
    }
}

impl Engine {
    /// Starts the workers.
    pub(super) async fn pipeline(
        &self,
        archive: &WalArchive,
        point: &ResumePoint,
    ) -> Result<Pipeline> {
        let size = archive.segment_size();
        let name = point.segment(size);
        let known = known_parts(archive, point).await?;
        let begin = Durable {
            timeline: point.timeline,
            end: point.position,
            commit: point.newest_commit,
        };
        let is_synchronous = self.options.commits == CommitMode::Synchronous;
        let spool = match self.options.spool.as_deref().filter(|_| is_synchronous) {
            Some(folder) => Some(Spool::open(
                folder,
                archive.system_id(),
                point.timeline,
                size,
            )?),
            None => None,
        };
        let (work, orders) = mpsc::channel(QUEUED_BATCHES);
        let (uploads, uploading) = mpsc::channel::<Upload>(QUEUED_UPLOADS);
        let (durable_sender, durable) = watch::channel(begin);
        let (written_sender, written) = watch::channel(Lsn::INVALID);
        let budget = self.options.upload_budget(size)?;
        let settings = PackSettings {
            archive: archive.clone(),
            epoch: self.epoch.clone(),
            level: self.inner.settings.level,
            part_bytes: self.options.part_bytes,
            at_once: is_synchronous,
            spool,
            written: written_sender,
            uploads,
            budget: Arc::new(Semaphore::new(budget as usize)),
            shared: Arc::clone(&self.shared),
            runtime: Handle::current(),
        };
        let packer = Packer::new(settings, name, known, point.newest_commit)?;
        let uploader = Uploader {
            archive: archive.clone(),
            options: Arc::clone(&self.options),
            shared: Arc::clone(&self.shared),
            clock: Arc::clone(&self.inner.settings.clock),
            durable: durable_sender,
            last_hint: None,
            unwritten: None,
        };
        Ok(Pipeline {
            work,
            packer: tokio::task::spawn_blocking(move || packer.run(orders)),
            uploader: AbortOnDropHandle::new(tokio::spawn(uploader.run(uploading))),
            durable,
            written,
        })
    }
}

/// The parts of the segment to go on with, up to where to go on.
async fn known_parts(archive: &WalArchive, point: &ResumePoint) -> Result<Vec<KnownPart>> {
    let size = archive.segment_size();
    let name = point.segment(size);
    let mut known = Vec::new();
    for (from, to) in archive.parts(name).await? {
        let key = archive.layout().part(name, size, from, to)?;
        let Some(header) = read_header(&**archive.store(), &key).await? else {
            break;
        };
        known.push(KnownPart {
            to,
            blake3: header.blake3,
            key,
        });
    }
    Ok(known)
}
