//! [`Database`] for one database of a PostgreSQL server.
//!
//! Everything is asked with simple queries: one round trip each, and nothing that a
//! pooler in front of the server could trip over.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ops_core::database::{ConnectInfo, Database, DatabaseDescription, DatabaseState, Engine, Ping};
use ops_core::{Error, ErrorKind, ProviderId, Result, async_trait};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::ping::Pinger;
use ops_pg::query::{cell, query_row, within};
use tokio_postgres::{Client, SimpleQueryRow};
use tracing::{Instrument, debug_span};

/// The majors that this crate knows.
const MAJORS: RangeInclusive<u32> = 13..=18;

const DESCRIBE: &str = "SELECT pg_catalog.current_setting('server_version'), \
     pg_catalog.current_setting('server_version_num'), \
     pg_catalog.pg_database_size(pg_catalog.current_database())";

/// One database of a PostgreSQL server. Clones are the same database and share the
/// connection that pings go over.
#[derive(Clone)]
pub struct Postgres {
    inner: Arc<Inner>,
}

struct Inner {
    info: ConnectInfo,
    options: ConnectOptions,
    timeout: Duration,
    pinger: Pinger,
}

impl Postgres {
    pub(crate) fn new(info: ConnectInfo, mut options: ConnectOptions, timeout: Duration) -> Self {
        // A step of connecting that takes too long should be the one that is named.
        options.connect_timeout = options.connect_timeout.min(timeout);
        let pinger = Pinger::new(info.clone(), options.clone(), timeout);
        Self {
            inner: Arc::new(Inner {
                info,
                options,
                timeout,
                pinger,
            }),
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres")
            .field(&self.inner.info.to_string())
            .finish()
    }
}

#[async_trait]
impl Database for Postgres {
    fn provider(&self) -> ProviderId {
        ProviderId::from_static("postgres")
    }

    async fn describe(&self) -> Result<DatabaseDescription> {
        let Inner {
            info,
            options,
            timeout,
            ..
        } = &*self.inner;
        // Not over the connection of the pings: measuring the size can take a while.
        let work = async { describe(&connect(info, options).await?).await };
        observe("database.describe", within(*timeout, work)).await
    }

    async fn connect_info(&self) -> Result<ConnectInfo> {
        Ok(self.inner.info.clone())
    }

    async fn ping(&self) -> Result<Ping> {
        observe("database.ping", self.inner.pinger.ping()).await
    }
}

async fn describe(client: &Client) -> Result<DatabaseDescription> {
    let row = query_row(client, DESCRIBE).await?;
    let version = cell(&row, 0)?.split(' ').next().unwrap_or_default();
    let number: u32 = parse(&row, 1)?;
    if !MAJORS.contains(&(number / 10_000)) {
        let (from, to) = (MAJORS.start(), MAJORS.end());
        let message = format!("PostgreSQL {version} is not supported; {from} to {to} are");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(
        DatabaseDescription::new(Engine::Postgres, version, DatabaseState::Available)
            .with_size_bytes(parse(&row, 2)?),
    )
}

fn parse<T: std::str::FromStr>(row: &SimpleQueryRow, column: usize) -> Result<T> {
    let strange = |_| Error::new(ErrorKind::Decode, "the server's answer is not a number");
    cell(row, column)?.parse().map_err(strange)
}

/// The span of an operation, and what its errors have in common.
async fn observe<T>(operation: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let span = debug_span!(
        "ops.database",
        "otel.name" = format_args!("ops.{operation}"),
        "ops.provider" = "postgres",
        "ops.operation" = operation,
        "otel.status_code" = tracing::field::Empty,
        "error.type" = tracing::field::Empty,
    );
    let outcome = work.instrument(span.clone()).await;
    outcome.map_err(|err| {
        span.record("otel.status_code", "ERROR")
            .record("error.type", err.kind().as_str());
        err.with_provider("postgres").with_operation(operation)
    })
}
