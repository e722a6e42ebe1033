//! What a running job tells.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Looking at the database, the client programs and the store.
    Preflight,
    /// Removing what earlier jobs left uncommitted.
    Sweep,
    /// Reading the database and storing it.
    Dump,
    /// Reading the database a second time and comparing it with the dump.
    Compare,
    /// Reading roles and tablespaces.
    Globals,
    /// Waiting for the server to begin a base backup: it makes a checkpoint first.
    Checkpoint,
    /// Reading the cluster's files and storing them.
    BaseBackup,
    /// Waiting for the WAL archive to have what the backup needs.
    Wal,
    /// Making the backup visible.
    Commit,
    /// Starting a throwaway server.
    Server,
    /// Loading the backup into a database.
    Restore,
    /// Replaying WAL up to the target.
    Recover,
    /// Comparing the copy with the fingerprint.
    Verify,
    /// Running the caller's assertions.
    Assert,
}

impl Phase {
    /// The phase in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Sweep => "sweep",
            Self::Dump => "dump",
            Self::Compare => "compare",
            Self::Globals => "globals",
            Self::Checkpoint => "checkpoint",
            Self::BaseBackup => "base_backup",
            Self::Wal => "wal",
            Self::Commit => "commit",
            Self::Server => "server",
            Self::Restore => "restore",
            Self::Recover => "recover",
            Self::Verify => "verify",
            Self::Assert => "assert",
        }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Plain bytes so far: read from the database, or given to it.
    pub bytes_in: u64,
    /// Stored bytes so far: written to the store, or read from it.
    pub bytes_stored: u64,
    /// How many plain bytes there will be, by estimate.
    pub bytes_expected: Option<u64>,
    /// Plain bytes a second since the phase began.
    pub bytes_per_second: f64,
    /// How long it will still take, by estimate.
    pub eta: Option<Duration>,
}

/// What a running job tells.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A phase began.
    Phase(Phase),
    /// How far the job is; about four times a second.
    Progress(Progress),
    /// Something that does not stop the job, but that somebody should know.
    Warning(String),
}

/// How many events wait for a reader. A reader that falls behind misses events; the job
/// never waits for it.
pub(crate) const QUEUE: usize = 1024;

/// Where a job tells what it does.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    sender: mpsc::Sender<Event>,
    current: Arc<Mutex<Option<Phase>>>,
    pub(crate) counters: Arc<Counters>,
}

/// Bytes, counted by the threads that move them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    bytes_in: AtomicU64,
    bytes_stored: AtomicU64,
}

impl Counters {
    pub(crate) fn add_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_stored(&self, bytes: u64) {
        self.bytes_stored.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> (u64, u64) {
        (
            self.bytes_in.load(Ordering::Relaxed),
            self.bytes_stored.load(Ordering::Relaxed),
        )
    }
}

impl Events {
    pub(crate) fn new(sender: mpsc::Sender<Event>) -> Self {
        Self {
            sender,
            current: Arc::default(),
            counters: Arc::new(Counters::default()),
        }
    }

    pub(crate) fn phase(&self, phase: Phase) {
        tracing::info!(phase = ?phase, "phase");
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(phase);
        self.send(Event::Phase(phase));
    }

    /// The phase that began last.
    pub(crate) fn current(&self) -> Option<Phase> {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn warn(&self, warnings: &mut Vec<String>, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!(warning = %text, "warning");
        warnings.push(text.clone());
        self.send(Event::Warning(text));
    }

    fn send(&self, event: Event) {
        // Full or closed: nobody reads, and the job goes on.
        let _ = self.sender.try_send(event);
    }

    /// Tells progress until it is dropped; comes back where nothing has moved for `stall`.
    pub(crate) async fn watch(&self, phase: Phase, bytes_expected: Option<u64>, stall: Duration) {
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        let begun = tokio::time::Instant::now();
        let (mut last, mut moved) = (self.counters.read(), begun);
        loop {
            let now = tick.tick().await;
            let (bytes_in, bytes_stored) = self.counters.read();
            if (bytes_in, bytes_stored) != last {
                (last, moved) = ((bytes_in, bytes_stored), now);
            } else if now.duration_since(moved) >= stall {
                return;
            }
            let seconds = now.duration_since(begun).as_secs_f64();
            #[expect(
                clippy::cast_precision_loss,
                reason = "a rate is shown, not reckoned with"
            )]
            let bytes_per_second = if seconds > 0.0 {
                bytes_in as f64 / seconds
            } else {
                0.0
            };
            let eta = bytes_expected.and_then(|expected| {
                #[expect(clippy::cast_precision_loss, reason = "an estimate of an estimate")]
                let left = expected.saturating_sub(bytes_in) as f64;
                (bytes_in > 0 && bytes_per_second > 0.0)
                    .then(|| Duration::try_from_secs_f64(left / bytes_per_second).ok())
                    .flatten()
            });
            self.send(Event::Progress(Progress {
                phase,
                bytes_in,
                bytes_stored,
                bytes_expected,
                bytes_per_second,
                eta,
            }));
        }
    }
}
