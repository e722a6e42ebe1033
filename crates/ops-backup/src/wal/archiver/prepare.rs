//! What is settled before a stream begins: which archive, which history, from where.

use std::sync::Arc;

use ops_core::ErrorKind as CoreKind;
use ops_pg_replication::{
    ReplicationClient, SystemIdentity, Timeline, TimelineHistory, WalSegmentSize,
};
use tokio::time::Instant;

use super::super::gap::GapRecord;
use super::super::info::foreign;
use super::super::{OPERATION, WalArchive, WalFile, epoch};
use super::Engine;
use super::resume::{ResumePoint, gaps_between, resume_point};
use super::slot::{SlotState, replication};
use super::spool;
use crate::error::{Error, ErrorKind, Result};

impl Engine {
    /// The archive of the cluster, which must be the same at each connection.
    pub(super) async fn archive(
        &mut self,
        identity: &SystemIdentity,
        size: WalSegmentSize,
    ) -> Result<WalArchive> {
        if let Some(archive) = &self.archive {
            if archive.system_id() != identity.system_id {
                return Err(foreign(archive.system_id(), identity.system_id));
            }
            return Ok(archive.clone());
        }
        self.options.upload_budget(size)?;
        let (settings, repository) = (&self.inner.settings, &self.repository);
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
    pub(super) async fn follow_history(
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
    pub(super) async fn refuse_old_timeline(
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
    pub(super) async fn archive_spool(
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

    pub(super) async fn slot_is_ahead(
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
    pub(super) async fn point(
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
        let Some(reason) = self.skip else {
            return Ok(point);
        };
        let now = self.inner.settings.clock.now();
        let next = from_slot();
        let gaps = gaps_between(history, point.position, next.position, reason, now);
        if gaps.is_empty() {
            self.skip = None;
            return Ok(point);
        }
        for gap in gaps {
            self.record_gap(archive, gap).await?;
        }
        // Not before: a gap that could not be written down is one with that reason next time.
        self.skip = None;
        Ok(ResumePoint {
            newest_commit: point.newest_commit,
            ..next
        })
    }

    pub(super) async fn record_gap(&self, archive: &WalArchive, gap: GapRecord) -> Result<()> {
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

    /// Sees to it that there is an epoch to encrypt to, and that it is not an old one.
    pub(super) async fn refresh_epoch(&mut self, archive: &WalArchive) -> Result<()> {
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
