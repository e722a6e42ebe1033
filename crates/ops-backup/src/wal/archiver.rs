//! The archiver: WAL from a server into the store, as it is written.

mod backoff;
mod guard;
mod lease;
mod options;
mod pace;
mod pack;
mod pipeline;
mod prepare;
mod press;
mod resume;
mod session;
mod slot;
mod spool;
mod status;
mod upload;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::gap::GapReason;
use super::seal::EpochKey;
use super::{OPERATION, WalArchive};
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::BackupIdentity;
use crate::repository::Repository;
pub(crate) use backoff::Backoff;
pub(crate) use lease::WalLease;
use session::End;
pub(crate) use status::Archiving;
use status::{Shared, is_fatal};

pub use options::{ArchiverOptions, CommitMode, FreeDisk, OnGap, SlotPolicy};
pub use status::{ArchiverState, ArchiverStatus, SlotHealth};

/// How long the server may take to end a stream in good order.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often and how long to wait for the lock of a spool folder.
const SPOOL_ATTEMPTS: u32 = 20;
const SPOOL_PAUSE: Duration = Duration::from_millis(50);

/// Streams the WAL of a cluster into the store, from a replication slot, without a gap.
///
/// It resumes where the archive ends, follows promotions, and reports to the server as
/// durable only what the store has acknowledged. Memory is bounded by
/// [`ArchiverOptions::memory_bytes`], whatever the store does.
///
/// Where the engine has a second store, the WAL goes there, too, by a stream of its own from
/// a slot of its own ([`ArchiverOptions::second_slot`]), so that the stores depend on nothing
/// of one another: the server keeps WAL until *both* have it durable, one that fails or is
/// away is caught up with from the server when it is back, and the other goes on meanwhile.
/// The price is that the server sends its WAL twice. A slot that is lost, or dropped by
/// policy, makes a gap in its own store only.
///
/// Cheap to clone; clones are the same archiver.
#[derive(Clone, Debug)]
pub struct Archiver {
    inner: Arc<Inner>,
    first: Way,
    second: Option<Way>,
}

/// The way into one store.
#[derive(Clone, Debug)]
struct Way {
    repository: Repository,
    options: Arc<ArchiverOptions>,
    shared: Arc<Shared>,
}

impl Archiver {
    pub(crate) fn new(inner: Arc<Inner>, options: ArchiverOptions) -> Result<Self> {
        options.check()?;
        let second = match &inner.second {
            Some(repository) => Some(Way {
                repository: repository.clone(),
                options: Arc::new(options.for_second()?),
                shared: Arc::default(),
            }),
            None => None,
        };
        let first = Way {
            repository: inner.repository.clone(),
            options: Arc::new(options),
            shared: Arc::new(Shared::beside(
                second.as_ref().map(|it| Arc::clone(&it.shared)),
            )),
        };
        inner.archiving.watch(&first.shared);
        Ok(Self {
            inner,
            first,
            second,
        })
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> ArchiverStatus {
        self.first.shared.snapshot()
    }

    /// Archives until it is told to stop, through restarts and failovers of the server and
    /// faults of the store.
    ///
    /// Told to stop, it stores what it has received, for at most
    /// [`ArchiverOptions::upload_timeout`].
    ///
    /// Where there are two stores, an error that ends the one does not end the other: it
    /// stands in the status, and comes back from here when both have ended.
    ///
    /// # Errors
    /// What trying again does not help against: `InvalidConfig`, `WrongSystem` for another
    /// cluster than the archive's, `Integrity` where the archive holds other bytes than the
    /// server sends, `Fenced` where another archiver took over; and at the first connection
    /// `Unauthenticated`, `PermissionDenied`, `SourceSettings` and `StoreDenied`.
    ///
    /// # Cancel safety
    /// Dropping the future stops it at once. What the store had not acknowledged was not
    /// reported to the server, and is sent again.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<()> {
        let first = self.archive(&self.first, &shutdown);
        let Some(second) = &self.second else {
            return first.await;
        };
        let (first, second) = tokio::join!(first, self.archive(second, &shutdown));
        first.and(second)
    }

    /// Archives into one store.
    async fn archive(&self, way: &Way, shutdown: &CancellationToken) -> Result<()> {
        let stop = shutdown.child_token();
        let mut engine = Engine {
            inner: Arc::clone(&self.inner),
            repository: way.repository.clone(),
            options: Arc::clone(&way.options),
            shared: Arc::clone(&way.shared),
            archive: None,
            epoch: None,
            epoch_since: None,
            skip: None,
            has_streamed: false,
            lease: None,
            stop: stop.clone(),
            spool_lock: None,
        };
        let outcome = Box::pin(engine.supervise(&stop)).await;
        let fenced = engine.release_lease().await;
        let outcome = fenced.map_or(outcome, Err);
        match &outcome {
            Ok(()) => way.shared.set_state(ArchiverState::Idle),
            Err(err) => way.shared.ended(err),
        }
        outcome
    }
}

