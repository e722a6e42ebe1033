//! Stored objects that are read in large ranges, from threads that may block.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use ops_core::object_store::{ByteRange, GetOptions};
use ops_core::{ErrorKind as CoreKind, ObjectKey, ObjectStore};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind};
use crate::event::Counters;

/// How many chunks of a body wait for their reader.
const CHUNKS: usize = 4;

/// How often a body that broke off is asked for again from where it broke, without a byte
/// in between.
const RESUMES: u32 = 3;

/// Where objects are read from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) operation: &'static str,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) counters: Arc<Counters>,
    /// Ends all reading.
    pub(crate) cancel: CancellationToken,
    pub(crate) runtime: Handle,
}

/// An error of ours as one of reading.
pub(crate) fn to_io(err: Error) -> io::Error {
    io::Error::other(err)
}

/// What reading a thing ended with: the error of ours that is in it, else damage.
#[cold]
pub(crate) fn of_io(operation: &'static str, what: &str, err: io::Error) -> Error {
    match err.downcast::<Error>() {
        Ok(err) => err,
        Err(err) => {
            let message = format!("{what} is not what was written");
            Error::new(ErrorKind::Integrity, operation, message).with_source(err)
        }
    }
}

/// An object, read by ranges that are as long as its reader says it will read on.
pub(crate) struct RangedObject {
    source: Source,
    key: ObjectKey,
    size: u64,
    position: u64,
    /// Where the range that is asked for next ends. Shared with whoever knows.
    until: Arc<AtomicU64>,
    body: Option<Body>,
}

/// A range that is being read: up to where, and what has come of it.
struct Body {
    end: u64,
    chunks: mpsc::Receiver<ops_core::Result<Bytes>>,
    current: Bytes,
}

impl RangedObject {
    /// An object of a known size.
    pub(crate) fn new(source: Source, key: ObjectKey, size: u64) -> Self {
        Self {
            source,
            key,
            size,
            position: 0,
            until: Arc::new(AtomicU64::new(size)),
            body: None,
        }
    }

    /// Where the ranges that are asked for from now on end.
    pub(crate) fn until(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.until)
    }

    fn open(&self, from: u64) -> Body {
        let until = self.until.load(Ordering::Relaxed);
        // A reader that goes past what it had announced still gets it.
        let end = if until > from { until } else { self.size }.min(self.size);
        let (sender, chunks) = mpsc::channel(CHUNKS);
        let fetch = fetch(
            self.source.clone(),
            self.key.clone(),
            from,
            end,
            self.size,
            sender,
        );
        self.source.runtime.spawn(fetch);
        Body {
            end,
            chunks,
            current: Bytes::new(),
        }
    }

    /// Has bytes at the position, unless it is at the end.
    fn fill(&mut self) -> io::Result<()> {
        let mut resumes = 0;
        loop {
            let mut body = match self.body.take() {
                Some(body) if body.end > self.position => body,
                _ => self.open(self.position),
            };
            if !body.current.is_empty() {
                self.body = Some(body);
                return Ok(());
            }
            match body.chunks.blocking_recv() {
                Some(Ok(chunk)) => {
                    self.source.counters.add_stored(chunk.len() as u64);
                    body.current = chunk;
                    self.body = Some(body);
                }
                _ if self.source.cancel.is_cancelled() => {
                    let operation = self.source.operation;
                    let err = Error::new(ErrorKind::Canceled, operation, "the job was canceled");
                    return Err(to_io(err));
                }
                Some(Err(err)) if resumes == RESUMES || !may_resume(&err) => {
                    return Err(to_io(Error::store(self.source.operation, err)));
                }
                Some(Err(err)) => {
                    tracing::debug!(key = %self.key, error = %err, "a body broke off");
                    resumes += 1;
                }
                None if resumes == RESUMES => {
                    let message = format!("{} ends before its end", self.key);
                    let err = Error::new(ErrorKind::Integrity, self.source.operation, message);
                    return Err(to_io(err));
                }
                None => resumes += 1,
            }
        }
    }
}

/// Whether the rest of a body may be had by asking for it.
fn may_resume(err: &ops_core::Error) -> bool {
    matches!(
        err.kind(),
        CoreKind::Unavailable | CoreKind::Timeout | CoreKind::RateLimited
    )
}

async fn fetch(
    source: Source,
    key: ObjectKey,
    from: u64,
    end: u64,
    size: u64,
    sender: mpsc::Sender<ops_core::Result<Bytes>>,
) {
    let read = async {
        let range = ByteRange::Bounded {
            offset: from,
            length: end - from,
        };
        let answer = source.store.get(&key, GetOptions::range(range)).await;
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(err) => return drop(sender.send(Err(err)).await),
        };
        if answer.meta.size_bytes != size || answer.range != (from..end) {
            let message = format!(
                "{key} has {} bytes instead of {size}",
                answer.meta.size_bytes
            );
            let err = ops_core::Error::new(CoreKind::Integrity, message);
            return drop(sender.send(Err(err)).await);
        }
        let mut left = end - from;
        while let Some(chunk) = answer.body.next().await {
            let chunk = chunk.map(|chunk| {
                let len = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
                left -= len as u64;
                chunk.slice(..len)
            });
            let ended = chunk.is_err();
            if sender.send(chunk).await.is_err() || ended || left == 0 {
                return;
            }
        }
    };
    let _ = source.cancel.run_until_cancelled(read).await;
}

impl Read for RangedObject {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || out.is_empty() {
            return Ok(0);
        }
        self.fill()?;
        let Some(body) = &mut self.body else {
            return Ok(0);
        };
        let len = out.len().min(body.current.len());
        body.current
            .copy_to_slice(out.get_mut(..len).unwrap_or_default());
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for RangedObject {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        let to = to.ok_or(io::ErrorKind::InvalidInput)?;
        if to != self.position {
            self.position = to;
            self.body = None;
        }
        Ok(to)
    }
}
