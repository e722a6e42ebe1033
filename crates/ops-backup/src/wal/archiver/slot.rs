//! The replication slot.

use std::time::Duration;

use ops_core::Database;
use ops_core::database::ConnectInfo;
use ops_pg::connect::ConnectOptions;
use ops_pg_replication::{Failure, Lsn, Mode, ReplicationClient, ReplicationOptions, SlotOptions};

use super::super::OPERATION;
use super::super::gap::GapReason;
use super::{ArchiverOptions, SlotPolicy};
use crate::error::{Error, ErrorKind, Result};

/// How long the archiver's commands may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the slot stands once it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotState {
    /// The oldest WAL that it keeps, where that can be told.
    pub(crate) restart: Option<Lsn>,
    /// Why it had to be made anew.
    pub(crate) renewed: Option<GapReason>,
}

/// Connects for replication commands, and in `Database` mode for SQL, too.
pub(crate) async fn connect(
    database: &dyn Database,
    options: &ArchiverOptions,
    mode: Mode,
) -> Result<ReplicationClient> {
    let info: ConnectInfo = database
        .connect_info()
        .await
        .map_err(|err| Error::source_database(OPERATION, err))?;
    let connect = ConnectOptions::default().with_application_name(&options.application_name);
    let options = ReplicationOptions::default()
        .with_connect(connect)
        .with_mode(mode)
        .with_command_timeout(COMMAND_TIMEOUT)
        .with_silence_timeout(options.silence_timeout);
    ReplicationClient::connect(&info, &options)
        .await
        .map_err(replication)
}

/// A connection for SQL; `None` where the server does not admit us to one: what only SQL
/// can tell is then not known.
pub(crate) async fn connect_for_sql(
    database: &dyn Database,
    options: &ArchiverOptions,
) -> Result<Option<ReplicationClient>> {
    let mut quiet = options.clone();
    // The name of the stream is what commits wait for; this connection must not have it.
    quiet.application_name = format!("{}_guard", options.application_name);
    match connect(database, &quiet, Mode::Database).await {
        Ok(client) => Ok(Some(client)),
        Err(err)
            if matches!(
                err.kind(),
                ErrorKind::PermissionDenied | ErrorKind::Unauthenticated | ErrorKind::SourceBusy
            ) =>
        {
            tracing::debug!(error = %ops_core::Report(&err), "the slot cannot be watched");
            Ok(None)
        }
        Err(err) => Err(err),
    }
}

/// Sees to it that the slot is there and keeps WAL.
pub(crate) async fn ensure(
    client: &mut ReplicationClient,
    sql: Option<&mut ReplicationClient>,
    options: &ArchiverOptions,
) -> Result<SlotState> {
    // Before PostgreSQL 15 only SQL tells where a slot stands.
    let reader = if client.server_major() >= 15 {
        Some(&mut *client)
    } else {
        sql
    };
    let Some(reader) = reader else {
        let created = client
            .create_slot(&options.slot, SlotOptions::default())
            .await;
        return match created {
            Ok(()) => Ok(SlotState {
                restart: None,
                renewed: Some(GapReason::SlotMissing),
            }),
            Err(err) if Failure::of(&err) == Some(Failure::SlotExists) => Ok(SlotState {
                restart: None,
                renewed: None,
            }),
            Err(err) => Err(replication(err)),
        };
    };
    let there = reader.read_slot(&options.slot).await.map_err(replication)?;
    let renewed = match there {
        Some(position) if position.restart_lsn.is_some() => {
            return Ok(SlotState {
                restart: position.restart_lsn,
                renewed: None,
            });
        }
        // It was invalidated, or never kept any WAL.
        Some(_) => {
            reader
                .drop_slot(&options.slot, true)
                .await
                .map_err(replication)?;
            GapReason::SlotLost
        }
        None => GapReason::SlotMissing,
    };
    reader
        .create_slot(&options.slot, SlotOptions::default())
        .await
        .map_err(replication)?;
    let there = reader.read_slot(&options.slot).await.map_err(replication)?;
    Ok(SlotState {
        restart: there.and_then(|position| position.restart_lsn),
        renewed: Some(renewed),
    })
}

/// Drops the slot, and ends whoever uses it.
pub(crate) async fn drop(database: &dyn Database, options: &ArchiverOptions) -> Result<()> {
    let mut client = connect(database, options, Mode::Physical).await?;
    match client.drop_slot(&options.slot, true).await {
        Ok(()) => Ok(()),
        Err(err) if Failure::of(&err) == Some(Failure::SlotMissing) => Ok(()),
        Err(err) => Err(replication(err)),
    }
}

/// What a server said of itself and its settings before the first stream.
pub(crate) async fn preflight(
    sql: &mut ReplicationClient,
    options: &ArchiverOptions,
) -> Result<()> {
    let rows = sql
        .query("SELECT pg_catalog.pg_is_in_recovery() AS standby")
        .await
        .map_err(replication)?;
    let standby = rows
        .first()
        .map(|row| row.text("standby").map_err(replication))
        .transpose()?
        .flatten();
    if standby == Some("t") && !options.from_standby {
        // It may be about to be promoted, or the primary about to be back.
        let message = "the server is a standby";
        return Err(Error::new(ErrorKind::SourceUnavailable, OPERATION, message)
            .with_hint("connect to the primary, or allow archiving from a standby"));
    }
    let keep = sql
        .show("max_slot_wal_keep_size")
        .await
        .map_err(replication)?;
    if options.slot_policy == SlotPolicy::Block && options.min_free_disk.is_none() && keep == "-1" {
        tracing::warn!(
            "nothing limits how much WAL the slot keeps: while nothing is archived, the server's disk fills up"
        );
    }
    if sql.server_major() >= 18 {
        let idle = sql
            .show("idle_replication_slot_timeout")
            .await
            .map_err(replication)?;
        if idle != "0" {
            tracing::warn!(%idle, "the server drops slots that are idle: an archiver that is away for longer leaves a gap");
        }
    }
    Ok(())
}

/// What the replication client says, as an error of this crate.
#[cold]
pub(crate) fn replication(source: ops_core::Error) -> Error {
    let (kind, message) = match Failure::of(&source) {
        Some(Failure::RefusedByHba | Failure::NotPermitted) => (
            ErrorKind::PermissionDenied,
            "the server does not admit this role to replication",
        ),
        Some(Failure::ReplicationOff | Failure::WalLevelMinimal | Failure::TooManySlots) => (
            ErrorKind::SourceSettings,
            "the server is not set up for replication, or has no room for another slot",
        ),
        Some(Failure::WrongSystem) => (ErrorKind::WrongSystem, "the server is another cluster"),
        Some(Failure::WalRemoved | Failure::SlotLost | Failure::SlotMissing) => (
            ErrorKind::WalMissing,
            "the server no longer has the WAL that comes next",
        ),
        Some(Failure::TooManySenders | Failure::SlotActive) => (
            ErrorKind::SourceBusy,
            "the server has no room for another receiver now",
        ),
        Some(
            Failure::Silent
            | Failure::OutOfSequence
            | Failure::Protocol
            | Failure::AheadOfServer
            | Failure::NotInHistory,
        ) => (ErrorKind::SourceLost, "the stream from the server failed"),
        _ => return Error::source_database(OPERATION, source),
    };
    Error::new(kind, OPERATION, message).with_source(source)
}

/// What the replication client said, in detail.
pub(crate) fn failure_of(error: &Error) -> Option<Failure> {
    let source = std::error::Error::source(error)?;
    Failure::of(source.downcast_ref::<ops_core::Error>()?)
}
