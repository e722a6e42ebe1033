//! Sealed WAL on its way into the store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use ops_core::object_store::PutOptions;
use ops_core::{Clock, ObjectKey, Timestamp};
use ops_pg_replication::{Lsn, Timeline};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;

use super::super::hint::Hint;
use super::super::info::json;
use super::super::objects::put_once;
use super::super::restore_point::RestorePoint;
use super::super::{OPERATION, WalArchive};
use super::ArchiverOptions;
use super::backoff::Backoff;
use super::status::{Shared, is_fatal};
use crate::error::{Error, ErrorKind, Result};

/// How often the witness of the frontier is written at most.
const HINT_EVERY: Duration = Duration::from_secs(60);

/// Up to where WAL is durable in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) timeline: Timeline,
    pub(crate) end: Lsn,
    pub(crate) commit: Option<Timestamp>,
}

/// A sealed object that is to be stored.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: ObjectKey,
    pub(crate) object: Bytes,
    pub(crate) blake3: blake3::Hash,
    pub(crate) timeline: Timeline,
    /// The position after its last byte.
    pub(crate) end: Lsn,
    pub(crate) commit: Option<Timestamp>,
    /// Of a whole segment: its parts, which are not needed any more.
    pub(crate) parts: Option<Vec<ObjectKey>>,
    pub(crate) restore_points: Vec<RestorePoint>,
    /// The memory that the object takes.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What is left of an upload once it is stored.
#[derive(Debug)]
struct Stored {
    number: u64,
    durable: Durable,
    bytes: u64,
    parts: Option<Vec<ObjectKey>>,
}

/// Stores what is sealed, several objects at once, and tells up to where everything is
/// durable: an object that overtook another one does not count before that one does.
pub(crate) struct Uploader {
    pub(crate) archive: WalArchive,
    pub(crate) options: Arc<ArchiverOptions>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) durable: watch::Sender<Durable>,
    pub(crate) last_hint: Option<Instant>,
    /// What the witness does not say yet.
    pub(crate) unwritten: Option<Durable>,
}

impl Uploader {
    /// Runs until everything that is sent is stored, or something cannot be.
    pub(crate) async fn run(mut self, mut uploads: mpsc::Receiver<Upload>) -> Result<()> {
        let mut running: FuturesUnordered<BoxFuture<'static, Result<Stored>>> =
            FuturesUnordered::new();
        let mut tidying: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
        let mut order: VecDeque<Option<Stored>> = VecDeque::new();
        let (mut first, mut next) = (0_u64, 0_u64);
        let mut open = true;
        while open || !running.is_empty() || !tidying.is_empty() {
            tokio::select! {
                upload = uploads.recv(), if open && running.len() < self.options.max_uploads => {
                    match upload {
                        Some(upload) => {
                            running.push(self.store(next, upload));
                            order.push_back(None);
                            next += 1;
                        }
                        None => open = false,
                    }
                }
                Some(stored) = running.next(), if !running.is_empty() => {
                    let stored = stored?;
                    let index = usize::try_from(stored.number - first).unwrap_or(usize::MAX);
                    if let Some(place) = order.get_mut(index) {
                        *place = Some(stored);
                    }
                    while let Some(Some(_)) = order.front() {
                        if let Some(Some(stored)) = order.pop_front() {
                            first += 1;
                            tidying.extend(self.advance(stored));
                        }
                    }
                }
                Some(()) = tidying.next(), if !tidying.is_empty() => {}
            }
        }
        if let Some(durable) = self.unwritten.take() {
            write_hint(&self.archive, &self.hint(durable)).await;
        }
        Ok(())
    }

    fn hint(&self, durable: Durable) -> Hint {
        Hint {
            timeline: durable.timeline,
            end: durable.end,
            newest_commit: durable.commit,
            written_at: self.clock.now(),
        }
    }

