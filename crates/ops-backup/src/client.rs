//! The client programs of PostgreSQL.

use ops_core::database::ConnectInfo;
use ops_core::{ErrorKind as CoreKind, Report};
use ops_pg::binaries::{Binaries, Finder, Major};
use ops_pg::conninfo::libpq_env;
use ops_pg::process::{Exit, Program};

use crate::error::{Error, ErrorKind, Result};
use crate::repository::SourceInfo;

/// The installation whose programs are used for one server.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    binaries: Binaries,
    server: Major,
    operation: &'static str,
}

impl Clients {
    /// Programs that can read a server of a major version: of that very major where it is
    /// installed, else of the next that is. A newer `pg_dump` writes what an older server need
    /// not understand. An installation may be a server alone.
    pub(crate) async fn find(finder: &Finder, major: u32, operation: &'static str) -> Result<Self> {
        let fits =
            |it: &Binaries| it.major() >= Major(major) && it.has("pg_dump") && it.has("pg_restore");
        let all = finder.all().await.into_iter();
        let nearest = all.filter(fits).min_by_key(Binaries::major);
        let found = match nearest {
            Some(binaries) => Ok(binaries),
            None => finder.at_least(Major(major)).await,
        };
        match found {
            Ok(binaries) => Ok(Self {
                binaries,
                server: Major(major),
                operation,
            }),
            Err(err) => Err(not_found(finder, major, operation, err).await),
        }
    }

    /// Programs that can read what `pg_dump` of the backup wrote and load it into a target.
    pub(crate) async fn for_restore(
        finder: &Finder,
        target_major: u32,
        source: &SourceInfo,
        operation: &'static str,
    ) -> Result<Self> {
        let written_by = source
            .client_version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        let least = written_by.unwrap_or(source.server_major);
        let found = Self::find(finder, target_major.max(least), operation).await?;
        Ok(Self {
            server: Major(target_major),
            ..found
        })
    }

    /// Whether the server knows what `pg_restore` sets in each session: that of 17 and newer
    /// sets `transaction_timeout`, which is as old.
    pub(crate) fn are_known_to_the_server(&self) -> bool {
        self.binaries.major() < Major(17) || self.server >= Major(17)
    }

    /// What to do about programs that are newer than the server, which need not understand
    /// what they write.
    pub(crate) fn newer_than_the_server(&self) -> Option<String> {
        let (own, server) = (self.binaries.major(), self.server);
        (own > server).then(|| {
            format!(
                "the client programs are those of PostgreSQL {own}, and a server of {server} \
                 need not understand what they write: install those of {server} where backups are taken"
            )
        })
    }

    pub(crate) fn version(&self) -> String {
        self.binaries.version().to_string()
    }

    /// A program with everything that it needs to connect, by its environment alone.
    ///
    /// `keepalives` end a connection whose peer has vanished; they are no secret, and
    /// libpq takes them by the connection string only.
    pub(crate) fn program(&self, name: &str, info: &ConnectInfo) -> Result<Program> {
        let program = self.unconnected(name)?;
        let env = libpq_env(info);
        let program = env
            .plain()
            .fold(program, |program, (name, value)| program.env(name, value));
        let program = env.secret().fold(program, |program, (name, value)| {
            program.secret_env(name, value.clone())
        });
        // Rows must look alike wherever they are written.
        Ok(program
            .env("PGTZ", "UTC")
            .env("PGOPTIONS", SESSION)
            .arg(format!("--dbname={KEEPALIVES}")))
    }

    /// A program that connects to nothing.
    pub(crate) fn unconnected(&self, name: &str) -> Result<Program> {
        let path = self.binaries.program(name).map_err(|err| {
            Error::new(
                ErrorKind::ClientMissing,
                self.operation,
                format!("{name} was not found"),
            )
            .with_hint(format!(
                "install the client programs of PostgreSQL {}",
                self.binaries.major()
            ))
            .with_source(err)
        })?;
        Ok(Program::new(path))
    }
}

#[cold]
async fn not_found(
    finder: &Finder,
    major: u32,
    operation: &'static str,
    source: ops_core::Error,
) -> Error {
    let mut all = finder.all().await;
    all.retain(|it| it.has("pg_dump"));
    let newest = all.into_iter().max_by_key(Binaries::major);
    let (kind, message) = match newest {
        Some(newest) => (
            ErrorKind::ClientTooOld,
            format!(
                "the server is PostgreSQL {major}, the newest client programs here are {}",
                newest.version()
            ),
        ),
        None => (
            ErrorKind::ClientMissing,
            "no client programs of PostgreSQL were found".to_owned(),
        ),
    };
    Error::new(kind, operation, message)
        .with_hint(format!(
            "install the client programs of PostgreSQL {major} or newer"
        ))
        .with_source(source)
}

/// What every client program is told for its sessions: rows must look alike wherever they
/// are written.
pub(crate) const SESSION: &str = "-c bytea_output=hex";

const KEEPALIVES: &str =
    "keepalives=1 keepalives_idle=30 keepalives_interval=10 keepalives_count=6";

/// What a failed client program means.
#[cold]
pub(crate) fn failure(kind: ErrorKind, operation: &'static str, name: &str, exit: &Exit) -> Error {
    let tail = last_line(exit.stderr_tail());
    let lost = [
        "server closed the connection unexpectedly",
        "connection to server was lost",
        "could not receive data from server",
        "SSL SYSCALL error",
        "no connection to the server",
    ]
    .iter()
    .any(|text| exit.stderr_tail().contains(text));
    let kind = if lost && kind == ErrorKind::ClientFailed {
        ErrorKind::SourceLost
    } else {
        kind
    };
    let message = match exit.signal() {
        Some(signal) => format!("{name} was killed by signal {signal}"),
        None if lost => format!("{name} lost its connection: {tail}"),
        None if tail.is_empty() => {
            format!("{name} ended with status {}", exit.code().unwrap_or(-1))
        }
        None => format!("{name} failed: {tail}"),
    };
    Error::new(kind, operation, message).with_source(exit.to_error(CoreKind::Internal))
}

/// The line of a program's messages that says most: the first error, else the last line.
fn last_line(stderr: &str) -> String {
    let lines = || {
        stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    lines()
        .find(|line| {
            line.contains("error: ") || line.contains("ERROR: ") || line.contains("FATAL: ")
        })
        .or_else(|| lines().next_back())
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(500)
        .collect()
}

/// A failed wait or spawn.
#[cold]
pub(crate) fn not_run(operation: &'static str, name: &str, err: ops_core::Error) -> Error {
    let message = format!("{name} could not be run: {}", Report(&err));
    Error::new(ErrorKind::ClientFailed, operation, message).with_source(err)
}
