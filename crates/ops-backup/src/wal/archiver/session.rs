//! One connection, from logging in to the end of its stream.

use std::sync::Arc;

use ops_pg_replication::{
    Failure, Lsn, Mode, StartReplication, StatusUpdate, WalEvent, WalSegmentSize, WalStream,
};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::super::gap::GapReason;
use super::super::{OPERATION, WalArchive};
use super::pace::{Pace, gather};
use super::pack::Work;
use super::pipeline::Pipeline;
use super::resume::ResumePoint;
use super::slot::{self, SlotState, failure_of, replication};
use super::upload::Durable;
use super::{CommitMode, Engine, spool};
use crate::error::{Error, ErrorKind, Result};

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

impl Engine {
    /// Connects and streams until something ends it.
    pub(super) async fn session(&mut self, stop: &CancellationToken) -> Result<End> {
        let database = Arc::clone(&self.inner.replication);
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
        let mut rests = Pace::new(&self.options);
        let begin = pipeline.durable.borrow_and_update().end;
        let mut spooled = begin;
        loop {
            let ready = async {
                rests.rest().await;
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
                    let gathered = gather(stream, event);
                    rests.taken(&gathered);
                    if let Some((end, server_end)) = gathered.reached {
                        place.send(Work::Wal(gathered.wal));
                        self.shared.received(end, server_end);
                    }
                    if let Some(end) = self.other(gathered.then, pipeline)? {
                        return Ok(end);
                    }
                    // The server is told what is written or durable, not what has come: it would
                    // be woken for each message.
                    continue;
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

    /// Deals with what is not WAL; tells where the stream is over.
    fn other(
        &self,
        event: Option<ops_core::Result<WalEvent>>,
        pipeline: &Pipeline,
    ) -> Result<Option<End>> {
        let Some(event) = event else {
            return Ok(None);
        };
        match event.map_err(replication)? {
            WalEvent::Keepalive {
                server_end,
                wants_reply,
                ..
            } => {
                self.shared.server_end(server_end);
                // A server that shuts down waits until everything is durable.
                if wants_reply {
                    let _ = pipeline.work.try_send(Work::Seal);
                }
                Ok(None)
            }
            WalEvent::TimelineEnded(_) => Ok(Some(End::TimelineEnded)),
            WalEvent::ServerStopped => Ok(Some(End::ServerStopped)),
            _ => Ok(None),
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
}

#[cold]
fn worker_gone() -> Error {
    Error::new(
        ErrorKind::SourceLost,
        OPERATION,
        "a worker of the archiver has ended",
    )
}
