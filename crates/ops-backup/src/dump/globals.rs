//! What belongs to the cluster and not to the database: roles and tablespaces.

use ops_core::database::ConnectInfo;
use ops_pg::process::Io;
use tokio::io::AsyncReadExt;

use super::Run;
use crate::client;
use crate::error::{Error, ErrorKind, Result};

/// The most that roles and tablespaces may take; about 200 bytes go to a role.
const MAX_BYTES: u64 = 16 << 20;

/// Runs `pg_dumpall --globals-only`; without password hashes where the role may not read
/// them, which is a warning.
pub(super) async fn read(
    run: &Run<'_>,
    info: &ConnectInfo,
    warnings: &mut Vec<String>,
) -> Result<Vec<u8>> {
    match attempt(run, info, &[]).await {
        Err(err) if err.kind() == ErrorKind::ClientFailed => {
            let globals = attempt(run, info, &["--no-role-passwords"]).await?;
            run.events.warn(
                warnings,
                "the role may not read password hashes: restored roles will have no passwords",
            );
            Ok(globals)
        }
        result => result,
    }
}

async fn attempt(run: &Run<'_>, info: &ConnectInfo, arguments: &[&str]) -> Result<Vec<u8>> {
    let program = run
        .clients
        .program("pg_dumpall", info)?
        .stdout(Io::Piped)
        .arg("--globals-only")
        .arg("--no-password")
        .args(arguments);
    let mut child = program
        .spawn()
        .map_err(|err| client::not_run("dump", "pg_dumpall", err))?;
    let mut globals = Vec::new();
    if let Some(stdout) = child.take_stdout() {
        stdout
            .take(MAX_BYTES + 1)
            .read_to_end(&mut globals)
            .await
            .map_err(|source| {
                Error::new(
                    ErrorKind::ClientFailed,
                    "dump",
                    "the output of pg_dumpall cannot be read",
                )
                .with_source(source)
            })?;
    }
    if globals.len() as u64 > MAX_BYTES {
        let message = format!("roles and tablespaces take more than {MAX_BYTES} bytes");
        return Err(Error::new(ErrorKind::Archive, "dump", message));
    }
    let exit = child
        .wait()
        .await
        .map_err(|err| client::not_run("dump", "pg_dumpall", err))?;
    if exit.success() {
        Ok(globals)
    } else {
        Err(client::failure(
            ErrorKind::ClientFailed,
            "dump",
            "pg_dumpall",
            &exit,
        ))
    }
}
