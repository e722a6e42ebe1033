//! One base backup on its way from the server into the stores.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ops_pg_replication::{BackupEnd, BackupEvent, BaseBackup, Notice};
use tokio::sync::mpsc;

use super::OPERATION;
use super::cutter::{Outlet, Tag};
use super::pack::{PackSettings, Packed, Packer};
use super::receive::{Received, Receiver};
use super::source::{Moment, ServerInfo, failed};
use super::tally::Tally;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Counters;
use crate::physical::format::PageChecks;
use crate::physical::pages::PAGE;
use crate::pipeline::{Block, CompressorSettings, Compressors};

/// How many of the server's notices are kept.
const NOTICES: usize = 100;

/// How to take a backup's bytes.
pub(super) struct StreamSettings {
    pub(super) pack: PackSettings,
    pub(super) workers: usize,
    pub(super) buffers: usize,
    pub(super) frame_bytes: usize,
    pub(super) counters: Arc<Counters>,
}

/// A backup that has come whole, and is stored save for its manifest.
pub(super) struct Streamed {
    pub(super) received: Received,
    pub(super) packed: Packed,
    pub(super) pages: PageChecks,
    pub(super) end: BackupEnd,
    /// What the server had to say.
    pub(super) notices: Vec<Notice>,
}

/// Takes a backup that has begun.
pub(super) async fn run(
    settings: StreamSettings,
    server: &ServerInfo,
    backup: BaseBackup,
) -> Result<Streamed> {
    let StreamSettings {
        pack,
        workers,
        buffers,
        frame_bytes,
        counters,
    } = settings;
    // Pages must not be split by frames.
    let frame_bytes = (frame_bytes / PAGE).max(1) * PAGE;
    let (give, buffers_back) = mpsc::channel(buffers);
    for _ in 0..buffers {
        // There is room for all of them.
        let _ = give.try_send(Vec::new());
    }
    let tally = Arc::new(Tally::new(backup.start().lsn.as_u64()));
    let compression = CompressorSettings {
        level: pack.level,
        workers,
        depth: buffers,
    };
    let inspecting = Arc::clone(&tally);
    let inspect = move |block: &Block<Tag>| inspecting.inspect(&block.bytes, &block.tag.spans);
    let (compressors, frames) =
        Compressors::start_with(compression, inspect).map_err(|source| {
            let message = "compression cannot start";
            Error::new(ErrorKind::Internal, OPERATION, message).with_source(source)
        })?;
    let whole = Arc::new(AtomicBool::new(false));
    let packer = Packer::new(pack)?;
    let (is_whole, counting) = (Arc::clone(&whole), Arc::clone(&counters));
    let packing =
        tokio::task::spawn_blocking(move || packer.run(frames, &give, &counting, &is_whole));
    let outlet = Outlet::new(buffers_back, compressors, frame_bytes);
    let checkable = server.checkable_pages();
    let receiver = Receiver::new(outlet, checkable.ok(), server.identity.system_id);
    let receiving = receive(backup, receiver, &whole, &counters);
    let (received, packed) = tokio::join!(receiving, packing);
    let packed = packed.unwrap_or_else(|source| {
        let err = Error::new(ErrorKind::Internal, OPERATION, "a thread ended early");
        Err(err.with_source(source))
    });
    // The cause before its effects: either side ends early where the other does.
    let (packed, (received, end, notices)) = match (packed, received) {
        (Ok(packed), Ok(received)) => (packed, received),
        (Err(err), _) if err.kind() != ErrorKind::Canceled => return Err(err),
        (_, Err(err)) | (Err(err), Ok(_)) => return Err(err),
    };
    if end.checksum_failure.is_some() {
        tally.server_found_bad();
    }
    let pages = match checkable {
        Ok(_) => tally.result(),
        Err(reason) => PageChecks::NotChecked {
            reason: reason.to_owned(),
        },
    };
    Ok(Streamed {
        received,
        packed,
        pages,
        end,
        notices,
    })
}

async fn receive(
    mut backup: BaseBackup,
    mut receiver: Receiver,
    whole: &AtomicBool,
    counters: &Counters,
) -> Result<(Received, BackupEnd, Vec<Notice>)> {
    let mut notices = Vec::new();
    let mut end = None;
    while let Some(event) = backup
        .next()
        .await
        .map_err(|err| failed(err, Moment::Receiving))?
    {
        match event {
            BackupEvent::Archive { name, tablespace } => {
                receiver.begin_archive(name, tablespace).await?;
            }
            BackupEvent::Data(data) => {
                counters.add_in(data.len() as u64);
                receiver.data(&data).await?;
            }
            BackupEvent::ManifestBegin => receiver.begin_manifest().await?,
            BackupEvent::Manifest(data) => {
                counters.add_in(data.len() as u64);
                receiver.manifest(&data).await?;
            }
            BackupEvent::Notice(notice) if notices.len() < NOTICES => notices.push(notice),
            BackupEvent::End(found) => end = Some(found),
            _ => {}
        }
    }
    let end = end.ok_or_else(|| {
        let message = "the server ended the backup without a word";
        Error::new(ErrorKind::SourceLost, OPERATION, message)
    })?;
    let received = receiver.finish(whole)?;
    Ok((received, end, notices))
}
