//! The programs that load an archive into a database.
//!
//! `pg_restore` of 17 and newer begins with `SET transaction_timeout = 0`, which no older
//! server knows, and there is no option against it. For such a server it writes a script,
//! as its documentation says for a target that is older, and `psql` runs that without the
//! statement.

use std::io;

use ops_core::database::ConnectInfo;
use ops_pg::process::{Exit, Io, Program, Supervised};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::process::ChildStdin;
use tokio::task::JoinHandle;

use super::load::LoadOptions;
use crate::client::{self, Clients};
use crate::error::{Error, ErrorKind, Result};

/// The settings that a script begins with: the last that every server knows, and the one
/// that is left out.
const KNOWN: &[u8] = b"SET idle_in_transaction_session_timeout = 0;\n";
const UNKNOWN: &[u8] = b"SET transaction_timeout = 0;\n";

/// The settings come long before so many bytes.
const HEAD_BYTES: usize = 64 * 1024;

/// How much of a script is under way between the programs.
const BUFFER_BYTES: usize = 256 * 1024;

/// What an archive is fed to.
pub(super) struct Loader {
    // Dropped first: the end of its input must not look like the end of the script.
    psql: Option<Psql>,
    restore: Supervised,
    operation: &'static str,
    hint: Option<String>,
}

/// Runs the script of `pg_restore`.
struct Psql {
    child: Supervised,
    relay: JoinHandle<(io::Result<()>, ChildStdin)>,
}

impl Loader {
    /// Starts what can load into this target.
    pub(super) fn start(
        clients: &Clients,
        target: &ConnectInfo,
        options: &LoadOptions,
    ) -> Result<Self> {
        let operation = options.operation;
        let spawn = |program: Program, name| {
            let spawned = program.stdin(Io::Piped).spawn();
            spawned.map_err(|err| client::not_run(operation, name, err))
        };
        let (restore, psql) = if clients.are_known_to_the_server() {
            let program = connected(clients, "pg_restore", target, options)?;
            (spawn(restoring(program, options), "pg_restore")?, None)
        } else {
            let program = clients.unconnected("pg_restore")?.stdout(Io::Piped);
            let program = restoring(program, options).arg("--file=-");
            let mut restore = spawn(program, "pg_restore")?;
            let psql = connected(clients, "psql", target, options)?.args(PSQL);
            let psql = Psql::start(&mut restore, spawn(psql, "psql")?);
            (restore, Some(psql.ok_or_else(|| no_pipe(operation))?))
        };
        Ok(Self {
            psql,
            restore,
            operation,
            hint: clients.newer_than_the_server(),
        })
    }

    /// Where the archive is written to, once.
    pub(super) fn take_input(&mut self) -> Result<ChildStdin> {
        let input = self.restore.take_stdin();
        input.ok_or_else(|| no_pipe(self.operation))
    }

    /// Waits until everything is loaded. The input must have been closed.
    pub(super) async fn finish(&mut self) -> Result<()> {
        let operation = self.operation;
        let not_run = |name| move |err| client::not_run(operation, name, err);
        let Some(psql) = &mut self.psql else {
            let exit = self.restore.wait().await.map_err(not_run("pg_restore"))?;
            return self.ended("pg_restore", &exit);
        };
        let (passed, end) = (&mut psql.relay).await.map_err(|err| {
            Error::new(ErrorKind::Internal, operation, "a task ended early").with_source(err)
        })?;
        let exit = self.restore.wait().await.map_err(not_run("pg_restore"))?;
        if passed.is_ok() && !exit.success() {
            // Killed before its input ends: nothing may be committed of a part.
            let _ = psql.child.kill().await;
            return self.ended("pg_restore", &exit);
        }
        drop(end);
        let own = psql.child.wait().await.map_err(not_run("psql"))?;
        // Where it has stopped to read, the other had to stop, too.
        self.ended("psql", &own)
            .and_then(|()| self.ended("pg_restore", &exit))
    }

    /// Ends everything before it can commit.
    pub(super) async fn kill(&mut self) {
        if let Some(psql) = &mut self.psql {
            let _ = psql.child.kill().await;
        }
        let _ = self.restore.kill().await;
    }

    fn ended(&self, name: &'static str, exit: &Exit) -> Result<()> {
        if exit.success() {
            return Ok(());
        }
        let err = client::failure(ErrorKind::RestoreFailed, self.operation, name, exit);
        let locks = exit.stderr_tail().contains("max_locks_per_transaction");
        Err(match &self.hint {
            _ if locks => err.with_hint(
                "raise max_locks_per_transaction on the target, or restore without one transaction",
            ),
            Some(hint) => err.with_hint(hint.clone()),
            None => err,
        })
    }
}

