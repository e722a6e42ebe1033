//! Archives the WAL of a server until it is interrupted: `archive_wal [--slot=NAME]
//! [--part-interval-ms=N] [--part-bytes=N] [--lease-ms=N] [--spool=FOLDER] [--synchronous]
//! [--plain-durability] DATABASE_URL STORE_FOLDER RECIPIENT`.
//!
//! Prints the status as a line of JSON each 50 ms.

#![expect(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::{ArchiverOptions, CommitMode};
use ops_backup::{Backup, Encryption};
use ops_local::{Durability, Local};
use ops_pg_replication::SlotName;
use ops_postgres::Postgres;
use tokio_util::sync::CancellationToken;

const USAGE: &str = "usage: archive_wal [OPTIONS] DATABASE_URL STORE_FOLDER RECIPIENT";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (options, arguments): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let [url, folder, recipient] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let database = Arc::new(Postgres::from_url(url)?);
    let mut local = Local::builder(folder).create(true);
    if options.iter().any(|option| option == "--plain-durability") {
        local = local.durability(Durability::None);
    }
    let backup = Backup::builder(database, Arc::new(local.build()?))
        .encryption(Encryption::recipients([recipient])?)
        .build()?;
    let options = options.iter().try_fold(ArchiverOptions::new(), set)?;
    let archiver = backup.archiver(options)?;
    let status = archiver.clone();
    tokio::spawn(async move {
        loop {
            if let Ok(line) = serde_json::to_string(&status.status()) {
                println!("{line}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let shutdown = CancellationToken::new();
    let interrupted = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    archiver.run(shutdown).await?;
    Ok(())
}

fn set(options: ArchiverOptions, option: &String) -> Result<ArchiverOptions, Box<dyn Error>> {
    let milliseconds = |text: &str| text.parse().map(Duration::from_millis);
    Ok(match option.split_once('=') {
        Some(("--slot", name)) => options.with_slot(SlotName::new(name)?),
        Some(("--part-interval-ms", text)) => options.with_part_interval(milliseconds(text)?),
        Some(("--part-bytes", text)) => options.with_part_bytes(text.parse()?),
        Some(("--lease-ms", text)) => options.with_lease_lifetime(milliseconds(text)?),
        Some(("--spool", folder)) => options.with_spool(folder.into()),
        None if option == "--synchronous" => options.with_commits(CommitMode::Synchronous),
        None if option == "--plain-durability" => options,
        _ => return Err(USAGE.into()),
    })
}
