//! What an incremental backup builds upon.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use ops_core::Timestamp;
use ops_pg_replication::{Failure, ReplicationClient, SystemId, Timeline, TimelineHistory};
use tokio::sync::mpsc;

use super::source::{Moment, ServerInfo, failed};
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::{PhysicalInfo, PhysicalKind};
use crate::physical::report::FullReason;
use crate::pipeline::open_object;
use crate::repository::{BackupId, CatalogueEntry, Manifest, ObjectRole, OpenBackup, Repository};
use crate::wal::chain_of;

const OPERATION: &str = "base_backup";
/// How much of a manifest is sent at once.
const PIECE: usize = 64 << 10;

/// The backup that an incremental one builds upon.
#[derive(Debug)]
pub(super) struct Parent {
    repository: Repository,
    backup: OpenBackup,
    pub(super) kind: PhysicalKind,
}

/// Whether servers of a version take incremental backups that can be relied upon.
pub(super) fn old_enough(version_num: u32) -> bool {
    match version_num {
        170_000..180_000 => version_num >= 170_011,
        _ => version_num >= 180_006,
    }
}

/// Looks for the backup to build upon: the newest of the cluster, by position, that is whole,
/// not degraded, and on the line of timelines that the server is on.
pub(super) async fn find(
    inner: &Inner,
    client: &mut ReplicationClient,
    server: &ServerInfo,
    repositories: &[Repository],
    now: Timestamp,
) -> Result<Result<Parent, FullReason>> {
    if !old_enough(server.version_num) {
        let server_version_num = server.version_num;
        return Ok(Err(FullReason::ServerTooOld { server_version_num }));
    }
    if !server.summarizes_wal {
        return Ok(Err(FullReason::SummariesOff));
    }
    let Some((first, others)) = repositories.split_first() else {
        return Ok(Err(FullReason::NoParent));
    };
    let entries = first.catalogue().await?;
    let line = Line::of(client, server).await?;
    let Some((newest, full)) = line.newest(&entries) else {
        return Ok(Err(FullReason::NoParent));
    };
    if is_due(full, now, inner.settings.physical.full_every) {
        return Ok(Err(FullReason::Due));
    }
    for other in others {
        let there = other.catalogue().await?;
        let same = |entry: &CatalogueEntry| entry.manifest_blake3 == newest.manifest_blake3;
        if !there.iter().any(same) {
            return Ok(Err(FullReason::ParentNotEverywhere));
        }
    }
    let kind = PhysicalKind::Incremental {
        parent: newest.manifest.id.clone(),
        full: full.id.clone(),
    };
    let unlock = &inner.settings.unlock;
    match first.open(OPERATION, &newest.manifest.id, unlock).await {
        Ok(backup) => Ok(Ok(Parent {
            repository: first.clone(),
            backup,
            kind,
        })),
        Err(err) if err.kind() == ErrorKind::WrongKey => Ok(Err(FullReason::ParentLocked)),
        Err(err) => unreadable(err).map(Err),
    }
}

/// Whether the next backup has to be full. A full backup of the future tells that the clock
/// was set back, and not how old it is.
fn is_due(full: &Manifest, now: Timestamp, full_every: Duration) -> bool {
    full.started_at > now || now.saturating_since(full.started_at) >= full_every
}

/// The line of timelines that a server is on.
struct Line {
    system_id: SystemId,
    timeline: Timeline,
    /// `None` where the server lacks it: only its own timeline is known to be on the line.
    history: Option<TimelineHistory>,
}

impl Line {
    async fn of(client: &mut ReplicationClient, server: &ServerInfo) -> Result<Self> {
        let timeline = server.identity.timeline;
        let history = match client.timeline_history(timeline).await {
            Ok(history) => Some(history),
            Err(err) if Failure::of(&err) == Some(Failure::HistoryMissing) => None,
            Err(err) => return Err(failed(err, Moment::Asking)),
        };
        Ok(Self {
            system_id: server.identity.system_id,
            timeline,
            history,
        })
    }

