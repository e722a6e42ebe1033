//! The pool's handle.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use ops_core::database::ConnectInfo;

use crate::acquire::Acquire;
use crate::builder::SessionPoolBuilder;
use crate::connect::Connect;
use crate::error::{AcquireError, Holder};
use crate::session::Session;
use crate::shared::Shared;
use crate::snapshot::{ShowPools, Snapshot};

/// A pool of sessions of one user on one database. Clones are the same pool.
///
/// When the last clone is dropped the pool shuts down: what is idle is closed at once,
/// sessions that are out are closed when they come back.
#[derive(Clone, Debug)]
pub struct SessionPool {
    handle: Arc<Last>,
}

/// Shuts the pool down with its last handle: tasks and sessions hold the state alone.
#[derive(Debug)]
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.drain();
    }
}

/// How to end a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drain {
    /// Without waiting for sessions that are out; each is closed when it comes back.
    Now,
    /// After waiting this long for sessions to come back.
    Sessions(Duration),
}

/// How a pool has ended.
#[derive(Clone, Debug)]
#[must_use = "it tells who did not come back"]
#[non_exhaustive]
pub struct DrainReport {
    /// Whether every connection is closed.
    pub complete: bool,
    /// Who still has a session, the longest first.
    pub holders: Vec<Holder>,
}

impl SessionPool {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            handle: Arc::new(Last(shared)),
        }
    }

    /// Describes a pool for a database.
    pub fn builder(info: ConnectInfo) -> SessionPoolBuilder {
        SessionPoolBuilder::from_info(info)
    }

    /// Describes a pool whose connections come from elsewhere.
    pub fn builder_with(connect: Arc<dyn Connect>) -> SessionPoolBuilder {
        SessionPoolBuilder::from_connect(connect)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.0
    }

    /// Waits for a session, in the order of arrival, for up to `query_wait_timeout`.
    ///
    /// # Errors
    /// [`AcquireError::Timeout`] with a report of who has the sessions;
    /// [`AcquireError::ServerDown`] at once where the server cannot be reached;
    /// [`AcquireError::ShuttingDown`].
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue. Nothing is lost.
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = Result<Session, AcquireError>> + Send + '_ {
        self.acquire_with(Acquire::new())
    }

    /// As [`acquire`](Self::acquire), with a deadline or a label.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_with(
        &self,
        how: Acquire,
    ) -> impl Future<Output = Result<Session, AcquireError>> + Send + '_ {
        how.run(self.shared(), Location::caller())
    }

    /// Ends the pool: nobody gets a session anymore, waiters are refused, what is idle is
    /// closed, and so is each session that comes back.
    ///
    /// # Cancel safety
    /// The end has begun when the future is first polled; dropping it only stops waiting.
    pub async fn shutdown(&self, drain: Drain) -> DrainReport {
        let shared = self.shared();
        shared.drain();
        if let Drain::Sessions(limit) = drain {
            let _ = tokio::time::timeout(limit, shared.drained()).await;
        }
        let holders = shared.holders();
        DrainReport {
            complete: shared.is_drained(),
            holders,
        }
    }

    /// The state of the pool, for health checks and metrics.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared().snapshot()
    }

    /// Who has a session, the longest first.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        self.shared().holders()
    }

    /// The state of the pool as PgBouncer's `SHOW POOLS` tells it.
    #[must_use]
    pub fn show_pools(&self) -> ShowPools {
        ShowPools::of(&self.snapshot(), self.shared().config())
    }
}
