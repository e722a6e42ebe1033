//! Compression on worker threads.

use std::io;
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

/// Blocks in, frames out, in the same order.
pub(crate) struct Compressors {
    inputs: Vec<SyncSender<Vec<u8>>>,
    next: usize,
}

/// The other end of [`Compressors`].
pub(crate) struct Frames {
    outputs: Vec<Receiver<io::Result<Vec<u8>>>>,
    workers: Vec<JoinHandle<()>>,
    next: usize,
}

impl Compressors {
    pub(crate) fn start(settings: CompressorSettings) -> io::Result<(Self, Frames)> {
        let mut inputs = Vec::new();
        let mut outputs = Vec::new();
        let mut workers = Vec::new();
        for index in 0..settings.workers {
            let (input, blocks) = sync_channel::<Vec<u8>>(settings.depth);
            let (frames, output) = sync_channel(settings.depth);
            let mut compressor = zstd::bulk::Compressor::new(settings.level)?;
            compressor.include_checksum(true)?;
            let worker = std::thread::Builder::new()
                .name(format!("ops-backup-zstd-{index}"))
                .spawn(move || {
                    for block in blocks {
                        if frames.send(compressor.compress(&block)).is_err() {
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
    pub(crate) fn send(&mut self, block: Vec<u8>) -> bool {
        let index = self.next;
        self.next = (index + 1) % self.inputs.len().max(1);
        self.inputs
            .get(index)
            .is_some_and(|input| input.send(block).is_ok())
    }
}

impl Frames {
    /// The next frame in order; `None` at the end.
    pub(crate) fn recv(&mut self) -> Option<io::Result<Vec<u8>>> {
        let index = self.next;
        self.next = (index + 1) % self.outputs.len().max(1);
        self.outputs.get(index)?.recv().ok()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.outputs.clear();
        for worker in self.workers.drain(..) {
            // A worker ends as soon as its input or its output is gone; it cannot panic.
            let _ = worker.join();
        }
    }
}
