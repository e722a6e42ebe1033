//! The health routes beside an answer that never changes, and beside handlers that ask the
//! database for each request.
//!
//! `--quick`: fewer and shorter rounds. `--only NAME` runs one scenario (again for more),
//! `--rounds N`, `--workers N` threads for a server, and for those who ask it (2).
//!
//! Every server is a process of its own, and so is the program that asks it: a client for
//! each connection, which it keeps, and the next request when the last one is answered.
//! Where the routes alone are compared, all servers have the first half of the processors,
//! and all clients the second. Contenders take turns within a round, in an order that is
//! reversed from round to round. Figures are medians over the rounds; a gate compares with
//! a peer within each round and takes the median of that. A gate that is not reached is
//! printed as MISSED, and does not make the run fail.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]
#![expect(
    clippy::cast_precision_loss,
    reason = "what is measured is shown with a few digits"
)]

mod child;
mod database;
mod footprint;
mod job;
mod load;
#[path = "../pool/measure.rs"]
#[expect(dead_code, reason = "the pool is measured with more")]
mod measure;
mod options;
#[path = "../pool/plot.rs"]
mod plot;
mod queries;
#[path = "../pool/report.rs"]
mod report;
mod routes;
mod site;
mod start;
mod traffic;

use std::error::Error;

use job::Job;
use measure::Machine;
use options::Options;
use report::Report;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [job::CHILD] {
        return Job::from_stdin()?.run();
    }
    let options = Options::parse(arguments.into_iter())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> Result<()> {
    let database = std::sync::Arc::new(database::Database::start().await?);
    let mut report = Report::new("health", Machine::now(&options, &database.admin).await?);
    for name in &options.wanted {
        eprintln!("{name} ...");
        let tables = match name.as_str() {
            routes::NAME => routes::run(&options).await?,
            queries::NAME => queries::run(&options, &database).await?,
            traffic::NAME => traffic::run(&options, &database).await?,
            footprint::NAME => footprint::run(&options).await?,
            start::NAME => start::run(&options).await?,
            unknown => return Err(format!("{unknown} is no scenario").into()),
        };
        for table in tables {
            print!("{table}");
            report.tables.push(table);
        }
    }
    report.publish()
}
