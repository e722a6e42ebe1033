//! A thread of its own for a connection.
//!
//! A server sends a base backup in messages of 32 KiB. Whoever takes each of them as it
//! comes is woken for each, and so is the server; and each byte is hashed, summed up and
//! copied at once. On a thread of the caller's runtime that would keep the caller's other
//! tasks waiting. On one of our own the reader may rest between two reads, for less time than
//! a runtime's timers know, and takes several messages at once.

use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::OPERATION;
use crate::error::{Error, ErrorKind, Result};

/// How long the reader rests: about the time in which a server fills the buffer of a Unix
/// socket, which is 208 KiB on Linux.
const REST: Duration = Duration::from_micros(40);
/// A read that brought as much shows that the server does not wait for the reader to be woken.
const PLENTY: usize = 96 << 10;

/// The thread. It ends when this is dropped.
pub(super) struct ConnectionThread {
    runtime: Handle,
    /// Never used to send: the thread waits for its end.
    _alive: oneshot::Sender<()>,
}

#[cold]
fn failed(source: impl Into<ops_core::BoxError>) -> Error {
    let message = "the thread of the connection cannot run";
    Error::new(ErrorKind::Internal, OPERATION, message).with_source(source)
}

impl ConnectionThread {
    pub(super) fn start() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let handle = runtime.handle().clone();
        let (alive, end) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("ops-backup-read".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(end);
                // A name that is still being looked up is not waited for.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Self {
            runtime: handle,
            _alive: alive,
        })
    }

    /// Runs a future there. What it connects to is read there as long as the thread lives,
    /// whoever asks for it. It ends where its answer is not waited for any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let task = AbortOnDropHandle::new(self.runtime.spawn(future));
        task.await.map_err(failed)
    }
}

/// When to rest between reads.
#[derive(Debug, Default)]
pub(super) struct Rests {
    read: usize,
}

impl Rests {
    /// Counts what came.
    pub(super) fn took(&mut self, bytes: usize) {
        self.read += bytes;
    }

    /// All that has been read was taken: rests where it was little.
    pub(super) fn before_read(&mut self) {
        if std::mem::take(&mut self.read) < PLENTY {
            std::thread::sleep(REST);
        }
    }
}
