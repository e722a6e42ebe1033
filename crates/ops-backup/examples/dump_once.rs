//! Takes one backup: `dump_once [--max-object-bytes=N] [--frame-bytes=N] DATABASE_URL
//! STORE_FOLDER RECIPIENT`.
//!
//! Prints the phases to standard error and the report as JSON to standard output.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::{Backup, BackupBuilder, Encryption, Event};
use ops_local::Local;
use ops_pg::binaries::Finder;
use ops_postgres::Postgres;

const USAGE: &str = "usage: dump_once [--max-object-bytes=N] [--frame-bytes=N] \
                     DATABASE_URL STORE_FOLDER RECIPIENT";

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
    let builder = Backup::builder(database, store)
        .encryption(Encryption::recipients([recipient])?)
        .finder(Finder::from_env())
        .sweep_grace(Duration::from_secs(60));
    let builder = options
        .iter()
        .try_fold(builder, |builder, option| set(builder, option))?;
    let mut job = builder.build()?.dump();
    while let Some(event) = job.next_event().await {
        if let Event::Phase(phase) = event {
            eprintln!("{}", phase.as_str());
        }
    }
    let report = job.finish().await?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn set(builder: BackupBuilder, option: &str) -> Result<BackupBuilder, Box<dyn Error>> {
    Ok(match option.split_once('=') {
        Some(("--max-object-bytes", bytes)) => builder.max_object_bytes(bytes.parse()?),
        Some(("--frame-bytes", bytes)) => builder.frame_bytes(bytes.parse()?),
        _ => return Err(USAGE.into()),
    })
}
