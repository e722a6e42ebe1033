//! What an instance is doing, in numbers.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::macros::setters;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Connections by state.
///
/// The states are those of PostgreSQL's `pg_stat_activity`. An engine without them
/// counts every connection as active or idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Running a statement.
    pub active: u32,
    /// Waiting for the client, outside a transaction.
    pub idle: u32,
    /// Waiting for the client, inside a transaction; also one that has failed.
    pub idle_in_transaction: u32,
    /// In any other state.
    pub other: u32,
    /// Of all these, how many wait for a lock.
    pub waiting_for_lock: u32,
    /// The most connections that the server takes, where it has a limit.
    pub max: Option<u32>,
    /// How many of those are kept for superusers.
    pub reserved: u32,
}

impl ConnectionStats {
    /// All connections together.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.active
            .saturating_add(self.idle)
            .saturating_add(self.idle_in_transaction)
            .saturating_add(self.other)
    }

    /// The used part of what ordinary users may have; `None` without a limit.
    #[must_use]
    pub fn used_ratio(&self) -> Option<f64> {
        let usable = self.max?.saturating_sub(self.reserved);
        (usable > 0).then(|| f64::from(self.total()) / f64::from(usable))
    }
}

setters! { ConnectionStats {
    opt { with_max(max: u32) }
    val {
        with_active(active: u32),
        with_idle(idle: u32),
        with_idle_in_transaction(idle_in_transaction: u32),
        with_other(other: u32),
        with_waiting_for_lock(waiting_for_lock: u32),
        with_reserved(reserved: u32),
    }
} }

/// How much an instance stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SizeStats {
    /// The database, key space or index that the provider stands for, in bytes.
    pub database_bytes: u64,
    /// Everything on the instance, in bytes, where that can be told.
    pub instance_bytes: Option<u64>,
    /// What the plan or `maxmemory` allows, in bytes, where there is a limit.
    pub limit_bytes: Option<u64>,
    /// Keys, rows or vectors, where the engine counts them without a scan.
    pub items: Option<u64>,
}

impl SizeStats {
    /// A size without a limit.
    #[must_use]
    pub fn new(database_bytes: u64) -> Self {
        Self {
            database_bytes,
            instance_bytes: None,
            limit_bytes: None,
            items: None,
        }
    }
}

setters! { SizeStats {
    opt { with_instance_bytes(instance_bytes: u64), with_limit_bytes(limit_bytes: u64), with_items(items: u64) }
} }

/// A statement that runs now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ActiveStatement {
    /// The server's number for the connection.
    pub pid: i64,
    /// The user.
    pub user: Option<String>,
    /// The client's `application_name`.
    pub application: Option<String>,
    /// For how long it has run.
    pub running_for: Duration,
    /// What it waits for, such as `Lock: relation`.
    pub waits_for: Option<String>,
    /// Its text. It may hold data and passwords, so that it is kept as a secret.
    pub text: Secret,
}

impl ActiveStatement {
    /// A statement that runs now.
    pub fn new(pid: i64, running_for: Duration, text: impl Into<Secret>) -> Self {
        Self {
            pid,
            user: None,
            application: None,
            running_for,
            waits_for: None,
            text: text.into(),
        }
    }
}

setters! { ActiveStatement {
    opt_into { with_user(user: String), with_application(application: String), with_waits_for(waits_for: String) }
} }

/// What a kind of statement has cost since the statistics were reset.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlowStatement {
    /// Its text; literals are parameters where the engine does that, and not all are.
    pub text: Secret,
    /// How often it ran.
    pub calls: u64,
    /// The time of all runs.
    pub total: Duration,
    /// The time of a run on average.
    pub mean: Duration,
    /// The time of the longest run, where the engine keeps it.
    pub max: Option<Duration>,
    /// How many rows all runs returned or changed, where the engine keeps it.
    pub rows: Option<u64>,
}

impl SlowStatement {
    /// A kind of statement; the mean is computed.
    pub fn new(text: impl Into<Secret>, calls: u64, total: Duration) -> Self {
        let nanos = total.as_nanos() / u128::from(calls.max(1));
        let mean = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Self {
            text: text.into(),
            calls,
            total,
            mean,
            max: None,
            rows: None,
        }
    }
}

setters! { SlowStatement {
    opt { with_max(max: Duration), with_rows(rows: u64) }
} }

