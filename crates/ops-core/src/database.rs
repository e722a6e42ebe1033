//! A database instance: relational, key-value or vector.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{ProviderId, Region};

mod audit;
mod branching;
mod connect;
mod native_backups;
mod provision;
mod stats;

pub use crate::usage::Usage;
pub use audit::{
    Audit, AuditPolicy, Extension, Finding, FindingSeverity, FindingSubject, MigrationQuery,
    MigrationStatus, MigrationTool, RoleInfo, RoleRight, Setting, SettingRule,
};
pub use branching::{Branch, Branching, CreateBranchRequest};
pub use connect::{
    ClientCertificate, ConnectInfo, Host, TlsMode, TlsRoots, TlsSettings, TlsVersion,
};
pub use native_backups::{
    CreateBackupRequest, NativeBackup, NativeBackupState, NativeBackups, NativeRestore,
    RecoveryWindow, RestoreBackupRequest, RestorePoint, RestoreTarget,
};
pub use provision::{
    CreateDatabaseRequest, CreatedDatabase, DatabaseInstance, DatabaseSize, Provision,
};
pub use stats::{
    ActiveStatement, ConnectionStats, ReplicaLag, SizeStats, SlowStatement, Stats, TableSize,
    WalArchiving,
};

/// What kind of database it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// Redis or Valkey.
    Redis,
    /// A vector database.
    Vector,
    /// Anything else, by the vendor's name.
    Other(String),
}

/// What an instance is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DatabaseState {
    /// Being made or started.
    Starting,
    /// Answers.
    Available,
    /// Asleep; wakes on the first connection.
    Suspended,
    /// Being changed: resized, upgraded, restored.
    Updating,
    /// Stopped.
    Stopped,
    /// Being removed.
    Deleting,
    /// Broken, by the vendor's own word.
    Failed,
    /// Anything else, in the vendor's own word.
    Other(String),
}

impl DatabaseState {
    /// The state in one word, or the vendor's own word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Starting => "starting",
            Self::Available => "available",
            Self::Suspended => "suspended",
            Self::Updating => "updating",
            Self::Stopped => "stopped",
            Self::Deleting => "deleting",
            Self::Failed => "failed",
            Self::Other(word) => word,
        }
    }
}

/// Which part of a replication set a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows a primary and takes reads only.
    Replica,
    /// The engine has no such notion, or does not tell.
    Unknown,
}

/// What an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DatabaseDescription {
    /// What kind of database.
    pub engine: Engine,
    /// The server's version as it prints it, such as `15.18`.
    pub version: String,
    /// Where it runs, where the vendor tells.
    pub region: Option<Region>,
    /// How much it stores, in bytes, where that can be told.
    pub size_bytes: Option<u64>,
    /// What it is doing.
    pub state: DatabaseState,
}

impl DatabaseDescription {
    /// What is known of every instance.
    pub fn new(engine: Engine, version: impl Into<String>, state: DatabaseState) -> Self {
        Self {
            engine,
            version: version.into(),
            region: None,
            size_bytes: None,
            state,
        }
    }

    /// Sets where it runs.
    #[must_use]
    pub fn with_region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Sets how much it stores.
    #[must_use]
    pub fn with_size_bytes(mut self, size_bytes: u64) -> Self {
        self.size_bytes = Some(size_bytes);
        self
    }
}

/// An answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ping {
    /// How long one round trip took on a connection that was open already.
    pub latency: Duration,
    /// Which part of a replication set answered.
    pub role: Role,
}

impl Ping {
    /// An answer.
    #[must_use]
    pub fn new(latency: Duration, role: Role) -> Self {
        Self { latency, role }
    }
}

/// A database instance.
///
/// Implemented by each vendor that runs databases, and by plain servers; called by the
/// engines and by applications that hold an `Arc<dyn Database>`.
///
/// # Contract
/// 1. A provider stands for one instance (of a relational server: one database of it).
/// 2. Methods may be called concurrently. Clones of a provider are the same instance.
/// 3. The base methods write nothing.
///
/// # Abilities
/// | accessor | ability |
/// | --- | --- |
/// | [`as_provision`](Self::as_provision) | [`Provision`] |
/// | [`as_native_backups`](Self::as_native_backups) | [`NativeBackups`] |
/// | [`as_branching`](Self::as_branching) | [`Branching`] |
/// | [`as_stats`](Self::as_stats) | [`Stats`] |
/// | [`as_audit`](Self::as_audit) | [`Audit`] |
/// | [`as_usage`](Self::as_usage) | [`Usage`] |
///
/// # Errors
/// `Unauthenticated` for a refused credential, `Unavailable` for a server that cannot be
/// reached or is starting, `NotFound` for a database that is not there, `Timeout` for a
/// deadline. Reading never leaves an unknown outcome.
///
/// # Implementing
/// Implement the base methods, return `Some(self)` from the accessor of each ability
/// that the vendor has, and run the conformance suite. A wrapper wraps the abilities too.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Database: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `postgres`.
    fn provider(&self) -> ProviderId;

    /// What the instance is and what it is doing.
    ///
    /// # Errors
    /// See the trait.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn describe(&self) -> Result<DatabaseDescription>;

    /// How to reach the instance. The password is inside, and prints nowhere.
    ///
    /// # Errors
    /// See the trait.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn connect_info(&self) -> Result<ConnectInfo>;

    /// One round trip to the instance: how long it took, and which role answered.
    ///
    /// # Errors
    /// See the trait.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn ping(&self) -> Result<Ping>;

    /// Making, changing and removing instances, where the provider may.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_provision<'a>(&'a self) -> Option<&'a dyn Provision> {
        None
    }

    /// Backups that the vendor keeps by itself, where it does.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_native_backups<'a>(&'a self) -> Option<&'a dyn NativeBackups> {
        None
    }

    /// Branches, where the vendor has them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_branching<'a>(&'a self) -> Option<&'a dyn Branching> {
        None
    }

    /// What the instance is doing, in numbers.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_stats<'a>(&'a self) -> Option<&'a dyn Stats> {
        None
    }

    /// How the instance is set up.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_audit<'a>(&'a self) -> Option<&'a dyn Audit> {
        None
    }

    /// What was used and what it costs, where the vendor tells.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_usage<'a>(&'a self) -> Option<&'a dyn Usage> {
        None
    }
}

const _: fn(&dyn Database) = |_| {};
