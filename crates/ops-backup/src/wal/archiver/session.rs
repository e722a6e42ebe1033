//! One connection, from logging in to the end of its stream.

use std::sync::Arc;

use ops_core::ErrorKind as CoreKind;
use ops_pg_replication::{
    Failure, Lsn, Mode, ReplicationClient, StartReplication, StatusUpdate, SystemIdentity,
    Timeline, TimelineHistory, WalEvent, WalSegmentSize, WalStream,
};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::super::gap::{GapReason, GapRecord};
use super::super::objects::read_header;
use super::super::{OPERATION, WalArchive, WalFile, epoch};
use super::pack::{KnownPart, PackSettings, Packer, Work};
use super::resume::{ResumePoint, gaps_between, resume_point};
use super::slot::{self, SlotState, failure_of, replication};
use super::spool::{self, Spool};
use super::upload::{Durable, Upload, Uploader};
use super::{CommitMode, Engine};
use crate::error::{Error, ErrorKind, Result};

/// How many messages wait to be compressed. A message keeps a read buffer of 512 KiB alive.
const QUEUED_MESSAGES: usize = 8;
/// How many sealed objects wait for a place among the uploads.
const QUEUED_UPLOADS: usize = 1;

/// Why a stream ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was asked to.
    Shutdown,
    /// The timeline ended: the next one follows at once.
    TimelineEnded,
    /// The server stops.
    ServerStopped,
}

/// The two workers behind a stream. Dropped, it leaves what is not stored yet: the thread
/// ends for want of the uploader.
struct Pipeline {
    work: mpsc::Sender<Work>,
    packer: JoinHandle<Result<()>>,
    uploader: AbortOnDropHandle<Result<()>>,
    durable: watch::Receiver<Durable>,
    written: watch::Receiver<Lsn>,
}

