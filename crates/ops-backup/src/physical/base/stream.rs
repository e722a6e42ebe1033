//! One base backup on its way from the server into the stores.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ops_pg_replication::{BackupEnd, BackupEvent, BaseBackup, Notice};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::OPERATION;
use super::cutter::{Outlet, Tag};
use super::pack::{PackSettings, Packed, Packer};
use super::receive::{Received, Receiver};
use super::source::{Moment, ServerInfo, failed};
use super::tally::Tally;
use super::thread::{ConnectionThread, Rests};
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

type Storing = JoinHandle<Result<Packed>>;

/// Takes a backup that has begun.
pub(super) async fn run(
    settings: StreamSettings,
    server: &ServerInfo,
    backup: BaseBackup,
    thread: &ConnectionThread,
) -> Result<Streamed> {
    let counters = Arc::clone(&settings.counters);
    let tally = Arc::new(Tally::new(backup.start().lsn.as_u64()));
    let whole = Arc::new(AtomicBool::new(false));
    let (outlet, storing) = start(settings, &tally, &whole)?;
    let checkable = server.checkable_pages();
    let receiver = Receiver::new(outlet, checkable.ok(), server.identity.system_id);
    let taking = thread.run(receive(backup, receiver, whole, counters));
    let (taken, stored) = tokio::join!(taking, storing);
    let taken = taken.and_then(|taken| taken);
    let stored = stored.unwrap_or_else(|source| {
        let err = Error::new(ErrorKind::Internal, OPERATION, "a thread ended early");
        Err(err.with_source(source))
    });
    // The cause before its effects: either side ends early where the other does.
    let (packed, (content, end, notices)) = match (stored, taken) {
        (Ok(stored), Ok(taken)) => (stored, taken),
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
        received: content,
        packed,
        pages,
        end,
        notices,
    })
}

/// Starts the threads between the server and the stores.
fn start(
    settings: StreamSettings,
    tally: &Arc<Tally>,
    whole: &Arc<AtomicBool>,
) -> Result<(Outlet, Storing)> {
    let StreamSettings {
        pack,
        workers,
        buffers,
        frame_bytes,
        counters,
    } = settings;
    let (give, returned) = mpsc::channel(buffers);
    for _ in 0..buffers {
        // There is room for all of them.
        let _ = give.try_send(Vec::new());
    }
    let compression = CompressorSettings {
        level: pack.level,
        workers,
        depth: buffers,
    };
    let tally = Arc::clone(tally);
    let inspect = move |block: &Block<Tag>| tally.inspect(&block.bytes, &block.tag.spans);
    let started = Compressors::start_with(compression, inspect);
    let (compressors, frames) = started.map_err(|source| {
        let message = "compression cannot start";
        Error::new(ErrorKind::Internal, OPERATION, message).with_source(source)
    })?;
    let packer = Packer::new(pack)?;
    let whole = Arc::clone(whole);
    let storing = tokio::task::spawn_blocking(move || packer.run(frames, give, &counters, &whole));
    // Pages must not be split by frames.
    let frame_bytes = (frame_bytes / PAGE).max(1) * PAGE;
    Ok((Outlet::new(returned, compressors, frame_bytes), storing))
}

async fn receive(
    mut backup: BaseBackup,
    mut receiver: Receiver,
    whole: Arc<AtomicBool>,
    counters: Arc<Counters>,
) -> Result<(Received, BackupEnd, Vec<Notice>)> {
    let mut notices = Vec::new();
    let mut end = None;
    let mut rests = Rests::default();
    let lost = |err| failed(err, Moment::Receiving);
    loop {
        let mut event = backup.buffered().map_err(lost)?;
        if event.is_none() {
            rests.before_read();
            event = backup.next().await.map_err(lost)?;
        }
        let Some(event) = event else { break };
        match event {
            BackupEvent::Archive { name, tablespace } => {
                receiver.begin_archive(name, tablespace).await?;
            }
            BackupEvent::Data(data) => {
                counters.add_in(data.len() as u64);
                rests.took(data.len());
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
    let all = receiver.finish(&whole)?;
    Ok((all, end, notices))
}
