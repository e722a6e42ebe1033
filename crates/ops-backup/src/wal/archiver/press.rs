//! Frames out of blocks, by a second thread as well where there is a backlog.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;

use super::super::seal::Compressor;
use super::super::{FRAME_BYTES, OPERATION};
use crate::error::{Error, ErrorKind, Result};

/// A frame that is there, or comes.
#[derive(Debug)]
pub(super) enum Frame {
    Done(Bytes),
    Coming(Receiver<Result<Bytes>>),
}

impl Frame {
    /// The frame; waits for it where it is still being made.
    pub(super) fn bytes(&mut self) -> Result<Bytes> {
        if let Self::Coming(frame) = self {
            *self = Self::Done(frame.recv().map_err(|_| helper_gone())??);
        }
        match self {
            Self::Done(frame) => Ok(frame.clone()),
            Self::Coming(_) => Err(helper_gone()),
        }
    }
}

/// Compresses blocks.
pub(super) struct Press {
    own: Compressor,
    level: i32,
    helper: Option<Helper>,
}

/// A thread that compresses one block at a time, and ends when this is dropped.
struct Helper {
    blocks: SyncSender<(Vec<u8>, SyncSender<Result<Bytes>>)>,
    /// The buffer of the block before, once there is a frame of it.
    spare: Receiver<Vec<u8>>,
}

impl Press {
    pub(super) fn new(level: i32) -> Result<Self> {
        Ok(Self {
            own: Compressor::new(level)?,
            level,
            helper: None,
        })
    }

    /// Makes a frame of a block, which is empty afterwards. Of a backlog a second thread
    /// makes it while the caller goes on, unless that thread is busy.
    pub(super) fn frame(&mut self, block: &mut Vec<u8>, is_backlog: bool) -> Result<Frame> {
        if is_backlog {
            if self.helper.is_none() {
                self.helper = Helper::start(self.level)?;
            }
            let spare = self.helper.as_ref().and_then(|it| it.spare.try_recv().ok());
            if let (Some(helper), Some(spare)) = (&self.helper, spare) {
                let (reply, frame) = sync_channel(1);
                let block = std::mem::replace(block, spare);
                helper
                    .blocks
                    .send((block, reply))
                    .map_err(|_| helper_gone())?;
                return Ok(Frame::Coming(frame));
            }
        }
        let frame = self.own.compress(block)?;
        block.clear();
        Ok(Frame::Done(frame))
    }
}

impl Helper {
    /// `None` where the system has no thread to spare: it goes without.
    fn start(level: i32) -> Result<Option<Self>> {
        let mut compressor = Compressor::new(level)?;
        let (blocks, orders) = sync_channel::<(Vec<u8>, SyncSender<Result<Bytes>>)>(1);
        let (done, spare) = sync_channel(1);
        // The first block needs another buffer to be filled meanwhile.
        let _ = done.send(Vec::with_capacity(FRAME_BYTES));
        let thread = std::thread::Builder::new().name("ops-wal-zstd".to_owned());
        let started = thread.spawn(move || {
            for (mut block, reply) in orders {
                let frame = compressor.compress(&block);
                block.clear();
                // A packer that went away needs neither.
                if reply.send(frame).is_err() || done.send(block).is_err() {
                    return;
                }
            }
        });
        Ok(started.ok().map(|_| Self { blocks, spare }))
    }
}

#[cold]
fn helper_gone() -> Error {
    let message = "the thread that compresses WAL has ended";
    Error::new(ErrorKind::Internal, OPERATION, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(frame: &[u8]) -> Vec<u8> {
        zstd::decode_all(frame).unwrap()
    }

    #[test]
    fn frames_are_those_of_their_blocks_whoever_made_them() {
        let mut press = Press::new(1).unwrap();
        let mut frames = Vec::new();
        let mut block = Vec::new();
        for number in 0..20_u8 {
            block.extend_from_slice(&vec![number; 100_000]);
            frames.push(press.frame(&mut block, number % 5 != 0).unwrap());
            assert!(block.is_empty());
        }
        let helped = frames.iter().filter(|it| matches!(it, Frame::Coming(_)));
        assert!(helped.count() > 0, "nobody helped");
        for (number, frame) in (0_u8..).zip(&mut frames) {
            let bytes = frame.bytes().unwrap();
            assert_eq!(opened(&bytes), vec![number; 100_000], "{number}");
            assert_eq!(frame.bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn one_thread_does_it_where_there_is_no_backlog() {
        let mut press = Press::new(1).unwrap();
        let mut block = b"abc".to_vec();
        let frame = press.frame(&mut block, false).unwrap();
        assert!(matches!(frame, Frame::Done(_)));
        assert!(press.helper.is_none());
    }
}
