//! Watching the slot: it keeps WAL for us, and may fill the server's disk.

use std::sync::Arc;
use std::time::Duration;

use ops_core::Database;
use ops_pg::connect::ConnectOptions;
use tokio_postgres::Client;

use super::super::OPERATION;
use super::status::{Shared, SlotHealth};
use super::{ArchiverOptions, SlotPolicy};
use crate::error::{Error, ErrorKind, Result};

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

const SQL: &str = "SELECT wal_status, safe_wal_size, pg_catalog.pg_wal_lsn_diff(\
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
    ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn)::bigint \
    FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";

/// Looks at the slot again and again. Comes back where policy says that it must go.
///
/// Needs an ordinary connection to the database. Where there is none to be had, what the
/// slot keeps is not known, and free disk alone counts.
pub(crate) async fn guard(
    database: Arc<dyn Database>,
    options: Arc<ArchiverOptions>,
    shared: Arc<Shared>,
) {
    let mut client = None;
    loop {
        let looked = tokio::time::timeout(TIMEOUT, look(&mut client, &*database, &options));
        let health = match looked.await {
            Ok(Ok(health)) => health,
            Ok(Err(err)) => {
                tracing::debug!(error = %ops_core::Report(&err), "the slot could not be looked at");
                client = None;
                None
            }
            Err(_) => {
                client = None;
                None
            }
        };
        let free_disk = options.free_disk.as_ref().and_then(|free| free());
        let must_go = must_drop(&options, health.as_ref(), free_disk);
        shared.update(|status| {
            status.slot = health.map(|health| SlotHealth {
                free_disk,
                ..health
            });
        });
        if must_go {
            return;
        }
        tokio::time::sleep(options.guard_interval).await;
    }
}

async fn look(
    client: &mut Option<Client>,
    database: &dyn Database,
    options: &ArchiverOptions,
) -> Result<Option<SlotHealth>> {
    let failed = |err| Error::source_database(OPERATION, err);
    if client.is_none() {
        let info = database.connect_info().await.map_err(failed)?;
        // Commits wait for the name of the stream; this connection must not have it.
        let name = format!("{}_guard", options.application_name);
        let connect = ConnectOptions::default().with_application_name(name);
        *client = Some(
            ops_pg::connect::connect(&info, &connect)
                .await
                .map_err(failed)?,
        );
    }
    let Some(client) = client else {
        return Ok(None);
    };
    let lost = |source: tokio_postgres::Error| {
        Error::new(
            ErrorKind::SourceLost,
            OPERATION,
            "the server does not tell of the slot",
        )
        .with_source(source)
    };
    let row = client
        .query_opt(SQL, &[&options.slot.as_str()])
        .await
        .map_err(lost)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let wal_status: Option<String> = row.try_get(0).map_err(lost)?;
    let retained: Option<i64> = row.try_get(2).map_err(lost)?;
    Ok(Some(SlotHealth {
        wal_status: wal_status.unwrap_or_else(|| "lost".to_owned()),
        safe_wal_size: row.try_get(1).map_err(lost)?,
        retained_bytes: retained
            .and_then(|it| u64::try_from(it).ok())
            .unwrap_or_default(),
        free_disk: None,
    }))
}

fn must_drop(
    options: &ArchiverOptions,
    health: Option<&SlotHealth>,
    free_disk: Option<u64>,
) -> bool {
    let keeps_too_much = match options.slot_policy {
        SlotPolicy::Block => false,
        SlotPolicy::DropAbove(bytes) => health.is_some_and(|it| it.retained_bytes > bytes),
    };
    let has_too_little = match (options.min_free_disk, free_disk) {
        (Some(min), Some(free)) => free < min,
        _ => false,
    };
    keeps_too_much || has_too_little
}
