//! The server's own tools, which judge a restored cluster.

use ops_core::Report;
use ops_pg::binaries::{Binaries, Finder, Major};
use ops_pg::process::{Exit, Io, Program};
use ops_pg::server::ThrowawayServer;
use tokio::io::AsyncReadExt;

use super::report::{AMCHECK, CHECKSUMS, VERIFY_BACKUP};
use crate::fingerprint::{Check, Difference};

/// The most that is kept of what a tool prints.
const MAX_OUTPUT: u64 = 64 << 10;
/// How many of a tool's lines become differences.
const MAX_LINES: usize = 20;

/// Compares the files with the server's manifest. To be run before a server starts there.
pub(super) async fn verify_backup(server: &ThrowawayServer, remapped: bool) -> Check {
    let mut args = vec!["--no-parse-wal".to_owned()];
    if remapped {
        // It has the places of the copy.
        args.push("--ignore=tablespace_map".to_owned());
    }
    args.push(server.data_dir().display().to_string());
    run(server, server.binaries(), VERIFY_BACKUP, &args).await
}

/// Looks at the checksum of every page of a stopped cluster.
pub(super) async fn checksums(server: &ThrowawayServer) -> Check {
    let args = [
        "--check".to_owned(),
        "-D".to_owned(),
        server.data_dir().display().to_string(),
    ];
    run(server, server.binaries(), CHECKSUMS, &args).await
}

/// Looks at every table and index of every database, each index against its table. The
/// program is a client: where the server's installation lacks it, that of a newer one will do.
pub(super) async fn amcheck(server: &ThrowawayServer, major: u32, finder: &Finder) -> Check {
    if major < 14 {
        return Check::not_checked(AMCHECK, "PostgreSQL 13 has no pg_amcheck");
    }
    let own = server.binaries();
    let newer = if own.has(AMCHECK) {
        None
    } else {
        finder.at_least(Major(major)).await.ok()
    };
    let binaries = newer.as_ref().unwrap_or(own);
    let mut args: Vec<String> = [
        "--all",
        "--install-missing",
        "--heapallindexed",
        "--parent-check",
        "--rootdescend",
        "--no-password",
        "--jobs=1",
    ]
    .map(str::to_owned)
    .to_vec();
    if major >= 17 {
        args.push("--checkunique".to_owned());
    }
    let host = server.socket_dir().display().to_string();
    args.extend([
        "-h".to_owned(),
        host,
        "-p".to_owned(),
        server.port().to_string(),
    ]);
    let info = server.socket_connect_info("postgres");
    if let Some(user) = &info.user {
        args.extend(["-U".to_owned(), user.clone()]);
    }
    run(server, binaries, AMCHECK, &args).await
}

/// Runs a tool. One that is missing, or cannot do its work, has checked nothing.
async fn run(
    server: &ThrowawayServer,
    binaries: &Binaries,
    name: &'static str,
    args: &[String],
) -> Check {
    match try_run(binaries, server, name, args).await {
        Ok((exit, output)) => judge(name, &exit, &output),
        Err(err) => Check::not_checked(name, Report(&err).to_string()),
    }
}

async fn try_run(
    binaries: &Binaries,
    server: &ThrowawayServer,
    name: &str,
    args: &[String],
) -> ops_core::Result<(Exit, String)> {
    let program = Program::new(binaries.program(name)?)
        .args(args)
        .stdout(Io::Piped)
        .run_as(server.run_as().cloned());
    let mut child = program.spawn()?;
    let mut output = Vec::new();
    if let Some(mut stdout) = child.take_stdout() {
        let mut buffer = vec![0; 16 << 10];
        // What does not fit is read all the same, or the tool would wait for ever.
        while let Ok(len @ 1..) = stdout.read(&mut buffer).await {
            if (output.len() as u64) < MAX_OUTPUT {
                output.extend_from_slice(buffer.get(..len).unwrap_or_default());
            }
        }
    }
    let exit = child.wait().await?;
    Ok((exit, String::from_utf8_lossy(&output).into_owned()))
}

fn judge(name: &'static str, exit: &Exit, output: &str) -> Check {
    if exit.success() {
        return Check::new(name, 1, Vec::new());
    }
    let stderr = exit.stderr_tail();
    // The extension is a package of its own with some distributions.
    if name == AMCHECK && stderr.contains("extension \"amcheck\" is not available") {
        return Check::not_checked(name, "the extension amcheck is not installed");
    }
    let lines = output.lines().chain(stderr.lines());
    let mut differences: Vec<_> = lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(MAX_LINES)
        .map(|line| Difference::new(name, "sound", line))
        .collect();
    if differences.is_empty() {
        differences.push(Difference::new(name, "sound", exit.to_string()));
    }
    Check::new(name, 1, differences)
}

#[cfg(test)]
mod tests {
    use ops_pg::server::Shutdown;
    use ops_testkit::Pg;

    use super::*;
    use crate::fingerprint::CheckOutcome;

    #[tokio::test(flavor = "multi_thread")]
    async fn files_that_are_not_those_of_a_manifest_fail_and_a_tool_that_is_missing_checks_nothing()
    {
        let Some(mut pg) = Pg::start().await else {
            return;
        };
        if !pg.binaries().has(VERIFY_BACKUP) {
            return;
        }
        pg.stop(Shutdown::Fast).await;
        let check = verify_backup(pg.server_mut(), false).await;
        assert_eq!(
            check.outcome,
            CheckOutcome::Failed,
            "there is no manifest: {check:?}"
        );
        let manifest = "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n\
            { \"Path\": \"PG_VERSION\", \"Size\": 3, \"Last-Modified\": \"2026-01-01 00:00:00 GMT\" }\n],\n\
            \"WAL-Ranges\": [\n],\n";
        let digest = <sha2::Sha256 as sha2::Digest>::digest(manifest.as_bytes());
        let digest: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!(
            "{manifest}\"Manifest-Checksum\": \"{}\"}}\n",
            digest.concat()
        );
        std::fs::write(pg.data_dir().join("backup_manifest"), text).unwrap();
        let check = verify_backup(pg.server_mut(), false).await;
        assert_eq!(
            check.outcome,
            CheckOutcome::Failed,
            "files that it does not know: {check:?}"
        );
        assert!(
            check
                .differences
                .iter()
                .any(|it| it.found.contains("not in the manifest")),
            "{check:?}"
        );
        let check = run(&pg, pg.binaries(), "pg_nothing", &[]).await;
        assert_eq!(check.outcome, CheckOutcome::NotChecked);
    }
}
