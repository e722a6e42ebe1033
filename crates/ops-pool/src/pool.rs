//! The pool's handle.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use ops_core::database::ConnectInfo;
use ops_core::{Error, Result};

use crate::acquire::{self, Acquire};
use crate::builder::SessionPoolBuilder;
use crate::connect::Connect;
use crate::core::{Event, LaneId, Settings};
use crate::error::{AcquireError, Holder};
use crate::histogram::TimingsSnapshot;
use crate::lane::Lanes;
use crate::session::Session;
use crate::shared::{Holding, Shared};
use crate::show::{ConfigRow, DatabasesRow, ListsRow, PoolsRow, SocketRow, StatsRow};
use crate::snapshot::Snapshot;

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

/// How many connections a pool may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolSize {
    /// The most connections.
    pub pool_size: usize,
    /// Connections that are kept open also when nobody uses them.
    pub min_pool_size: usize,
    /// Connections above `pool_size` for when the head of the queue has waited for long.
    pub reserve_pool_size: usize,
}

impl PoolSize {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            pool_size: settings.pool_size,
            min_pool_size: settings.min_pool_size,
            reserve_pool_size: settings.reserve_pool_size,
        }
    }

    /// Sets the most connections.
    #[must_use]
    pub fn with_pool_size(mut self, pool_size: usize) -> Self {
        self.pool_size = pool_size;
        self
    }

    /// Sets how many connections are kept open also when nobody uses them.
    #[must_use]
    pub fn with_min_pool_size(mut self, min_pool_size: usize) -> Self {
        self.min_pool_size = min_pool_size;
        self
    }

    /// Sets how many connections there may be above `pool_size`.
    #[must_use]
    pub fn with_reserve_pool_size(mut self, reserve_pool_size: usize) -> Self {
        self.reserve_pool_size = reserve_pool_size;
        self
    }

    pub(crate) fn check(self, lanes: &Lanes) -> Result<()> {
        let Self {
            pool_size,
            min_pool_size,
            ..
        } = self;
        let mut problems = Vec::new();
        if pool_size == 0 {
            problems.push("pool_size is 0: nobody would ever get a session".to_owned());
        }
        if min_pool_size > pool_size {
            problems.push(format!(
                "min_pool_size is {min_pool_size}, more than pool_size, which is {pool_size}"
            ));
        }
        if pool_size > 0
            && let Some(lane) = lanes.starves(pool_size)
        {
            problems.push(format!(
                "{} of {pool_size} connections are reserved: nothing is left for lane {lane}",
                lanes.reserved()
            ));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid_config(problems).with_operation("pool.resize"))
        }
    }
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

    pub(crate) fn shared(&self) -> &Arc<Shared> {
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
    pub fn acquire(
        &self,
    ) -> impl Future<Output = std::result::Result<Session, AcquireError>> + Send + '_ {
        let location = Location::caller();
        async move {
            let holding = Holding::new(None, location);
            match self.shared().take_idle(LaneId::default(), &holding) {
                Some(session) => Ok(session),
                None => acquire::wait(self.shared(), LaneId::default(), None, holding).await,
            }
        }
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
    ) -> impl Future<Output = std::result::Result<Session, AcquireError>> + Send + '_ {
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

    /// Keeps sessions back: callers wait until [`resume`](Self::resume), connections that
    /// nobody has are closed at once, the others when they come back. Ends when none is
    /// left, so that the server can be restarted.
    ///
    /// `query_wait_timeout` and callers' own deadlines hold; who waits in vain gets
    /// [`AcquireError::Paused`]. Returns false where the pool was resumed before the last
    /// session was back.
    ///
    /// # Cancel safety
    /// The pause has begun when the future is first polled; dropping it only stops waiting.
    pub async fn pause(&self) -> bool {
        self.shared().step(Event::Pause);
        self.shared().quiet().await
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.shared().resume();
    }

    /// Has every connection replaced: what is idle or being opened at once, the others
    /// when their sessions come back. Nobody who waits is refused for it.
    ///
    /// For a server that has moved, or settings of a role that have changed.
    pub fn reconnect(&self) {
        self.shared().step(Event::Reconnect);
    }

    /// Waits until no connection is left that was opened before the last
    /// [`reconnect`](Self::reconnect): PgBouncer's `WAIT_CLOSE`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_close(&self) {
        self.shared().all_current().await;
    }

    /// How many connections the pool may have.
    #[must_use]
    pub fn size(&self) -> PoolSize {
        self.shared().size()
    }

    /// Changes how many connections the pool may have. What is too much is closed at once
    /// where it is idle, and else when its session comes back.
    ///
    /// # Errors
    /// `InvalidConfig` with everything that contradicts itself.
    pub fn resize(&self, size: PoolSize) -> Result<()> {
        self.shared().resize(size)
    }

    /// The state of the pool, for health checks and metrics.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared().snapshot()
    }

    /// How long callers waited and kept sessions, and resets and connecting took.
    #[must_use]
    pub fn timings(&self) -> TimingsSnapshot {
        self.shared().timings()
    }

    /// Who has a session, the longest first.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        self.shared().holders()
    }

    /// The pool as PgBouncer's `SHOW POOLS` shows it.
    #[must_use]
    pub fn show_pools(&self) -> PoolsRow {
        self.shared().show_pools()
    }

    /// The pool as PgBouncer's `SHOW DATABASES` shows it. `disabled` is a pool that shuts
    /// down, and `max_connections` what the pool was built with, without its groups.
    #[must_use]
    pub fn show_databases(&self) -> DatabasesRow {
        self.shared().show_databases()
    }

    /// The connections as PgBouncer's `SHOW SERVERS` shows them, in the order in which they
    /// were opened, those that are being opened first.
    #[must_use]
    pub fn show_servers(&self) -> Vec<SocketRow> {
        self.shared().show_servers()
    }

    /// The callers as PgBouncer's `SHOW CLIENTS` shows them, in the order in which they came.
    #[must_use]
    pub fn show_clients(&self) -> Vec<SocketRow> {
        self.shared().show_clients()
    }

    /// What PgBouncer's `SHOW STATS` shows. Averages are of the last 60 s that are over, and
    /// zero before.
    ///
    /// Queries, transactions and bytes are those of callers: what the pool asks for itself
    /// is not among them. Connections that were detached count until then.
    #[must_use]
    pub fn show_stats(&self) -> StatsRow {
        self.shared().show_stats()
    }

    /// The counts of PgBouncer's `SHOW LISTS`.
    #[must_use]
    pub fn show_lists(&self) -> Vec<ListsRow> {
        self.shared().show_lists()
    }

    /// The settings as PgBouncer's `SHOW CONFIG` shows them.
    #[must_use]
    pub fn show_config(&self) -> Vec<ConfigRow> {
        self.shared().show_config()
    }
}
