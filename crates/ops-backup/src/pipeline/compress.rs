//! Compression on worker threads.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How to compress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompressorSettings {
    pub(crate) level: i32,
    pub(crate) workers: usize,
    /// Blocks that wait before, and frames that wait after, each worker.
    pub(crate) depth: usize,
}

/// Plain bytes that become one frame, and what is to be known of them afterwards.
#[derive(Debug)]
pub(crate) struct Block<T> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tag: T,
}

/// A zstd frame.
#[derive(Debug)]
pub(crate) struct Frame<T> {
    pub(crate) bytes: Vec<u8>,
    /// How many bytes it was made of.
    pub(crate) plain_bytes: usize,
    pub(crate) tag: T,
}

/// Blocks in, frames out, in the same order.
pub(crate) struct Compressors<T> {
    inputs: Vec<SyncSender<Block<T>>>,
    next: usize,
}

/// The other end of [`Compressors`].
pub(crate) struct Frames<T> {
    outputs: Vec<Receiver<io::Result<Frame<T>>>>,
    workers: Vec<JoinHandle<()>>,
    next: usize,
}

impl<T: Send + 'static> Compressors<T> {
    pub(crate) fn start(settings: CompressorSettings) -> io::Result<(Self, Frames<T>)> {
        Self::start_with(settings, |_| {})
    }

    /// Starts the workers; each shows every block to `inspect` before it compresses it.
    pub(crate) fn start_with(
        settings: CompressorSettings,
        inspect: impl Fn(&Block<T>) + Send + Sync + 'static,
    ) -> io::Result<(Self, Frames<T>)> {
        let inspect = Arc::new(inspect);
        let mut inputs = Vec::new();
        let mut outputs = Vec::new();
        let mut workers = Vec::new();
        for index in 0..settings.workers {
            let (input, blocks) = sync_channel::<Block<T>>(settings.depth);
            let (frames, output) = sync_channel(settings.depth);
            let mut compressor = zstd::bulk::Compressor::new(settings.level)?;
            compressor.include_checksum(true)?;
            let inspect = Arc::clone(&inspect);
            let worker = std::thread::Builder::new()
                .name(format!("ops-backup-zstd-{index}"))
                .spawn(move || {
                    // Each block's buffer takes the frame of the block after it.
                    let mut spare = Vec::new();
                    for block in blocks {
                        inspect(&block);
                        let frame = compress(&mut compressor, block, &mut spare);
                        if frames.send(frame).is_err() {
                            return;
                        }
                    }
                })?;
            inputs.push(input);
            outputs.push(output);
            workers.push(worker);
        }
        Ok((
            Self { inputs, next: 0 },
            Frames {
                outputs,
                workers,
                next: 0,
            },
        ))
    }

    /// Hands a block over; waits where the workers are behind. `false` where nobody takes
    /// frames any more.
    pub(crate) fn send(&mut self, block: Block<T>) -> bool {
        let index = self.next;
        self.next = (index + 1) % self.inputs.len().max(1);
        self.inputs
            .get(index)
            .is_some_and(|input| input.send(block).is_ok())
    }
}

fn compress<T>(
    compressor: &mut zstd::bulk::Compressor<'static>,
    block: Block<T>,
    spare: &mut Vec<u8>,
) -> io::Result<Frame<T>> {
    let Block { bytes: plain, tag } = block;
    spare.clear();
    spare.reserve(zstd::zstd_safe::compress_bound(plain.len()));
    compressor.compress_to_buffer(&plain, spare)?;
    let plain_bytes = plain.len();
    let bytes = std::mem::replace(spare, plain);
    Ok(Frame {
        bytes,
        plain_bytes,
        tag,
    })
}

impl<T> Frames<T> {
    /// The next frame in order; `None` at the end.
    pub(crate) fn recv(&mut self) -> Option<io::Result<Frame<T>>> {
        let index = self.next;
        self.next = (index + 1) % self.outputs.len().max(1);
        self.outputs.get(index)?.recv().ok()
    }
}

impl<T> Drop for Frames<T> {
    fn drop(&mut self) {
        self.outputs.clear();
        for worker in self.workers.drain(..) {
            // A worker ends with its input, and where its output is gone with the next block
            // at the latest; it cannot panic.
            let _ = worker.join();
        }
    }
}
