//! A running child.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ops_core::{Error, ErrorKind, Result};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

use super::tail::Tail;
use super::{Exit, signal_group};

/// How long a child's standard error is awaited after its end: a grandchild that lives
/// on may keep it open.
const STDERR_GRACE: Duration = Duration::from_secs(1);

/// A running child. Dropping it kills its process group and reaps it.
#[derive(Debug)]
pub struct Supervised {
    program: String,
    child: Child,
    tail: Arc<Mutex<Tail>>,
    reader: Option<JoinHandle<()>>,
}

impl Supervised {
    pub(super) fn new(program: String, mut child: Child) -> Self {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let reader = child
            .stderr
            .take()
            .map(|stderr| tokio::spawn(collect(stderr, Arc::clone(&tail))));
        Self {
            program,
            child,
            tail,
            reader,
        }
    }

    /// Its process id, until its end has been seen.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its standard input, once, where that is piped. Dropping it is the end of input.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, where that is piped.
    ///
    /// A child blocks when nobody reads it: read to the end before [`wait`](Self::wait).
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The last 16 KiB of its standard error so far.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .to_text()
    }

    /// Waits for its end. A standard input that was not taken is closed first.
    ///
    /// # Errors
    /// `Internal` where the operating system does not tell. How the child ended is in
    /// the [`Exit`], not an error here.
    ///
    /// # Cancel safety
    /// The child runs on, and can be waited for again.
    pub async fn wait(&mut self) -> Result<Exit> {
        let status = self.child.wait().await.map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                format!("waiting for {} failed", self.program),
            )
            .with_source(source)
        })?;
        if let Some(reader) = &mut self.reader {
            if tokio::time::timeout(STDERR_GRACE, &mut *reader)
                .await
                .is_err()
            {
                reader.abort();
            }
            self.reader = None;
        }
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Exit::new(
            self.program.clone(),
            status,
            tail.to_text(),
            tail.dropped(),
        ))
    }

    /// Kills its process group with SIGKILL, and reaps it. One that has ended is fine.
    ///
    /// # Errors
    /// `PermissionDenied` where the operating system refuses, `Internal` as
    /// [`wait`](Self::wait).
    ///
    /// # Cancel safety
    /// The signal is sent at once; only the waiting is cancelled.
    pub async fn kill(&mut self) -> Result<Exit> {
        if let Some(pid) = self.child.id() {
            signal_group(pid, Signal::KILL).map_err(|source| {
                Error::new(
                    ErrorKind::PermissionDenied,
                    format!("{} cannot be killed", self.program),
                )
                .with_source(source)
            })?;
        }
        self.wait().await
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        let Some(pid) = self.child.id() else { return };
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        let _ = signal_group(pid, Signal::KILL);
        // A killed process ends within a millisecond or so. One that is stuck in the
        // kernel is left to the runtime, which reaps it later.
        for _ in 0..50 {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(1)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
    }
}

async fn collect(mut stderr: ChildStderr, tail: Arc<Mutex<Tail>>) {
    let mut chunk = vec![0; 4096];
    while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
        let bytes = chunk.get(..read).unwrap_or_default();
        tail.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(bytes);
    }
}
