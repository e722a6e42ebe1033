//! Chunks that a future sends, as a reader for a blocking thread.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// How many chunks wait for the reader.
pub(crate) const CHUNKS: usize = 8;

/// Reads chunks that a future sends. `None` is the end: a sender that merely went away is an
/// error.
pub(crate) struct ChunkReader {
    receiver: mpsc::Receiver<Option<Bytes>>,
    current: Bytes,
    ended: bool,
}

impl ChunkReader {
    pub(crate) fn new(receiver: mpsc::Receiver<Option<Bytes>>) -> Self {
        Self {
            receiver,
            current: Bytes::new(),
            ended: false,
        }
    }
}

impl Read for ChunkReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Some(chunk)) => self.current = chunk,
                Some(None) => self.ended = true,
                None => return Err(io::Error::other("the stored object could not be read")),
            }
        }
        let len = out.len().min(self.current.len());
        self.current
            .copy_to_slice(out.get_mut(..len).unwrap_or_default());
        Ok(len)
    }
}