    /// Whether the server has come from where a backup ended.
    fn holds(&self, info: &PhysicalInfo) -> bool {
        info.system_id == self.system_id
            && match &self.history {
                Some(history) => history.continues(info.end_timeline, info.end_lsn),
                None => info.end_timeline == self.timeline,
            }
    }

    /// The newest backup that can be built upon, and the full one at the bottom of its chain.
    ///
    /// Positions only grow along a line, whatever a clock says. What an incremental backup
    /// holds begins where its parent did.
    fn newest<'a>(
        &self,
        entries: &'a [CatalogueEntry],
    ) -> Option<(&'a CatalogueEntry, &'a Manifest)> {
        let known = entries.iter().map(|it| (&it.manifest.id, &it.manifest));
        let known: BTreeMap<&BackupId, &Manifest> = known.collect();
        let candidates = entries.iter().filter_map(|entry| {
            let info = entry.manifest.physical.as_ref()?;
            if info.degraded || !self.holds(info) {
                return None;
            }
            let full = chain_of(&entry.manifest, &known)?.pop()?;
            Some(((info.start_lsn, info.end_lsn), (entry, full)))
        });
        let newest = candidates.max_by_key(|(position, _)| *position);
        newest.map(|(_, chosen)| chosen)
    }
}

/// What is damaged is no reason to take no backup.
fn unreadable(err: Error) -> Result<FullReason> {
    if matches!(err.kind(), ErrorKind::Integrity | ErrorKind::NotFound) {
        let message = ops_core::Report(&err).to_string();
        Ok(FullReason::ParentUnreadable { message })
    } else {
        Err(err)
    }
}

/// What came of sending the parent's manifest to the server.
pub(super) enum Uploaded {
    Done,
    /// The server will not have it.
    Refused(ops_core::Error),
    /// It cannot be read.
    Unreadable(FullReason),
}

/// Sends the server's manifest of the parent back to it.
pub(super) async fn upload(parent: &Parent, client: &mut ReplicationClient) -> Result<Uploaded> {
    let objects = &parent.backup.manifest;
    let Some(object) = objects.objects_of(ObjectRole::BackupManifest).next() else {
        let message = "the parent's manifest names no manifest of the server".to_owned();
        return Ok(Uploaded::Unreadable(FullReason::ParentUnreadable {
            message,
        }));
    };
    let store = Arc::clone(&parent.repository.store);
    let identity = parent.backup.identity.clone();
    let (open, fetch) = open_object(OPERATION, store, object, identity, Arc::default());
    let (sender, receiver) = mpsc::channel::<ops_core::Result<Bytes>>(4);
    let reading = tokio::task::spawn_blocking(move || {
        let broken = |err: std::io::Error| {
            ops_core::Error::new(
                ops_core::ErrorKind::Integrity,
                "the manifest cannot be read",
            )
            .with_source(err)
        };
        let mut reader = open().map_err(broken)?;
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece);
            if read.map_err(broken)? == 0 {
                return Ok(());
            }
            if sender.blocking_send(Ok(piece.into())).is_err() {
                return Ok(());
            }
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let pieces = Box::pin(pieces);
    let (fetched, read, uploaded) = tokio::join!(fetch, reading, client.upload_manifest(pieces));
    let read: ops_core::Result<()> = read.map_err(|source| {
        Error::new(ErrorKind::Internal, OPERATION, "a thread ended early").with_source(source)
    })?;
    match (fetched, read, uploaded) {
        // A server that gives up makes everything before it give up.
        (Err(err), _, uploaded) if err.kind() != ErrorKind::Canceled || uploaded.is_ok() => {
            unreadable(err).map(Uploaded::Unreadable)
        }
        (_, Err(err), _) => Ok(Uploaded::Unreadable(FullReason::ParentUnreadable {
            message: ops_core::Report(&err).to_string(),
        })),
        (_, _, Err(err)) => Ok(Uploaded::Refused(err)),
        (_, Ok(()), Ok(())) => Ok(Uploaded::Done),
    }
}

#[cfg(test)]
mod tests;
