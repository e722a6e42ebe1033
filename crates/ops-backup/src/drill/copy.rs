//! Taking from a restored copy what the backup's fingerprint says.

use ops_core::database::ConnectInfo;
use ops_core::{Report, Result as CoreResult};
use ops_pg::error::from_driver;
use ops_pg::process::Io;
use tokio::io::AsyncReadExt;
use tokio_postgres::Client;

use super::Assertion;
use crate::archive::{RowsDigest, Walker};
use crate::client::{self, Clients};
use crate::error::{Error, ErrorKind, Result};
use crate::fingerprint::{
    self, Check, DefinitionFingerprint, Difference, Fingerprint, SequenceFingerprint,
    TableFingerprint, definitions_of,
};

#[cold]
fn unreadable(err: ops_core::Error) -> Error {
    let message = format!("the copy cannot be read: {}", Report(&err));
    Error::new(ErrorKind::RestoreFailed, "drill", message).with_source(err)
}

/// The fingerprint of the copy, over the tables and sequences that it must have.
///
/// One that is missing is left out here, and so is a difference.
pub(super) async fn fingerprint(
    client: &Client,
    expected: &Fingerprint,
    encoding: &str,
) -> Result<Fingerprint> {
    fingerprint::prepare_session(client)
        .await
        .map_err(unreadable)?;
    let mut tables = Vec::with_capacity(expected.tables.len());
    for table in &expected.tables {
        let digest = fingerprint::digest_table(client, &table.copy, encoding).await;
        if let Some(digest) = present(client, digest)? {
            tables.push(TableFingerprint {
                digest,
                ..table.clone()
            });
        }
    }
    let mut sequences = Vec::with_capacity(expected.sequences.len());
    for sequence in &expected.sequences {
        let state = fingerprint::sequence_state(client, &sequence.schema, &sequence.name).await;
        if let Some((last_value, is_called)) = present(client, state)? {
            sequences.push(SequenceFingerprint {
                last_value,
                is_called,
                ..sequence.clone()
            });
        }
    }
    let large_objects: RowsDigest = fingerprint::digest_large_objects(client)
        .await
        .map_err(unreadable)?;
    let objects = fingerprint::count_objects(client)
        .await
        .map_err(unreadable)?;
    Ok(Fingerprint {
        tables,
        sequences,
        large_objects,
        objects: Some(objects),
        definitions: Vec::new(),
    })
}

/// `None` where the server says that the thing cannot be read; an error where the server
/// itself is gone.
fn present<T>(client: &Client, result: CoreResult<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(err) if err.code().is_some() && !client.is_closed() => {
            tracing::debug!(error = %Report(&err), "something is missing in the copy");
            Ok(None)
        }
        Err(err) => Err(unreadable(err)),
    }
}

/// The definitions in the copy, as `pg_dump` writes them.
pub(super) async fn definitions(
    clients: &Clients,
    info: &ConnectInfo,
) -> Result<Vec<DefinitionFingerprint>> {
    let program = clients
        .program("pg_dump", info)?
        .stdout(Io::Piped)
        .arg("--format=custom")
        .arg("--compress=0")
        .arg("--schema-only")
        .arg("--no-password");
    let not_run = |err| client::not_run("drill", "pg_dump", err);
    let mut child = program.spawn().map_err(not_run)?;
    let broken = |source: ops_core::BoxError| {
        Error::new(
            ErrorKind::RestoreFailed,
            "drill",
            "the definitions of the copy cannot be read",
        )
        .with_source(source)
    };
    let mut walker = Walker::new();
    if let Some(mut stdout) = child.take_stdout() {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let len = stdout
                .read(&mut buffer)
                .await
                .map_err(|err| broken(err.into()))?;
            if len == 0 {
                break;
            }
            walker
                .feed(buffer.get(..len).unwrap_or_default())
                .map_err(|err| broken(err.into()))?;
        }
    }
    let exit = child.wait().await.map_err(not_run)?;
    if !exit.success() {
        return Err(client::failure(
            ErrorKind::RestoreFailed,
            "drill",
            "pg_dump",
            &exit,
        ));
    }
    let archive = walker.finish().map_err(|err| broken(err.into()))?;
    Ok(definitions_of(&archive.toc))
}

/// Asks one question.
pub(crate) async fn assert(client: &Client, assertion: &Assertion) -> Check {
    let name = format!("assertion: {}", assertion.name);
    let answer = match client.query(&assertion.sql, &[]).await {
        Ok(rows) => match rows.as_slice() {
            [row] if row.len() == 1 => match row.try_get::<_, Option<bool>>(0) {
                Ok(Some(true)) => return Check::new(name, 1, Vec::new()),
                Ok(answer) => answer.map_or_else(|| "null".to_owned(), |answer| answer.to_string()),
                Err(_) => "something else than a boolean".to_owned(),
            },
            rows => format!("{} rows", rows.len()),
        },
        Err(err) => from_driver(err).message().to_owned(),
    };
    Check::new(
        name,
        1,
        vec![Difference::new(assertion.name.clone(), "true", answer)],
    )
}
