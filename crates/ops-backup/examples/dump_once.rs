//! Takes one backup: `dump_once DATABASE_URL STORE_FOLDER RECIPIENT`.
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

use ops_backup::{Backup, Encryption, Event};
use ops_local::Local;
use ops_pg::binaries::Finder;
use ops_postgres::Postgres;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, folder, recipient] = arguments.as_slice() else {
        return Err("usage: dump_once DATABASE_URL STORE_FOLDER RECIPIENT".into());
    };
    let database = Arc::new(Postgres::from_url(url)?);
    let store = Arc::new(Local::builder(folder).create(true).build()?);
    let backup = Backup::builder(database, store)
        .encryption(Encryption::recipients([recipient])?)
        .finder(Finder::from_env())
        .sweep_grace(Duration::from_secs(60))
        .build()?;
    let mut job = backup.dump();
    while let Some(event) = job.next_event().await {
        if let Event::Phase(phase) = event {
            eprintln!("{}", phase.as_str());
        }
    }
    let report = job.finish().await?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
