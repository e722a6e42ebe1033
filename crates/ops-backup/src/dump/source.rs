//! The database that is backed up.

use std::collections::{BTreeMap, BTreeSet};

use ops_core::Report;
use ops_core::database::{ConnectInfo, Engine};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::error::from_driver;
use tokio_postgres::Client;

use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::fingerprint::{self, Fingerprint};
use crate::repository::SourceInfo;

/// A session with the database, in the transaction whose snapshot is exported.
pub(super) struct Source {
    pub(super) info: SourceInfo,
    pub(super) connect_info: ConnectInfo,
    client: Client,
}

/// Why a session ended that was open: it worked before.
#[cold]
fn lost(err: ops_core::Error) -> Error {
    use ops_core::ErrorKind as Core;
    let kind = match err.kind() {
        Core::Unavailable | Core::Timeout => ErrorKind::SourceLost,
        Core::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::SourceUnavailable,
    };
    let message = format!("the database could not be read: {}", Report(&err));
    Error::new(kind, "dump", message).with_source(err)
}

impl Source {
    pub(super) async fn connect(inner: &Inner) -> Result<Self> {
        let unusable = |err| Error::source_database("dump", err);
        let connect_info = inner.database.connect_info().await.map_err(unusable)?;
        if connect_info.engine != Engine::Postgres {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "dump",
                "the database is not PostgreSQL",
            ));
        }
        let options = ConnectOptions::default().with_application_name("ops-backup");
        let client = connect(&connect_info, &options).await.map_err(unusable)?;
        // First of all: what the role is set to may leave a statement no time.
        fingerprint::prepare_session(&client)
            .await
            .map_err(unusable)?;
        let info = describe(&client).await.map_err(unusable)?;
        Ok(Self {
            info,
            connect_info,
            client,
        })
    }

    /// Begins the transaction and exports its snapshot.
    pub(super) async fn export_snapshot(&self) -> Result<String> {
        self.client
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(|err| lost(from_driver(err)))?;
        let row = self
            .client
            .query_one("SELECT pg_catalog.pg_export_snapshot()", &[])
            .await
            .map_err(|err| lost(from_driver(err)))?;
        row.try_get(0).map_err(|err| lost(from_driver(err)))
    }

    pub(super) async fn count_objects(&self) -> Result<BTreeMap<String, i64>> {
        fingerprint::count_objects(&self.client).await.map_err(lost)
    }

    pub(super) async fn extension_tables(&self) -> Result<BTreeSet<(String, String)>> {
        fingerprint::extension_tables(&self.client)
            .await
            .map_err(lost)
    }

    /// About how many bytes a dump will have: the heaps and what is toasted.
    pub(super) async fn estimate(&self) -> Option<u64> {
        let row = self
            .client
            .query_one(
                "SELECT coalesce(sum(pg_catalog.pg_relation_size(c.oid)), 0)::int8 \
                 FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 't') \
                 AND c.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace",
                &[],
            )
            .await
            .ok()?;
        u64::try_from(row.try_get::<_, i64>(0).ok()?).ok()
    }

    /// Reads every table once more, in the dump's snapshot, and compares.
    pub(super) async fn compare(&self, dumped: &Fingerprint) -> Result<()> {
        let differs = |what: String| {
            Error::new(
                ErrorKind::Archive,
                "dump",
                format!("the dump of {what} is not what the database holds"),
            )
        };
        for table in &dumped.tables {
            let found = fingerprint::digest_table(&self.client, &table.copy, &self.info.encoding)
                .await
                .map_err(lost)?;
            if found != table.digest {
                return Err(differs(format!("table {}.{}", table.schema, table.name)));
            }
        }
        let found = fingerprint::digest_large_objects(&self.client)
            .await
            .map_err(lost)?;
        if found == dumped.large_objects {
            Ok(())
        } else {
            Err(differs("large objects".to_owned()))
        }
    }

    pub(super) fn close(self) -> (SourceInfo, ConnectInfo) {
        (self.info, self.connect_info)
    }
}

async fn describe(client: &Client) -> ops_core::Result<SourceInfo> {
    let row = client
        .query_one(
            "SELECT pg_catalog.current_setting('server_version'), \
             pg_catalog.current_setting('server_version_num')::int4, datname::text, \
             pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text, \
             (SELECT rolname::text FROM pg_catalog.pg_roles WHERE oid = 10) \
             FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
            &[],
        )
        .await
        .map_err(from_driver)?;
    let number: i32 = row.try_get(1).map_err(from_driver)?;
    Ok(SourceInfo {
        server_version: row.try_get(0).map_err(from_driver)?,
        server_major: u32::try_from(number / 10_000).unwrap_or_default(),
        database: row.try_get(2).map_err(from_driver)?,
        encoding: row.try_get(3).map_err(from_driver)?,
        collate: row
            .try_get::<_, Option<String>>(4)
            .map_err(from_driver)?
            .unwrap_or_default(),
        ctype: row
            .try_get::<_, Option<String>>(5)
            .map_err(from_driver)?
            .unwrap_or_default(),
        superuser: row.try_get(6).map_err(from_driver)?,
        client_version: String::new(),
    })
}