/// How large a table, collection or index is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TableSize {
    /// The schema or namespace.
    pub schema: String,
    /// The table.
    pub table: String,
    /// Everything that belongs to it, in bytes.
    pub total_bytes: u64,
    /// Its indexes, in bytes.
    pub index_bytes: u64,
    /// Rows by the planner's estimate.
    pub estimated_rows: Option<u64>,
    /// Dead rows by the server's estimate.
    pub dead_rows: Option<u64>,
}

impl TableSize {
    /// A table and its size.
    pub fn new(schema: impl Into<String>, table: impl Into<String>, total_bytes: u64) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
            total_bytes,
            index_bytes: 0,
            estimated_rows: None,
            dead_rows: None,
        }
    }
}

setters! { TableSize {
    opt { with_estimated_rows(estimated_rows: u64), with_dead_rows(dead_rows: u64) }
    val { with_index_bytes(index_bytes: u64) }
} }

/// How far a replica is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ReplicaLag {
    /// The replica's name or address.
    pub replica: String,
    /// The connection's state in the server's own word, such as `streaming`.
    pub state: String,
    /// Whether commits wait for it.
    pub is_synchronous: bool,
    /// How many bytes it has still to replay.
    pub replay_bytes: Option<u64>,
    /// How long ago what it shows was written.
    pub replay: Option<Duration>,
}

impl ReplicaLag {
    /// A replica whose lag is not known yet.
    pub fn new(replica: impl Into<String>, state: impl Into<String>) -> Self {
        Self {
            replica: replica.into(),
            state: state.into(),
            is_synchronous: false,
            replay_bytes: None,
            replay: None,
        }
    }
}

setters! { ReplicaLag {
    opt { with_replay_bytes(replay_bytes: u64), with_replay(replay: Duration) }
    val { with_is_synchronous(is_synchronous: bool) }
} }

/// How the archiving of write-ahead log is going, as `pg_stat_archiver` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WalArchiving {
    /// Whether `archive_mode` is on.
    pub is_enabled: bool,
    /// How many files were archived.
    pub archived_count: u64,
    /// The last file that was archived.
    pub last_archived_wal: Option<String>,
    /// When it was.
    pub last_archived_at: Option<Timestamp>,
    /// How often archiving failed.
    pub failed_count: u64,
    /// The last file that could not be archived.
    pub last_failed_wal: Option<String>,
    /// When that was.
    pub last_failed_at: Option<Timestamp>,
}

impl WalArchiving {
    /// Whether the last attempt failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_enabled
            && self
                .last_failed_at
                .is_some_and(|at| Some(at) > self.last_archived_at)
    }
}

setters! { WalArchiving {
    opt { with_last_archived_at(last_archived_at: Timestamp), with_last_failed_at(last_failed_at: Timestamp) }
    opt_into { with_last_archived_wal(last_archived_wal: String), with_last_failed_wal(last_failed_wal: String) }
    val { with_is_enabled(is_enabled: bool), with_archived_count(archived_count: u64), with_failed_count(failed_count: u64) }
} }

/// What an instance is doing, in numbers. An ability of [`Database`](super::Database).
///
/// Each method is one or two cheap statements. What an engine does not have is an empty
/// list or `None`; what this user may not see is `PermissionDenied`, never a zero.
#[async_trait]
pub trait Stats: fmt::Debug + Send + Sync + 'static {
    /// Connections by state, with the limit.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn connections(&self) -> Result<ConnectionStats>;

    /// How much is stored.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn sizes(&self) -> Result<SizeStats>;

    /// Statements that have run for at least this long, longest first, without our own.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn active_statements(&self, at_least: Duration) -> Result<Vec<ActiveStatement>>;

    /// The statements that have cost most, by total time, at most `limit` of them.
    ///
    /// # Errors
    /// `Unsupported` where the server does not collect them (PostgreSQL without
    /// `pg_stat_statements`).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn slow_statements(&self, limit: u32) -> Result<Vec<SlowStatement>>;

    /// The largest tables, largest first, at most `limit` of them.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn table_sizes(&self, limit: u32) -> Result<Vec<TableSize>>;

    /// The replicas that follow this server, or on a replica itself how far it is behind.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn replication(&self) -> Result<Vec<ReplicaLag>>;

    /// How the archiving of write-ahead log is going; `None` where the engine has none.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn wal_archiving(&self) -> Result<Option<WalArchiving>>;
}

const _: fn(&dyn Stats) = |_| {};
