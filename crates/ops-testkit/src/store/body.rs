//! Bodies that end early, are altered, or are the last that this process sees.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use ops_core::object_store::ByteStream;
use ops_core::{ErrorKind, Result};

use super::{Call, Moment, StoreFault, Traffic, die};

/// At which byte a body of unknown length is cut off.
const WITHIN: u64 = 10_000;

impl Traffic {
    /// Counts bytes of a body; may be the end of this process.
    pub(super) fn passed(&self, length: usize) {
        let before = self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        if before + length as u64 >= self.kill_after.load(Ordering::Relaxed) {
            die();
        }
    }
}

/// A body on its way to the store.
pub(super) fn written(call: Call, body: ByteStream, traffic: Arc<Traffic>) -> ByteStream {
    let altered = Altered::new(call, WITHIN, body, traffic);
    let chunks = stream::unfold(altered, async |mut it| {
        let chunk = it.next_written().await?;
        Some((chunk, it))
    });
    chunks.boxed()
}

/// A body of `length` bytes on its way from the store.
pub(super) fn read(call: Call, length: u64, body: ByteStream, traffic: Arc<Traffic>) -> ByteStream {
    let altered = Altered::new(call, length / 2, body, traffic);
    let chunks = stream::unfold(altered, async |mut it| {
        let chunk = it.next_read().await?;
        Some((chunk, it))
    });
    chunks.boxed()
}

struct Altered {
    call: Call,
    /// How many bytes pass before the fault.
    left: u64,
    happened: bool,
    ended: bool,
    body: ByteStream,
    traffic: Arc<Traffic>,
}

impl Altered {
    fn new(call: Call, left: u64, body: ByteStream, traffic: Arc<Traffic>) -> Self {
        Self {
            call,
            left,
            happened: false,
            ended: false,
            body,
            traffic,
        }
    }

    /// The next chunk, and whether the place of the fault is in it.
    async fn next(&mut self) -> Option<Result<(Bytes, bool)>> {
        if self.ended {
            return None;
        }
        match self.body.next().await? {
            Err(error) => Some(Err(error)),
            Ok(chunk) => {
                self.traffic.passed(chunk.len());
                let here = !self.happened && self.left < chunk.len() as u64;
                if here {
                    self.happened = true;
                } else {
                    self.left = self.left.saturating_sub(chunk.len() as u64);
                }
                Some(Ok((chunk, here)))
            }
        }
    }

    async fn next_written(&mut self) -> Option<Result<Bytes>> {
        let (lost, altered) = match self.call.fault {
            Some(StoreFault::Truncate) => (true, false),
            Some(StoreFault::Corrupt) => (false, true),
            Some(StoreFault::Kill(Moment::Within)) => match self.next().await {
                Some(Ok((chunk, false))) => return Some(Ok(chunk)),
                Some(Err(error)) => return Some(Err(error)),
                // A short one is killed at its end.
                Some(Ok(_)) | None => die(),
            },
            _ => (false, false),
        };
        let next = self.next().await;
        if !lost && !altered {
            return next.map(|it| it.map(|(chunk, _)| chunk));
        }
        match next {
            Some(Ok((chunk, false))) => Some(Ok(chunk)),
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(_)) | None if self.ended => None,
            Some(Ok(_)) | None => {
                self.ended = true;
                let (kind, message) = if altered {
                    (ErrorKind::Integrity, "the checksum differs (injected)")
                } else {
                    (ErrorKind::Unavailable, "the connection was lost (injected)")
                };
                Some(Err(self.call.error(kind, message)))
            }
        }
    }

    async fn next_read(&mut self) -> Option<Result<Bytes>> {
        let (chunk, here) = match self.next().await? {
            Ok(next) => next,
            Err(error) => return Some(Err(error)),
        };
        if !here {
            return Some(Ok(chunk));
        }
        let at = usize::try_from(self.left).unwrap_or_default();
        match self.call.fault {
            Some(StoreFault::Truncate) => {
                self.ended = true;
                Some(Ok(chunk.slice(..at)))
            }
            Some(StoreFault::Corrupt) => {
                let mut altered = BytesMut::from(&*chunk);
                if let Some(byte) = altered.get_mut(at) {
                    *byte ^= 0x10;
                }
                Some(Ok(altered.freeze()))
            }
            Some(StoreFault::Slow(time)) => {
                tokio::time::sleep(time.min(Duration::from_secs(10))).await;
                Some(Ok(chunk))
            }
            Some(StoreFault::Kill(Moment::Within)) => die(),
            _ => Some(Ok(chunk)),
        }
    }
}
