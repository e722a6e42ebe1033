//! Making, changing and removing instances.

use std::fmt;

use async_trait::async_trait;

use super::{ConnectInfo, DatabaseDescription, Engine};
use crate::error::Result;
use crate::id::{DatabaseId, IdempotencyKey, Region};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::outcome::DeleteOutcome;
use crate::time::Timestamp;

/// An instance in the vendor's list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DatabaseInstance {
    /// The vendor's id.
    pub id: DatabaseId,
    /// The name that people gave it.
    pub name: String,
    /// What it is and what it is doing.
    pub description: DatabaseDescription,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

impl DatabaseInstance {
    /// What is known of every instance.
    pub fn new(id: DatabaseId, name: impl Into<String>, description: DatabaseDescription) -> Self {
        Self {
            id,
            name: name.into(),
            description,
            created_at: None,
        }
    }
}

setters! { DatabaseInstance {
    opt { with_created_at(created_at: Timestamp) }
} }

/// How large an instance is. What is `None` is left as it is, or to the vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
#[non_exhaustive]
pub struct DatabaseSize {
    /// A plan or instance class by the vendor's own name, such as `db.t4g.micro`.
    pub plan: Option<String>,
    /// Room for data, in bytes.
    pub storage_bytes: Option<u64>,
    /// The least processor time, in thousandths of one processor; 0 lets it sleep.
    pub min_cpu_millis: Option<u32>,
    /// The most processor time, in thousandths of one processor.
    pub max_cpu_millis: Option<u32>,
    /// How many copies take reads beside the primary.
    pub replicas: Option<u32>,
}

setters! { DatabaseSize {
    opt {
        with_storage_bytes(storage_bytes: u64),
        with_min_cpu_millis(min_cpu_millis: u32),
        with_max_cpu_millis(max_cpu_millis: u32),
        with_replicas(replicas: u32),
    }
    opt_into { with_plan(plan: String) }
} }

/// A request to make an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateDatabaseRequest {
    /// The name, by the vendor's rules.
    pub name: String,
    /// What kind of database.
    pub engine: Engine,
    /// Its major version, such as `16`. Defaults to the vendor's.
    pub version: Option<String>,
    /// Where it runs. Defaults to the vendor's.
    pub region: Option<Region>,
    /// How large it is. Defaults to the vendor's smallest.
    pub size: DatabaseSize,
    /// The length of its vectors, for [`Engine::Vector`].
    pub dimensions: Option<u32>,
    /// The same key makes the same instance. Defaults to a key of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl CreateDatabaseRequest {
    /// The vendor's smallest instance of an engine.
    pub fn new(name: impl Into<String>, engine: Engine) -> Self {
        Self {
            name: name.into(),
            engine,
            version: None,
            region: None,
            size: DatabaseSize::default(),
            dimensions: None,
            idempotency_key: None,
        }
    }
}

setters! { CreateDatabaseRequest {
    opt {
        with_region(region: Region),
        with_dimensions(dimensions: u32),
        with_idempotency_key(idempotency_key: IdempotencyKey),
    }
    opt_into { with_version(version: String) }
    val { with_size(size: DatabaseSize) }
} }

/// An instance that was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedDatabase {
    /// The instance; it may still be starting.
    pub instance: DatabaseInstance,
    /// How to reach it, where the vendor tells at once. Some tell the password now and never again.
    pub connect_info: Option<ConnectInfo>,
}

impl CreatedDatabase {
    /// An instance that was made.
    #[must_use]
    pub fn new(instance: DatabaseInstance) -> Self {
        Self {
            instance,
            connect_info: None,
        }
    }
}

setters! { CreatedDatabase {
    opt { with_connect_info(connect_info: ConnectInfo) }
} }

/// Making, changing and removing instances of the account that the provider belongs to.
/// An ability of [`Database`](super::Database).
#[async_trait]
pub trait Provision: fmt::Debug + Send + Sync + 'static {
    /// Makes an instance.
    ///
    /// # Behavior
    /// 1. Returns when the vendor has accepted it; the instance may still be starting.
    /// 2. Two calls with one idempotency key make one instance and both answer it; the
    ///    second answer may lack the password.
    ///
    /// # Errors
    /// `AlreadyExists` for a name that is taken, with the id as
    /// [`resource`](crate::Error::resource); `InvalidInput`; `QuotaExceeded`;
    /// `Unsupported` for an engine or size that the vendor does not have. After a timeout
    /// the outcome is unknown: look for the name in [`list_databases`](Self::list_databases).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the instance made.
    async fn create_database(&self, request: CreateDatabaseRequest) -> Result<CreatedDatabase>;

    /// What is known of an instance.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn instance(&self, database: &DatabaseId) -> Result<DatabaseInstance>;

    /// How to reach an instance of the account.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` where the vendor does not tell the password again.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn connect_info_of(&self, database: &DatabaseId) -> Result<ConnectInfo>;

    /// Lists the account's instances, page by page as the stream is polled.
    fn list_databases(&self) -> ItemStream<DatabaseInstance>;

    /// Changes how large an instance is.
    ///
    /// # Behavior
    /// 1. Returns when the vendor has accepted it; the state tells when it is done.
    /// 2. The vendor may restart the instance; connections end.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a size that is unknown or smaller than the data;
    /// `Conflict` while another change runs; `Unsupported`. Repeating is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the change started.
    async fn resize_database(
        &self,
        database: &DatabaseId,
        size: DatabaseSize,
    ) -> Result<DatabaseInstance>;

    /// Deletes an instance and its data. One that is not there is fine.
    ///
    /// # Errors
    /// `Conflict` for an instance that is protected; `PermissionDenied`. After a timeout
    /// the outcome is unknown: deleting again is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the instance deleted.
    async fn delete_database(&self, database: &DatabaseId) -> Result<DeleteOutcome>;
}

const _: fn(&dyn Provision) = |_| {};
