//! The session pool beside deadpool, bb8, sqlx and mobc.
//!
//! `--quick`: fewer and shorter rounds. `--only NAME` runs one scenario (again for more),
//! `--rounds N`, `--workers N` threads for clients and pools (2).
//!
//! All contenders take turns within a round, in an order that is reversed from round to
//! round, on pools that stand from the start. Figures are medians over the rounds; a gate
//! compares with a peer within each round and takes the median of that. A gate that is
//! not reached is printed as MISSED, and does not make the run fail.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]
#![expect(
    clippy::cast_precision_loss,
    reason = "what is measured is shown with a few digits"
)]

mod contended;
mod footprint;
mod measure;
mod on_memory;
mod on_postgres;
mod options;
mod outage;
mod peer;
mod plot;
mod report;
mod spike;
mod uncontended;
mod waiters;
mod wedge;
mod wire;

use std::error::Error;

use ops_testkit::Pg;

use measure::Machine;
use options::{Options, Scenarios};
use report::Report;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// How many connections the server takes: every contender keeps its own.
const MAX_CONNECTIONS: &str = "400";

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers)
        .enable_all()
        .build()?;
    // On a worker, where tasks run: the main thread of a runtime is a thread more.
    runtime.block_on(async { tokio::spawn(run(options)).await? })
}

async fn run(options: Options) -> Result<()> {
    if let Some(job) = &options.footprint {
        return footprint::child(job).await;
    }
    let builder = Pg::builder()
        .setting("max_connections", MAX_CONNECTIONS)
        .tcp(true);
    let Some(pg) = builder.start().await else {
        return Err("no PostgreSQL: run cargo xtask setup".into());
    };
    let info = pg.connect_info("postgres");
    let mut report = Report::new(
        "pool",
        Machine::now(&options, &pg.client("postgres").await).await?,
    );
    let Scenarios { wanted } = &options.scenarios;
    for name in wanted {
        eprintln!("{name} ...");
        let tables = match name.as_str() {
            uncontended::NAME => uncontended::run(&options, &info).await?,
            contended::NAME => contended::run(&options, &info).await?,
            spike::NAME => spike::run(&options, &info).await?,
            wedge::NAME => wedge::run(&options).await?,
            outage::NAME => outage::run(&options).await?,
            footprint::NAME => footprint::run(&options).await?,
            waiters::NAME => waiters::run(&options).await?,
            unknown => return Err(format!("{unknown} is no scenario").into()),
        };
        for table in tables {
            print!("{table}");
            report.tables.push(table);
        }
    }
    report.publish()
}
