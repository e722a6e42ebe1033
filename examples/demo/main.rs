//! The main job, end to end.
//!
//! Starts a throwaway PostgreSQL, loads it with pgbench at about 300 MB, with a schema that
//! breaks naive backups and with a third more of other rows, takes an encrypted backup to a local
//! object store while a workload writes through the pool, restores it into a second
//! throwaway server, proves the two equal, serves the health routes, and prints a report.
//!
//! ```text
//! demo [--size 300MB] [--json FILE]
//! demo --database-url URL --store DIR [--json FILE]   on a database of yours, read-only
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]

mod arguments;
mod bars;
mod health;
mod report;
mod source;
mod workload;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::{Assertion, Backup, DrillOptions, Encryption, SourceCheck, Unlock};
use ops_core::{Clock, Database, SystemClock};
use ops_local::Local;
use ops_pg::binaries::Finder;
use ops_pool::{Drain, SessionPool};
use ops_postgres::Postgres;

use arguments::Arguments;
use report::{Pool, Report};
use source::Source;
use workload::Workload;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let finder = Finder::from_env();
    let folder = tempfile::Builder::new().prefix("ops-demo-").tempdir()?;

    let mut source = Source::prepare(&arguments, &finder).await?;
    let database = Arc::new(Postgres::builder(source.info.clone()).build()?);
    let store_folder = arguments
        .store
        .clone()
        .unwrap_or_else(|| folder.path().join("store"));
    let store = Arc::new(Local::builder(&store_folder).create(true).build()?);

    // The key never leaves this process: the demo's backups are thrown away, or, in a store
    // of yours, can be opened with the identity that is printed once.
    let keys = Keys::generate();
    let backup = Backup::builder(Arc::clone(&database) as Arc<dyn Database>, store)
        .prefix("demo")
        .encryption(Encryption::recipients([&keys.recipient])?)
        .unlock(Unlock::identity(keys.identity.as_str()))
        .source_check(SourceCheck::Full)
        .finder(finder.clone())
        .build()?;

    let pool = SessionPool::builder(source.info.clone())
        .pool_size(8)
        .build()?;
    let workload = source.is_ours.then(|| Workload::start(&pool));
    let served = health::serve(&source.info, &pool, &backup, &store_folder).await?;

    let backed_up = bars::follow("backup", backup.dump()).await?;
    let backup_peak = ops_testkit::peak_rss_bytes();
    let workload = match workload {
        Some(workload) => Some(workload.stop().await?),
        None => None,
    };
    let mut options = DrillOptions::new();
    if source.is_ours {
        // The writers keep these sums equal: a copy of anything but one moment breaks them.
        options = options.with_assertion(Assertion::new(
            "the accounts are those of one moment",
            "SELECT (SELECT sum(abalance) FROM public.pgbench_accounts) \
             = (SELECT sum(bbalance) FROM public.pgbench_branches)",
        ));
    }
    let drilled = bars::follow("restore", backup.drill(&backed_up.id, options)).await?;
    let rpo = SystemClock.now().saturating_since(backed_up.snapshot_at);

    let routes = health::ask(served.address).await?;
    let snapshot = pool.snapshot();
    let drained = pool.shutdown(Drain::Sessions(Duration::from_secs(5))).await;
    if let Some(holder) = drained.holders.first() {
        return Err(format!("the pool did not drain: {holder}").into());
    }
    served.stop().await;
    source.stop().await;

    let report = Report::new(
        &backed_up,
        &drilled,
        rpo,
        backup_peak,
        routes,
        Pool::new(&snapshot, workload),
    );
    print!("{report}");
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
        println!("report written to {}", path.display());
    }
    if arguments.store.is_some() {
        println!(
            "the backup stays in {}; it opens with this identity, shown once:",
            store_folder.display()
        );
        println!("{}", keys.identity);
    }
    if report.is_good() {
        Ok(())
    } else {
        Err("the demo did not end as it should: see the report".into())
    }
}

/// A key pair of age.
struct Keys {
    recipient: String,
    identity: String,
}

impl Keys {
    fn generate() -> Self {
        use age::secrecy::ExposeSecret;
        let identity = age::x25519::Identity::generate();
        Self {
            recipient: identity.to_public().to_string(),
            identity: identity.to_string().expose_secret().to_owned(),
        }
    }
}
