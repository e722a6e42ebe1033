//! One connection to a server.

use bytes::Bytes;
use futures_core::Stream;
use ops_core::database::ConnectInfo;
use ops_core::{Error, Result};

use crate::backup::{BaseBackup, BaseBackupOptions};
use crate::lsn::Lsn;
use crate::options::ReplicationOptions;
use crate::slot::{SlotName, SlotOptions, SlotPosition};
use crate::stream::{StartReplication, WalStream};
use crate::system::SystemId;
use crate::timeline::{Timeline, TimelineHistory};

/// One connection to a server that speaks the replication protocol.
#[derive(Debug)]
pub struct ReplicationClient {}

/// What `IDENTIFY_SYSTEM` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemIdentity {
    /// Which cluster it is.
    pub system_id: SystemId,
    /// Its current timeline.
    pub timeline: Timeline,
    /// Up to where its WAL is flushed; on a standby, replayed or received.
    pub flushed: Lsn,
    /// The database of the connection, which [`Mode::Physical`](crate::Mode) has none of.
    pub database: Option<String>,
}

impl SystemIdentity {
    /// Fails where it is another cluster.
    ///
    /// # Errors
    /// `Conflict` with [`Failure::WrongSystem`](crate::Failure::WrongSystem).
    pub fn expect(&self, _system_id: SystemId) -> Result<()> {
        Err(Error::unsupported("replication"))
    }
}

/// A row of an answer, in text as the server wrote it.
#[derive(Clone, Debug)]
pub struct Row {}

impl Row {
    /// The value of a column by its name; `None` where it is NULL or there is none.
    pub fn get(&self, _column: &str) -> Option<&Bytes> {
        None
    }

    /// The value of a column by its index; `None` where it is NULL or there is none.
    pub fn value(&self, _index: usize) -> Option<&Bytes> {
        None
    }

    /// The value of a column by its name as text; `None` where it is NULL or there is none.
    ///
    /// # Errors
    /// `Decode` where it is not UTF-8.
    pub fn text(&self, _column: &str) -> Result<Option<&str>> {
        Err(Error::unsupported("replication"))
    }
}

#[expect(clippy::unused_async, reason = "the signatures come first")]
impl ReplicationClient {
    /// Connects and logs in.
    ///
    /// # Errors
    /// As the connecting of `ops_pg`, and see [`Failure`](crate::Failure).
    pub async fn connect(_info: &ConnectInfo, _options: &ReplicationOptions) -> Result<Self> {
        Err(Error::unsupported("replication"))
    }

    /// The version of the server, such as 150018.
    pub fn server_version_num(&self) -> u32 {
        0
    }

    /// Asks which cluster it is, and where it stands.
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn identify_system(&mut self) -> Result<SystemIdentity> {
        Err(Error::unsupported("replication"))
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn show(&mut self, _setting: &str) -> Result<String> {
        Err(Error::unsupported("replication"))
    }

    /// Runs a command, or SQL where the connection has a database.
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn query(&mut self, _sql: &str) -> Result<Vec<Row>> {
        Err(Error::unsupported("replication"))
    }

    /// Creates a physical slot.
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn create_slot(&mut self, _slot: &SlotName, _options: SlotOptions) -> Result<()> {
        Err(Error::unsupported("replication"))
    }

    /// Where a slot stands; `None` where there is none of that name. Before PostgreSQL 15
    /// it needs [`Mode::Database`](crate::Mode).
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn read_slot(&mut self, _slot: &SlotName) -> Result<Option<SlotPosition>> {
        Err(Error::unsupported("replication"))
    }

    /// Drops a slot, and waits for whoever uses it where `wait` says so.
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn drop_slot(&mut self, _slot: &SlotName, _wait: bool) -> Result<()> {
        Err(Error::unsupported("replication"))
    }

    /// The history of a timeline. Timeline 1 has none.
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn timeline_history(&mut self, _timeline: Timeline) -> Result<TimelineHistory> {
        Err(Error::unsupported("replication"))
    }

    /// Sends the manifest of the previous backup, for an incremental one (PostgreSQL 17).
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn upload_manifest<S>(&mut self, _manifest: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes>> + Send,
    {
        Err(Error::unsupported("replication"))
    }

    /// Begins a base backup. Returns once the server has begun to send it.
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn base_backup(self, _options: &BaseBackupOptions) -> Result<BaseBackup> {
        Err(Error::unsupported("replication"))
    }

    /// Begins to stream WAL.
    ///
    /// # Errors
    /// See [`Failure`](crate::Failure).
    pub async fn start_replication(self, _start: StartReplication) -> Result<WalStream> {
        Err(Error::unsupported("replication"))
    }
}