impl Pipeline {
    /// Waits until everything that was received is stored.
    async fn drain(self) -> Result<()> {
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
    /// Connects and streams until something ends it.
    pub(super) async fn session(&mut self, stop: &CancellationToken) -> Result<End> {
        let database = Arc::clone(&self.inner.database);
        let mut client = slot::connect(&*database, &self.options, Mode::Physical).await?;
        let identity = client.identify_system().await.map_err(replication)?;
        let size = client.show("wal_segment_size").await.map_err(replication)?;
        let size = WalSegmentSize::from_setting(&size).map_err(replication)?;
        let archive = self.archive(&identity, size).await?;
        if stop.is_cancelled() {
            return Ok(End::Shutdown);
        }
        let mut sql = slot::connect_for_sql(&*database, &self.options).await?;
        if let Some(sql) = &mut sql {
            slot::preflight(sql, &self.options).await?;
        }
        let history = self
            .follow_history(&mut client, &archive, identity.timeline)
            .await?;
        self.refuse_old_timeline(&archive, &history).await?;
        self.archive_spool(&archive, &history).await?;
        let mut slot = slot::ensure(&mut client, sql.as_mut(), &self.options).await?;
        if self.skip.is_some() && !self.slot_is_ahead(&archive, &history, slot).await? {
            // It keeps WAL that the server says it has removed.
            client
                .drop_slot(&self.options.slot, true)
                .await
                .map_err(replication)?;
            slot = slot::ensure(&mut client, sql.as_mut(), &self.options).await?;
        }
        let point = self.point(&archive, &history, &identity, slot).await?;
        drop(sql);
        let start = point.position.segment_start(size);
        let start = StartReplication::new(start)
            .with_slot(self.options.slot.clone())
            .with_timeline(point.timeline);
        let stream = client.start_replication(start).await.map_err(replication);
        let outcome = match stream {
            Ok(stream) => self.stream(stream, &archive, &point, stop).await,
            Err(err) => Err(err),
        };
        if let Err(err) = &outcome {
            self.note_lost_wal(err, slot);
        }
        outcome
    }

    /// Remembers that the server has removed WAL, for the next session to skip it.
    fn note_lost_wal(&mut self, err: &Error, slot: SlotState) {
        let reason = match failure_of(err) {
            Some(Failure::WalRemoved) => slot.renewed.unwrap_or(GapReason::WalRemoved),
            Some(Failure::SlotLost) => GapReason::SlotLost,
            _ => return,
        };
        self.skip = Some(self.skip.unwrap_or(reason));
    }

    /// The archive of the cluster, which must be the same at each connection.
    async fn archive(
        &mut self,
        identity: &SystemIdentity,
        size: WalSegmentSize,
    ) -> Result<WalArchive> {
        if let Some(archive) = &self.archive {
            if archive.system_id() != identity.system_id {
                return Err(super::super::info::foreign(
                    archive.system_id(),
                    identity.system_id,
                ));
            }
            return Ok(archive.clone());
        }
        self.options.upload_budget(size)?;
        let (settings, repository) = (&self.inner.settings, &self.inner.repository);
        let archive = WalArchive::create(
            Arc::clone(&repository.store),
            repository.layout.prefix(),
            identity.system_id,
            size,
            &settings.encryption,
            settings.unlock.clone(),
            self.options.take_over,
            settings.clock.now(),
        )
        .await?;
        self.shared
            .update(|status| status.system_id = Some(identity.system_id));
        self.take_lease(&archive).await?;
        self.archive = Some(archive.clone());
        Ok(archive)
    }

    /// Stores the history of a timeline and of all before it that are not stored yet.
    async fn follow_history(
        &mut self,
        client: &mut ReplicationClient,
        archive: &WalArchive,
        timeline: Timeline,
    ) -> Result<TimelineHistory> {
        if timeline == Timeline::FIRST {
            return Ok(TimelineHistory::initial());
        }
        let history = client
            .timeline_history(timeline)
            .await
            .map_err(replication)?;
        self.refresh_epoch(archive).await?;
        for before in history.timelines() {
            if before == Timeline::FIRST || before == timeline {
                continue;
            }
            if archive.has_history(before).await? {
                continue;
            }
            match client.timeline_history(before).await {
                Ok(before) => drop(archive.put_history(&before, self.epoch.as_ref()).await?),
                // A server that was made from a base backup may lack those of its ancestors.
                Err(err) if err.kind() == CoreKind::NotFound => {
                    tracing::warn!(timeline = %before, "the server lacks the history of an older timeline");
                }
                Err(err) => return Err(replication(err)),
            }
        }
        archive.put_history(&history, self.epoch.as_ref()).await?;
        Ok(history)
    }

    /// A server on a timeline that the archive has seen the cluster leave is an old primary.
    async fn refuse_old_timeline(
        &self,
        archive: &WalArchive,
        history: &TimelineHistory,
    ) -> Result<()> {
        let ours = history.timeline();
        let mut left = archive.histories().await?.into_iter().filter_map(|other| {
            let at = other.switch_point(ours)?;
            Some((other.timeline(), at))
        });
        let Some((next, at)) = left.next() else {
            return Ok(());
        };
        let message = format!(
            "the server is on timeline {ours}, which the archive has seen the cluster leave for timeline {next} at {at}"
        );
        Err(Error::new(ErrorKind::SourceUnavailable, OPERATION, message)
            .with_hint("connect to the server that was promoted"))
    }

    /// Archives what a process that was killed had acknowledged as written.
    async fn archive_spool(
        &mut self,
        archive: &WalArchive,
        history: &TimelineHistory,
    ) -> Result<()> {
        let Some(folder) = self.options.spool.clone() else {
            return Ok(());
        };
        let size = archive.segment_size();
        let system_id = archive.system_id();
        for (name, path, bytes) in spool::leftovers(&folder, system_id, size)? {
            let Some(point) = resume_point(archive, history).await? else {
                break;
            };
            let end = name.start(size).saturating_add(bytes);
            let follows = name == point.segment(size) && end > point.position;
            if !follows {
                continue;
            }
            self.refresh_epoch(archive).await?;
            let file = if bytes == size.bytes() {
                WalFile::Segment(name)
            } else {
                WalFile::Partial(name)
            };
            archive.push(&file, &path, self.epoch.as_ref()).await?;
        }
        Ok(())
    }

    async fn slot_is_ahead(
        &self,
        archive: &WalArchive,
        history: &TimelineHistory,
        slot: SlotState,
    ) -> Result<bool> {
        let point = resume_point(archive, history).await?;
        Ok(match (point, slot.restart) {
            (Some(point), Some(restart)) => {
                restart.segment_start(archive.segment_size()) > point.position
            }
            _ => true,
        })
    }

    /// Where to stream from. Where WAL is lost for good, a gap is written down first.
    async fn point(
        &mut self,
        archive: &WalArchive,
        history: &TimelineHistory,
        identity: &SystemIdentity,
        slot: SlotState,
    ) -> Result<ResumePoint> {
        let size = archive.segment_size();
        let oldest = slot.restart.unwrap_or(identity.flushed);
        let from_slot = || ResumePoint {
            timeline: history
                .segment(oldest.segment_number(size), size)
                .timeline(),
            position: oldest.segment_start(size),
            newest_commit: None,
        };
        let Some(point) = resume_point(archive, history).await? else {
            self.skip = None;
            self.shared
                .update(|status| status.base_backup_needed = true);
            return Ok(from_slot());
        };
        let Some(reason) = self.skip.take() else {
            return Ok(point);
        };
        let now = self.inner.settings.clock.now();
        let next = from_slot();
        let gaps = gaps_between(history, point.position, next.position, reason, now);
        if gaps.is_empty() {
            return Ok(point);
        }
        for gap in gaps {
            self.record_gap(archive, gap).await?;
        }
        Ok(ResumePoint {
            newest_commit: point.newest_commit,
            ..next
        })
    }

    async fn record_gap(&self, archive: &WalArchive, gap: GapRecord) -> Result<()> {
        gap.store(&**archive.store(), archive.layout()).await?;
        tracing::error!(
            timeline = %gap.timeline, from = %gap.from, to = %gap.to, reason = ?gap.reason,
            "WAL is lost: what follows needs a new base backup"
        );
        self.shared.update(|status| {
            status.gaps.push(gap.clone());
            status.base_backup_needed = true;
        });
        if let Some(hook) = &self.options.on_gap {
            hook(&gap);
        }
        Ok(())
    }

    async fn stream(
        &mut self,
        mut stream: WalStream,
        archive: &WalArchive,
        point: &ResumePoint,
        stop: &CancellationToken,
    ) -> Result<End> {
        self.refresh_epoch(archive).await?;
        let mut pipeline = self.pipeline(archive, point).await?;
        self.shared
            .begin_stream(point.timeline, point.position, point.newest_commit);
        self.has_streamed = true;
        let ended = self.receive(&mut stream, &mut pipeline, stop).await;
        // What was received is stored whatever ended the stream, and reported where the
        // server still listens.
        let mut durable = pipeline.durable.clone();
        let reporter = stream.reporter();
        let drain = pipeline.drain();
        let drained = if matches!(ended, Ok(End::Shutdown)) {
            match tokio::time::timeout(self.options.upload_timeout, drain).await {
                Ok(drained) => drained,
                Err(_) => Ok(()),
            }
        } else {
            drain.await
        };
        let end = durable.borrow_and_update().end.min(stream.position());
        if end > point.position {
            // A server that is gone needs no report.
            let _ = reporter.report(StatusUpdate {
                write: end,
                flush: end,
            });
        }
        if matches!(ended, Ok(End::Shutdown | End::TimelineEnded)) {
            let stopped = tokio::time::timeout(super::STOP_TIMEOUT, stream.stop()).await;
            if let Ok(Ok(client)) = stopped {
                client.close().await;
            }
        }
        match (drained, ended) {
            // That nobody takes WAL any more is a consequence.
            (Err(err), _) => Err(err),
            (Ok(()), ended) => ended,
        }
    }

    async fn pipeline(&self, archive: &WalArchive, point: &ResumePoint) -> Result<Pipeline> {
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
        let (work, orders) = mpsc::channel(QUEUED_MESSAGES);
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

    /// Hands what comes to the packer, and tells the server what is durable.
    async fn receive(
        &self,
        stream: &mut WalStream,
        pipeline: &mut Pipeline,
        stop: &CancellationToken,
    ) -> Result<End> {
        let mut seal = tokio::time::interval_at(
            Instant::now() + self.options.part_interval,
            self.options.part_interval,
        );
        seal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let has_spool = self.options.commits == CommitMode::Synchronous;
        let begin = pipeline.durable.borrow_and_update().end;
        let mut spooled = begin;
        loop {
            let ready = async {
                // A place first: what was taken from the stream must not be dropped.
                let place = pipeline.work.reserve().await.map_err(|_| worker_gone())?;
                let event = stream.next().await.map_err(replication)?;
                Ok::<_, Error>((place, event))
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(End::Shutdown),
                changed = pipeline.durable.changed() => changed.map_err(|_| worker_gone())?,
                changed = pipeline.written.changed(), if has_spool => changed.map_err(|_| worker_gone())?,
                _ = seal.tick() => {
                    // Where the packer is behind, it has more urgent things to do.
                    let _ = pipeline.work.try_send(Work::Seal);
                }
                event = ready => {
                    let (place, event) = event?;
                    match event {
                        WalEvent::Wal { start, server_end, data, .. } => {
                            let end = start.saturating_add(data.len() as u64);
                            place.send(Work::Wal(data));
                            self.shared.received(end, server_end);
                        }
                        WalEvent::Keepalive { server_end, .. } => self.shared.server_end(server_end),
                        WalEvent::TimelineEnded(_) => return Ok(End::TimelineEnded),
                        WalEvent::ServerStopped => return Ok(End::ServerStopped),
                        _ => {}
                    }
                    if has_spool { continue; }
                }
            }
            let (durable, written) = (*pipeline.durable.borrow(), *pipeline.written.borrow());
            self.report(stream, begin, durable.end, written)?;
            if has_spool && durable.end > spooled {
                spooled = durable.end;
                self.tidy_spool(durable);
            }
        }
    }

    fn report(&self, stream: &WalStream, begin: Lsn, durable: Lsn, written: Lsn) -> Result<()> {
        let position = stream.position();
        let flush = if durable > begin {
            durable.min(position)
        } else {
            Lsn::INVALID
        };
        let write = if self.options.commits == CommitMode::Synchronous {
            written.max(flush).min(position)
        } else {
            position
        };
        stream
            .report(StatusUpdate { write, flush })
            .map_err(replication)
    }

    fn tidy_spool(&self, durable: Durable) {
        if let (Some(folder), Some(archive)) = (&self.options.spool, &self.archive) {
            let (system_id, size) = (archive.system_id(), archive.segment_size());
            spool::remove_before(folder, system_id, size, durable.timeline, durable.end);
        }
    }

    /// Sees to it that there is an epoch to encrypt to, and that it is not an old one.
    async fn refresh_epoch(&mut self, archive: &WalArchive) -> Result<()> {
        let is_fresh = self
            .epoch_since
            .is_some_and(|since| since.elapsed() < epoch::MAX_AGE);
        if is_fresh {
            return Ok(());
        }
        let settings = &self.inner.settings;
        let (store, layout) = (&**archive.store(), archive.layout());
        let encryption = &settings.encryption;
        self.epoch = match &self.options.spool {
            Some(spool) => {
                let now = settings.clock.now();
                epoch::resume(store, layout, archive.system_id(), encryption, spool, now).await?
            }
            None => epoch::begin(store, layout, encryption).await?,
        };
        self.epoch_since = Some(Instant::now());
        Ok(())
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

#[cold]
fn worker_gone() -> Error {
    Error::new(
        ErrorKind::SourceLost,
        OPERATION,
        "a worker of the archiver has ended",
    )
}
