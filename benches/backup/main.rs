//! Backups beside the tools that people use: dumps, base backups, restores, and WAL.
//!
//! `--quick`: 300 MB and 1 round (dumps: 3) instead of 2.8 GB and 5. `--size BYTES`,
//! `--rounds N`, `--only dump|base|incremental|wal|curve` (may be repeated; of WAL alone also
//! `wal-backlog` and `wal-workload`), `--contender PART` of a name: of base backups and of a
//! workload's archivers, those alone (may be repeated). `--pgbackrest PATH`: one more
//! pgBackRest beside the packaged one, with block incremental, for base backups (may be
//! repeated).
//!
//! All contenders read the same server in turn, in an order that is reversed from round to
//! round, and write to the same disk, the final fsync included. Ours also encrypts and
//! hashes. A round to warm the caches is not counted.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "peers are run as a user would run them"
)]

#[path = "../harness.rs"]
mod harness;

mod base;
mod book;
mod cluster;
mod curve;
mod dump;
mod incremental;
mod measure;
mod ours;
mod pgbackrest;
mod wal;

use std::collections::BTreeMap;
use std::error::Error;

use harness::Report;
use pgbackrest::Installed;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;
type Samples = BTreeMap<&'static str, Vec<f64>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--ours"] {
        return ours::main().await;
    }
    let options = Options::parse(arguments.into_iter())?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    eprintln!("load at the start: {}", load.trim_end());
    let mut cases = Vec::new();
    let mut written = Vec::new();
    let (backlog, workload) = (
        options.runs_wal("wal-backlog"),
        options.runs_wal("wal-workload"),
    );
    if ["dump", "base", "wal", "wal-backlog", "wal-workload"]
        .iter()
        .any(|part| options.runs(part))
    {
        let content = cluster::Content::Bytes(options.size_bytes);
        let cluster = cluster::Cluster::start(content).await?;
        if options.runs("dump") {
            cases.extend(dump::run(&cluster, options.rounds.max(3)).await?);
        }
        if options.runs("base") {
            let (chosen, others) = (&options.contenders, &options.pgbackrest);
            cases.extend(base::run(&cluster, options.rounds, chosen, others).await?);
        }
        if backlog || workload {
            let plan = wal::Plan {
                quick: options.quick,
                rounds: options.rounds,
                backlog,
                workload,
                contenders: &options.contenders,
            };
            cases.extend(wal::run(&cluster, plan).await?);
        }
        written.push(cluster.end()?);
    }
    if options.runs("incremental") {
        let content = cluster::Content::Bytes(options.size_bytes);
        let others = &options.pgbackrest;
        cases.extend(incremental::run(content, options.rounds, others, &mut written).await?);
    }
    if options.runs("curve") {
        cases.extend(curve::run(options.quick, options.rounds.min(3), &mut written).await?);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    eprintln!("load at the end: {}", load.trim_end());
    Report {
        name: "backup",
        rounds: options.rounds,
        cases,
    }
    .publish()?;
    Ok(())
}

struct Options {
    size_bytes: u64,
    rounds: usize,
    quick: bool,
    only: Vec<String>,
    contenders: Vec<String>,
    pgbackrest: Vec<Installed>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            size_bytes: 2_800_000_000,
            rounds: 5,
            quick: false,
            only: Vec::new(),
            contenders: Vec::new(),
            pgbackrest: Vec::new(),
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--quick" => {
                    options.size_bytes = 300_000_000;
                    options.rounds = 1;
                    options.quick = true;
                }
                "--size" => options.size_bytes = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--only" => options.only.push(value()?),
                "--contender" => options.contenders.push(value()?),
                "--pgbackrest" => options.pgbackrest.push(Installed::at(value()?.into())?),
                // What cargo bench adds.
                "--bench" => {}
                _ => return Err(format!("{name} is not known").into()),
            }
        }
        Ok(options)
    }

    fn runs_wal(&self, half: &str) -> bool {
        self.runs("wal") || self.runs(half)
    }

    fn runs(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| it == part)
    }
}

/// Turns a count of bytes into MB.
#[expect(clippy::cast_precision_loss, reason = "a size is shown in MB")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
