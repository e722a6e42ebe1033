#![doc = include_str!("../README.md")]

mod config;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use ops_backup::wal::{Fetched, restore_exit_code};

use config::{Config, Failure};

const USAGE: &str = "usage: ops-wal [--config FILE] archive PATH NAME
       ops-wal [--config FILE] restore NAME PATH
       ops-wal [--config FILE] prefetch NAME";

/// Neither done nor certainly absent.
const FAILED: u8 = 255;

fn main() -> ExitCode {
    // A panic would end with 101, which a recovering server takes for the end of the archive.
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        std::process::exit(i32::from(FAILED));
    }));
    let (code, failure) = match run(std::env::args_os().skip(1).collect()) {
        Ok(outcome) => outcome,
        Err(failure) => (FAILED, Some(failure)),
    };
    if let Some(failure) = failure {
        complain(&failure);
    }
    ExitCode::from(code)
}

#[expect(
    clippy::print_stderr,
    reason = "the server's log is where this belongs"
)]
fn complain(failure: &Failure) {
    eprintln!("ops-wal: {}", ops_core::Report(&**failure));
}

fn run(mut args: Vec<OsString>) -> Result<(u8, Option<Failure>), Failure> {
    let mut config = config_from_env();
    if args.first().is_some_and(|arg| arg == "--config") && args.len() > 1 {
        config = args.drain(..2).nth(1).map(PathBuf::from);
    }
    let config = config.ok_or("no configuration was named, by --config or OPS_WAL_CONFIG")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let here = std::env::current_dir()?;
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    if words.len() != args.len() {
        return Err(USAGE.into());
    }
    match *words.as_slice() {
        ["archive", path, name] => {
            let outcome = runtime.block_on(archive(&config, &here, path, name));
            // More than 125 would end the server's archiver process.
            Ok(outcome.map_or_else(|failure| (1, Some(failure)), |()| (0, None)))
        }
        ["restore", name, path] => runtime.block_on(restore(&config, &here, name, path)),
        ["prefetch", name] => {
            runtime.block_on(prefetch(&config, &here, name))?;
            Ok((0, None))
        }
        _ => Err(USAGE.into()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one variable of this program"
)]
fn config_from_env() -> Option<PathBuf> {
    std::env::var_os("OPS_WAL_CONFIG").map(PathBuf::from)
}

async fn archive(config: &Path, here: &Path, path: &str, name: &str) -> Result<(), Failure> {
    let command = Config::read(config)?.archive().await?;
    command.run(here, Path::new(path), name).await?;
    Ok(())
}

async fn restore(
    config: &Path,
    here: &Path,
    name: &str,
    path: &str,
) -> Result<(u8, Option<Failure>), Failure> {
    let command = Config::read(config)?.restore().await?;
    let outcome = command.run(here, name, Path::new(path)).await;
    if matches!(outcome, Ok(Fetched::Found { .. })) && command.should_prefetch(here, name) {
        start_prefetch(config, name);
    }
    let code = restore_exit_code(&outcome);
    Ok((code, outcome.err().map(Failure::from)))
}

async fn prefetch(config: &Path, here: &Path, name: &str) -> Result<(), Failure> {
    let command = Config::read(config)?.restore().await?;
    command.prefetch(here, name).await?;
    Ok(())
}

/// Starts a process that fetches what comes after a segment, and outlives this one. Where
/// that fails, recovery is slower and nothing else.
#[expect(
    clippy::disallowed_methods,
    reason = "it is meant to outlive this process"
)]
fn start_prefetch(config: &Path, name: &str) {
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let _ = Command::new(program)
        .arg("--config")
        .arg(config)
        .args(["prefetch", name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
}
