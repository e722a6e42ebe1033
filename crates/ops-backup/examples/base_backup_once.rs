//! Takes one base backup: `base_backup_once [--workers=N] [--level=N] [--incremental]
//! [--plain] [--identity=KEY] DATABASE_URL STORE_FOLDER RECIPIENT`.
//!
//! Prints the phases to standard error, and the report as JSON to standard output. Standard
//! error has the peak memory before the job and after it, too.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]

use std::error::Error;
use std::sync::Arc;

use ops_backup::{Backup, BackupBuilder, BaseBackupRequest, Encryption, Event, Unlock};
use ops_local::Local;
use ops_postgres::Postgres;

const USAGE: &str = "usage: base_backup_once [--workers=N] [--level=N] [--incremental] \
                     [--plain] [--identity=KEY] DATABASE_URL STORE_FOLDER RECIPIENT";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (options, arguments): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let [url, folder, recipient] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let database = Arc::new(Postgres::from_url(url)?);
    let store = Arc::new(Local::builder(folder).create(true).build()?);
    let mut request = BaseBackupRequest::full();
    let mut builder =
        Backup::builder(database, store).encryption(Encryption::recipients([recipient])?);
    for option in &options {
        if option == "--incremental" {
            request = BaseBackupRequest::incremental();
        } else {
            builder = set(builder, option)?;
        }
    }
    let backup = builder.build()?;
    let idle = ops_testkit::peak_rss_bytes().unwrap_or_default();
    let mut job = backup.base_backup(request);
    while let Some(event) = job.next_event().await {
        match event {
            Event::Phase(phase) => eprintln!("{}", phase.as_str()),
            Event::Warning(text) => eprintln!("warning: {text}"),
            _ => {}
        }
    }
    let report = job.finish().await?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    let peak = ops_testkit::peak_rss_bytes().unwrap_or_default();
    eprintln!("peak memory: {idle} bytes before, {peak} bytes after");
    Ok(())
}

fn set(builder: BackupBuilder, option: &str) -> Result<BackupBuilder, Box<dyn Error>> {
    Ok(match option.split_once('=') {
        Some(("--workers", count)) => builder.workers(count.parse()?),
        Some(("--level", level)) => builder.level(level.parse()?),
        Some(("--identity", key)) => builder.unlock(Unlock::identity(key)),
        None if option == "--plain" => builder.encryption(Encryption::none()),
        _ => return Err(USAGE.into()),
    })
}
