//! What an incremental backup builds upon.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use ops_core::Timestamp;
use ops_pg_replication::ReplicationClient;
use tokio::sync::mpsc;

use super::source::ServerInfo;
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::PhysicalKind;
use crate::physical::report::FullReason;
use crate::pipeline::open_object;
use crate::repository::{BackupId, CatalogueEntry, ObjectRole, OpenBackup, Repository};

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

/// Looks for the backup to build upon: the newest of the cluster that is not degraded.
pub(super) async fn find(
    inner: &Inner,
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
    let entries: BTreeMap<&BackupId, &CatalogueEntry> = entries
        .iter()
        .map(|entry| (&entry.manifest.id, entry))
        .collect();
    let fits = |entry: &&&CatalogueEntry| {
        let physical = entry.manifest.physical.as_ref();
        physical.is_some_and(|it| it.system_id == server.identity.system_id && !it.degraded)
    };
    // Ids tell seconds apart, and no less.
    let newest = entries.values().filter(fits);
    let newest = newest.max_by_key(|entry| entry.manifest.started_at);
    let Some(newest) = newest else {
        return Ok(Err(FullReason::NoParent));
    };
    let Some(full) = full_of(&entries, newest) else {
        return Ok(Err(FullReason::NoParent));
    };
    if now.saturating_since(full.manifest.started_at) >= inner.settings.physical.full_every {
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
        full: full.manifest.id.clone(),
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

/// The full backup at the bottom of a chain that is whole.
fn full_of<'a>(
    entries: &BTreeMap<&BackupId, &'a CatalogueEntry>,
    newest: &'a CatalogueEntry,
) -> Option<&'a CatalogueEntry> {
    let mut entry = newest;
    // A parent is older than its child, so that this comes to an end.
    while let Some(parent) = entry.manifest.physical.as_ref()?.kind.parent() {
        let parent = entries.get(parent)?;
        if parent.manifest.started_at >= entry.manifest.started_at {
            return None;
        }
        entry = parent;
    }
    Some(entry)
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
