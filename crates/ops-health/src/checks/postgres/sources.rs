//! What a PostgreSQL database tells of itself, for checks that take any source.

use std::time::Duration;

use ops_core::database::ConnectInfo;
use ops_core::{Error, ErrorKind, Result, async_trait};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::error::from_driver;
use tokio_postgres::SimpleQueryMessage;

use crate::checks::{AppliedMigrations, MigrationSource, SizeSource};

/// How long a connection may take. The check's own timeout is mostly shorter.
const CONNECT: Duration = Duration::from_secs(10);

/// A PostgreSQL database that is asked now and then, over a connection for each question.
#[derive(Clone, Debug)]
pub struct PostgresDatabase {
    info: ConnectInfo,
    migrations: Table,
}

/// Where a tool for migrations keeps its books.
#[derive(Clone, Copy, Debug)]
enum Table {
    Sqlx,
    Refinery,
}

impl PostgresDatabase {
    /// Asks this database.
    #[must_use]
    pub fn new(info: ConnectInfo) -> Self {
        Self {
            info,
            migrations: Table::Sqlx,
        }
    }

    /// Reads the migrations of `refinery`. Defaults to those of `sqlx`.
    #[must_use]
    pub fn with_refinery(mut self) -> Self {
        self.migrations = Table::Refinery;
        self
    }

    /// The columns of the one row of an answer.
    async fn row(&self, query: &str) -> Result<Vec<Option<String>>> {
        let options = ConnectOptions::default()
            .with_application_name("ops-health")
            .with_connect_timeout(CONNECT);
        let client = connect(&self.info, &options).await?;
        let messages = client.simple_query(query).await.map_err(from_driver)?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let columns = row.map(|row| {
            (0..row.len())
                .map(|i| row.try_get(i).ok().flatten().map(str::to_owned))
                .collect()
        });
        columns.ok_or_else(unreadable)
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Decode, "the server gave no readable answer")
}

#[async_trait]
impl SizeSource for PostgresDatabase {
    /// The whole database: tables, indexes, and what else is on its disk.
    async fn size_bytes(&self) -> Result<u64> {
        let row = self
            .row("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())")
            .await?;
        let size = row.into_iter().next().flatten().ok_or_else(unreadable)?;
        size.parse().map_err(|_| unreadable())
    }
}

#[async_trait]
impl MigrationSource for PostgresDatabase {
    async fn applied(&self) -> Result<AppliedMigrations> {
        let (table, query) = match self.migrations {
            Table::Sqlx => (
                "_sqlx_migrations",
                "SELECT max(version), coalesce(bool_or(NOT success), false) FROM _sqlx_migrations",
            ),
            // Each is applied in a transaction: none is ever half applied.
            Table::Refinery => (
                "refinery_schema_history",
                "SELECT max(version), false FROM refinery_schema_history",
            ),
        };
        let exists = self
            .row(&format!("SELECT to_regclass('{table}') IS NOT NULL"))
            .await?;
        if exists.first().and_then(Option::as_deref) != Some("t") {
            return Ok(AppliedMigrations::up_to(None));
        }
        let row = self.row(query).await?;
        let mut columns = row.into_iter();
        let newest = columns
            .next()
            .flatten()
            .map(|version| version.parse().map_err(|_| unreadable()))
            .transpose()?;
        let is_dirty = columns.next().flatten().as_deref() == Some("t");
        Ok(AppliedMigrations { newest, is_dirty })
    }
}