/// One run of an archiver.
pub(crate) struct Engine {
    inner: Arc<Inner>,
    repository: Repository,
    options: Arc<ArchiverOptions>,
    shared: Arc<Shared>,
    archive: Option<WalArchive>,
    epoch: Option<EpochKey>,
    epoch_since: Option<Instant>,
    /// WAL that the server no longer has is to be skipped, and why.
    skip: Option<GapReason>,
    has_streamed: bool,
    lease: Option<LeaseTask>,
    stop: CancellationToken,
    /// Held for as long as this process uses the spool folder.
    spool_lock: Option<std::fs::File>,
}

/// The task that keeps the lease, and how to end it.
struct LeaseTask {
    release: CancellationToken,
    task: JoinHandle<Option<Error>>,
}

impl Drop for LeaseTask {
    fn drop(&mut self) {
        // Nobody renews the lease of an archiver that was dropped.
        self.task.abort();
    }
}

impl Engine {
    async fn supervise(&mut self, stop: &CancellationToken) -> Result<()> {
        let mut backoff = Backoff::new(self.options.max_backoff);
        loop {
            self.shared.set_state(ArchiverState::Connecting);
            let begun = Instant::now();
            let guard = guard::guard(
                Arc::clone(&self.inner.database),
                Arc::clone(&self.options),
                Arc::clone(&self.shared),
            );
            // The slot is watched also while the store keeps a session from beginning.
            let session = tokio::select! {
                session = self.session(stop) => session,
                () = guard => {
                    self.drop_slot().await;
                    continue;
                }
            };
            if begun.elapsed() > self.options.max_backoff {
                backoff.reset();
            }
            match session {
                Ok(End::Shutdown) => return Ok(()),
                Ok(End::TimelineEnded) => continue,
                Ok(End::ServerStopped) => {}
                Err(_) if stop.is_cancelled() => return Ok(()),
                Err(err) if is_fatal(&err, self.has_streamed) => return Err(err),
                Err(err) => self.shared.failed(&err),
            }
            if stop.run_until_cancelled(backoff.wait()).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn drop_slot(&mut self) {
        tracing::error!(slot = %self.options.slot, "the slot keeps too much WAL and is dropped");
        match slot::drop(&*self.inner.replication, &self.options).await {
            Ok(()) => self.skip = Some(GapReason::DroppedByPolicy),
            // The guard finds it again.
            Err(err) => self.shared.failed(&err),
        }
        self.shared.update(|status| status.slot = None);
    }

    /// Waits until no other process archives this cluster.
    async fn take_lease(&mut self, archive: &WalArchive) -> Result<()> {
        let instance = BackupIdentity::generate().public_text();
        let holder = match &self.options.spool {
            Some(spool) => {
                let mut attempts = 0;
                let (locked, holder) = loop {
                    match lock_spool(spool, &instance) {
                        // A child of this process that is being started has the lock of a
                        // predecessor for a moment, until it runs its program.
                        Err(_) if attempts < SPOOL_ATTEMPTS => {
                            attempts += 1;
                            tokio::time::sleep(SPOOL_PAUSE).await;
                        }
                        outcome => break outcome?,
                    }
                };
                self.spool_lock = Some(locked);
                holder
            }
            None => instance.clone(),
        };
        let shared = Arc::clone(&self.shared);
        let acquire = WalLease::acquire(
            Arc::clone(archive.store()),
            archive.layout().lease()?,
            holder,
            instance,
            self.options.lease_lifetime,
            move |_| shared.set_state(ArchiverState::WaitingForLease),
        );
        let Some(acquired) = self.stop.run_until_cancelled(acquire).await else {
            return Ok(());
        };
        let mut lease = acquired?;
        let release = CancellationToken::new();
        let (released, stop) = (release.clone(), self.stop.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                err = lease.keep() => {
                    stop.cancel();
                    return Some(err);
                }
                () = released.cancelled() => {}
            }
            lease.release().await;
            None
        });
        self.lease = Some(LeaseTask { release, task });
        Ok(())
    }

    /// Gives the lease up; tells where it had been lost.
    async fn release_lease(&mut self) -> Option<Error> {
        let mut lease = self.lease.take()?;
        lease.release.cancel();
        (&mut lease.task).await.ok().flatten()
    }
}

/// Locks a spool folder for this process, and reads or makes up its name.
fn lock_spool(spool: &Path, fresh: &str) -> Result<(std::fs::File, String)> {
    let failed = |source: std::io::Error| {
        let message = "the spool folder cannot be used";
        Error::new(ErrorKind::InvalidConfig, OPERATION, message).with_source(source)
    };
    std::fs::create_dir_all(spool).map_err(failed)?;
    let path = spool.join("holder");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    let lock = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    rustix::fs::flock(&file, lock).map_err(|errno| {
        let message = "another process uses the spool folder";
        Error::new(ErrorKind::InvalidConfig, OPERATION, message).with_source(errno)
    })?;
    let holder = std::fs::read_to_string(&path).map_err(failed)?;
    if !holder.is_empty() {
        return Ok((file, holder));
    }
    std::fs::write(&path, fresh).map_err(failed)?;
    Ok((file, fresh.to_owned()))
}
