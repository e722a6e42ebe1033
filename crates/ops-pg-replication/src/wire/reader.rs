//! The receiving end of a connection.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use ops_core::Result;
use ops_pg::connect::Stream;
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::time::Instant;

use super::Frame;
use crate::error::{closed, silent};

/// How much is read at once. A buffer lives for as long as a slice of it does.
const BUFFER: usize = 512 << 10;

/// With less room than this in the buffer, a new one is begun.
const MIN_ROOM: usize = 64 << 10;

/// The most room that a message's length may claim before its bytes are there.
const MAX_CLAIM: usize = 1 << 20;

/// Reads messages. Every method that waits may be dropped while it does: what has been
/// read stays.
#[derive(Debug)]
pub(crate) struct Reader {
    half: ReadHalf<Stream>,
    buffer: BytesMut,
    /// How long the message that is now due has been waited for.
    waited: Duration,
}

impl Reader {
    pub(crate) fn new(half: ReadHalf<Stream>) -> Self {
        Self {
            half,
            buffer: BytesMut::new(),
            waited: Duration::ZERO,
        }
    }

    /// The next message, if all of it has been read.
    pub(crate) fn buffered(&mut self) -> Result<Option<Frame>> {
        let frame = Frame::take(&mut self.buffer)?;
        if frame.is_some() {
            self.waited = Duration::ZERO;
        }
        Ok(frame)
    }

    /// The next message. The limit counts all the time that has been spent waiting for
    /// this message, also in calls that were dropped.
    pub(crate) async fn next(&mut self, limit: Duration, step: &str) -> Result<Frame> {
        let frame = self.next_until(limit, step).await?;
        frame.ok_or_else(|| silent(limit, step))
    }

    /// As [`next`](Self::next); `None` where the limit has passed.
    pub(crate) async fn next_until(
        &mut self,
        limit: Duration,
        step: &str,
    ) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            let missing = Frame::missing(&self.buffer);
            self.make_room(missing);
            let waiting = Waiting::new(&mut self.waited, limit);
            let read = self.half.read_buf(&mut self.buffer);
            let Ok(outcome) = tokio::time::timeout_at(waiting.until, read).await else {
                return Ok(None);
            };
            drop(waiting);
            if outcome.map_err(|source| closed(step, Some(source)))? == 0 {
                return Err(self.ended(step));
            }
        }
    }

    /// Counts the time for the message that is now due from now on.
    pub(crate) fn wait_afresh(&mut self) {
        self.waited = Duration::ZERO;
    }

    fn make_room(&mut self, missing: usize) {
        let room = self.buffer.capacity() - self.buffer.len();
        if room < MIN_ROOM.max(missing.min(MAX_CLAIM)) {
            self.buffer.reserve(BUFFER.max(missing.min(MAX_CLAIM)));
        }
    }

    #[cold]
    fn ended(&self, step: &str) -> ops_core::Error {
        let source = (!self.buffer.is_empty())
            .then(|| io::Error::new(io::ErrorKind::UnexpectedEof, "in the middle of a message"));
        closed(step, source)
    }
}

/// Counts the time until it is dropped.
struct Waiting<'a> {
    waited: &'a mut Duration,
    since: Instant,
    until: Instant,
}

impl<'a> Waiting<'a> {
    fn new(waited: &'a mut Duration, limit: Duration) -> Self {
        let since = Instant::now();
        // Further than a century is as good as for ever.
        let until = since
            .checked_add(limit.saturating_sub(*waited))
            .unwrap_or(since + Duration::from_secs(3_000_000_000));
        Self {
            waited,
            since,
            until,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.waited += self.since.elapsed();
    }
}
