//! The whole data set at once.

use ops_core::database::ConnectInfo;
use ops_core::{ErrorKind, Result};
use ops_pg::binaries::Binaries;
use ops_pg::conninfo::libpq_env;
use ops_pg::process::Program;

use super::{BulkReport, install_bulk, install_schema, pgbench_scale_for};

/// Makes the schema with what breaks naive backups, gives about `pgbench_bytes` to the
/// tables of pgbench, and fills the database up to about `total_bytes` with other kinds of
/// rows: those of pgbench alone compress forty times.
///
/// # Errors
/// Those of [`install_schema`] and [`install_bulk`]; `NotFound` where the installation has
/// no `pgbench`.
///
/// # Cancel safety
/// After an error or a dropped future, drop the database.
pub async fn load(
    info: &ConnectInfo,
    binaries: &Binaries,
    pgbench_bytes: u64,
    total_bytes: u64,
) -> Result<BulkReport> {
    install_schema(info).await?;
    let env = libpq_env(info);
    let program = env.plain().fold(
        Program::new(binaries.program("pgbench")?),
        |program, (name, value)| program.env(name, value),
    );
    let program = env
        .secret()
        .fold(program, |program, (name, value)| {
            program.secret_env(name, value.clone())
        })
        .args(["--initialize", "--quiet", "--scale"])
        .arg(pgbench_scale_for(pgbench_bytes).to_string());
    program.spawn()?.wait().await?.check(ErrorKind::Internal)?;
    install_bulk(info, total_bytes).await
}
