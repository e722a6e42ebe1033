//! The database that is restored into.

use ops_core::database::ConnectInfo;
use ops_core::{ErrorKind as CoreKind, Report};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::error::from_driver;
use tokio_postgres::Client;

use crate::error::{Error, ErrorKind, Result};

pub(super) struct Target {
    pub(super) client: Client,
    pub(super) major: u32,
    info: ConnectInfo,
}

#[cold]
fn unavailable(err: ops_core::Error) -> Error {
    let message = match err.kind() {
        CoreKind::Unauthenticated => "the target refused the login".to_owned(),
        CoreKind::NotFound => "the target database does not exist".to_owned(),
        _ => format!("the target cannot be used: {}", Report(&err)),
    };
    Error::new(ErrorKind::TargetUnavailable, "restore", message)
        .with_left_behind("nothing was written")
        .with_source(err)
}

impl Target {
    pub(super) async fn connect(info: ConnectInfo) -> Result<Self> {
        let options = ConnectOptions::default().with_application_name("ops-restore");
        let client = connect(&info, &options).await.map_err(unavailable)?;
        let row = client
            .query_one(
                "SELECT pg_catalog.current_setting('server_version_num')::int4",
                &[],
            )
            .await
            .map_err(|err| unavailable(from_driver(err)))?;
        let number: i32 = row
            .try_get(0)
            .map_err(|err| unavailable(from_driver(err)))?;
        Ok(Self {
            client,
            major: u32::try_from(number / 10_000).unwrap_or_default(),
            info,
        })
    }

    /// Refuses a database that holds a relation, a function, a type, a large object or a
    /// schema that is neither the system's nor an extension's.
    pub(super) async fn require_empty(&self) -> Result<()> {
        const FIRST_OBJECTS: &str = r"
WITH user_schema AS (
    SELECT oid, nspname FROM pg_catalog.pg_namespace
    WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
), member AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
)
SELECT 'relation ' || s.nspname || '.' || c.relname
    FROM pg_catalog.pg_class c JOIN user_schema s ON s.oid = c.relnamespace
    WHERE (('pg_catalog.pg_class'::pg_catalog.regclass), c.oid) NOT IN (SELECT classid, objid FROM member)
UNION ALL SELECT 'function ' || s.nspname || '.' || p.proname
    FROM pg_catalog.pg_proc p JOIN user_schema s ON s.oid = p.pronamespace
    WHERE (('pg_catalog.pg_proc'::pg_catalog.regclass), p.oid) NOT IN (SELECT classid, objid FROM member)
UNION ALL SELECT 'type ' || s.nspname || '.' || t.typname
    FROM pg_catalog.pg_type t JOIN user_schema s ON s.oid = t.typnamespace
    WHERE (('pg_catalog.pg_type'::pg_catalog.regclass), t.oid) NOT IN (SELECT classid, objid FROM member)
UNION ALL SELECT 'schema ' || nspname FROM user_schema
    WHERE nspname <> 'public'
    AND (('pg_catalog.pg_namespace'::pg_catalog.regclass), oid) NOT IN (SELECT classid, objid FROM member)
UNION ALL SELECT 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata
LIMIT 3";
        let rows = self
            .client
            .query(FIRST_OBJECTS, &[])
            .await
            .map_err(|err| unavailable(from_driver(err)))?;
        let found: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let message = format!("the target is not empty: it holds {}", found.join(", "));
        Err(Error::new(ErrorKind::TargetNotEmpty, "restore", message)
            .with_left_behind("nothing was written")
            .with_hint("restore into a new database, or allow a target that is not empty"))
    }

    pub(super) fn close(self) -> ConnectInfo {
        self.info
    }
}