    /// Publishes what is durable now; what comes back tidies up and may fail.
    fn advance(&mut self, stored: Stored) -> Vec<BoxFuture<'static, ()>> {
        let durable = stored.durable;
        self.durable.send_replace(durable);
        self.shared.durable(durable.end, durable.commit);
        let is_segment = stored.parts.is_some();
        self.shared.update(|status| {
            status.stored_bytes += stored.bytes;
            *(if is_segment {
                &mut status.segments
            } else {
                &mut status.parts
            }) += 1;
        });
        let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
        if let Some(parts) = stored.parts.filter(|parts| !parts.is_empty()) {
            let archive = self.archive.clone();
            tasks.push(Box::pin(async move { remove_parts(&archive, parts).await }));
        }
        if is_segment {
            self.unwritten = Some(durable);
        }
        let is_due = self.last_hint.is_none_or(|at| at.elapsed() >= HINT_EVERY);
        if let Some(durable) = self.unwritten.take_if(|_| is_due) {
            self.last_hint = Some(Instant::now());
            let (archive, hint) = (self.archive.clone(), self.hint(durable));
            tasks.push(Box::pin(async move { write_hint(&archive, &hint).await }));
        }
        tasks
    }

    fn store(&self, number: u64, upload: Upload) -> BoxFuture<'static, Result<Stored>> {
        let (archive, options) = (self.archive.clone(), Arc::clone(&self.options));
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let mut backoff = Backoff::new(options.max_backoff);
            loop {
                let attempt = store_once(&archive, &upload);
                let attempt = tokio::time::timeout(options.upload_timeout, attempt).await;
                let err = match attempt {
                    Ok(Ok(())) => break,
                    Ok(Err(err)) => err,
                    Err(_) => Error::new(ErrorKind::Timeout, OPERATION, "an upload took too long"),
                };
                // Whoever may not write now might be allowed to later: WAL is waiting.
                if is_fatal(&err, true) {
                    return Err(err);
                }
                tracing::warn!(error = %ops_core::Report(&err), key = %upload.key, "an upload is tried again");
                shared.update(|status| {
                    status.retried_uploads += 1;
                    status.last_error = Some(ops_core::Report(&err).to_string());
                });
                backoff.wait().await;
            }
            if backoff.has_waited() {
                shared.update(|status| status.last_error = None);
            }
            // The memory is given back with the object.
            drop(upload.permit);
            Ok(Stored {
                number,
                durable: Durable {
                    timeline: upload.timeline,
                    end: upload.end,
                    commit: upload.commit,
                },
                bytes: upload.object.len() as u64,
                parts: upload.parts,
            })
        })
    }
}

async fn store_once(archive: &WalArchive, upload: &Upload) -> Result<()> {
    let store = &**archive.store();
    for point in &upload.restore_points {
        point.store(store, archive.layout()).await?;
    }
    put_once(store, &upload.key, upload.object.clone(), upload.blake3).await?;
    Ok(())
}

/// Removes parts of a segment that is whole. A store that allows no deletes keeps them,
/// and everybody passes over them.
pub(crate) async fn remove_parts(archive: &WalArchive, parts: Vec<ObjectKey>) {
    match archive.store().delete_many(parts).await {
        Ok(results) => {
            let failed = results.into_iter().find_map(std::result::Result::err);
            if let Some(err) = failed {
                tracing::debug!(error = %ops_core::Report(&err), "a part stays behind");
            }
        }
        Err(err) => tracing::debug!(error = %ops_core::Report(&err), "parts stay behind"),
    }
}

async fn write_hint(archive: &WalArchive, hint: &Hint) {
    let write = async {
        let (key, body) = (archive.layout().hint()?, json(hint)?);
        let put = archive.store().put(&key, body, PutOptions::default()).await;
        put.map(drop).map_err(|err| Error::store(OPERATION, err))
    };
    if let Err(err) = write.await {
        tracing::debug!(error = %ops_core::Report(&err), "the witness of the frontier is old");
    }
}
