//! How long it takes from the start of a process to its first good answer.

use std::time::{Duration, Instant};

use crate::Result;
use crate::child::Server;
use crate::measure::millis;
use crate::options::Options;
use crate::report::{Gate, Table};
use crate::site::{CHECKS, Site};

pub(crate) const NAME: &str = "start";

/// How long the slowest check takes.
const SLOWEST: Duration = Duration::from_millis(500);
/// What is added to that at most.
const LIMIT: Duration = Duration::from_secs(1);

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let mut took = Vec::new();
    for _ in 0..options.rounds {
        let begun = Instant::now();
        let (whole, slowest) = (false, SLOWEST);
        Server::start(Site::Ours { whole, slowest }, options.workers, None).await?;
        took.push(millis(begun.elapsed()));
    }
    let longest = took.iter().copied().fold(0.0, f64::max);
    let columns = [("median", "ms"), ("longest", "ms")];
    let title = format!(
        "start of a process to 200 at /health, {CHECKS} checks, one of them takes {SLOWEST:?}"
    );
    let mut table = Table::new(title, &columns);
    table.row("ours", vec![crate::measure::median(&took), longest]);
    let what = "ms to the first verdict, longest";
    let gate = Gate::at_most(what, longest, millis(LIMIT + SLOWEST));
    Ok(vec![table.with_gates([gate])])
}