const PSQL: [&str; 6] = [
    "--no-psqlrc",
    "--quiet",
    "--output=/dev/null",
    "--set=ON_ERROR_STOP=1",
    "--no-password",
    "--file=-",
];

impl Psql {
    fn start(restore: &mut Supervised, mut child: Supervised) -> Option<Self> {
        let script = restore.take_stdout()?;
        let mut input = child.take_stdin()?;
        let relay = tokio::spawn(async move {
            let passed = relay(script, &mut input).await;
            (passed, input)
        });
        Some(Self { child, relay })
    }
}

#[cold]
fn no_pipe(operation: &'static str) -> Error {
    Error::new(ErrorKind::Internal, operation, "a program has no pipe")
}

fn connected(
    clients: &Clients,
    name: &str,
    target: &ConnectInfo,
    options: &LoadOptions,
) -> Result<Program> {
    let program = clients.program(name, target)?;
    if !options.writable_session {
        return Ok(program);
    }
    let session = format!("{} -c default_transaction_read_only=off", client::SESSION);
    Ok(program.env("PGOPTIONS", session))
}

/// With one transaction, a script has its BEGIN and COMMIT in it.
fn restoring(program: Program, options: &LoadOptions) -> Program {
    let flags = [
        ("--single-transaction", options.single_transaction),
        ("--no-owner", options.no_owner),
        ("--no-privileges", options.no_privileges),
        ("--no-tablespaces", options.no_tablespaces),
    ];
    let wanted = flags.into_iter().filter(|(_, wanted)| *wanted);
    program
        .arg("--format=custom")
        .arg("--exit-on-error")
        .arg("--no-password")
        .args(wanted.map(|(flag, _)| flag))
}

/// Passes a script on, without the setting that old servers do not know.
async fn relay(
    mut script: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let setting = loop {
        let found = head.windows(KNOWN.len()).position(|it| it == KNOWN);
        let setting = found.map(|at| at + KNOWN.len());
        let whole = setting.is_some_and(|at| head.len() >= at + UNKNOWN.len());
        if whole || head.len() >= HEAD_BYTES || script.read_buf(&mut head).await? == 0 {
            break setting;
        }
    };
    if let Some(at) = setting
        && head.get(at..).is_some_and(|it| it.starts_with(UNKNOWN))
    {
        head.drain(at..at + UNKNOWN.len());
    }
    to.write_all(&head).await?;
    tokio::io::copy_buf(&mut BufReader::with_capacity(BUFFER_BYTES, script), to).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many bytes at a time: a pipe may be cut anywhere.
    async fn relayed(script: &str, at_a_time: usize) -> String {
        let (mut end, start) = tokio::io::duplex(at_a_time);
        let text = script.to_owned();
        let writing = tokio::spawn(async move { end.write_all(text.as_bytes()).await });
        let mut passed = Vec::new();
        relay(start, &mut passed).await.unwrap();
        writing.await.unwrap().unwrap();
        String::from_utf8(passed).unwrap()
    }

    const BEFORE: &str =
        "BEGIN;\n\nSET lock_timeout = 0;\nSET idle_in_transaction_session_timeout = 0;\n";
    const AFTER: &str = "SET client_encoding = 'UTF8';\nCREATE TABLE t (i int);\n";
    const SETTING: &str = "SET transaction_timeout = 0;\n";

    #[tokio::test]
    async fn the_setting_is_left_out_where_it_is_one_and_nowhere_else() {
        let body = format!("COPY t FROM stdin;\n{BEFORE}{SETTING}\\.\n");
        let script = format!("{BEFORE}{SETTING}{AFTER}{body}");
        assert_eq!(relayed(&script, 1).await, format!("{BEFORE}{AFTER}{body}"));
    }

    #[tokio::test]
    async fn a_script_without_the_setting_stays_as_it_is() {
        let text = format!("{BEFORE}{AFTER}COPY t FROM stdin;\n{BEFORE}{SETTING}\\.\n");
        for script in ["", "BEGIN;\n", BEFORE, &text] {
            assert_eq!(relayed(script, 1).await, script);
        }
    }

    #[tokio::test]
    async fn a_script_may_be_larger_than_what_is_looked_at() {
        let text = format!("{}\n{BEFORE}{SETTING}", "x".repeat(2 * HEAD_BYTES));
        assert!(relayed(&text, 1000).await == text);
    }
}
