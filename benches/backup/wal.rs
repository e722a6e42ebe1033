//! Archiving WAL beside `pg_receivewal` and pgBackRest.

mod catch_up;
mod follow;
mod running;

use std::path::PathBuf;

use ops_backup::Lsn;

use crate::cluster::Cluster;
use crate::harness::Case;
use crate::pgbackrest::{self, PgBackRest};
use crate::{Result, Samples};

const OURS: &str = "ours";
const RECEIVEWAL: &str = "pg_receivewal";
const BACKREST: &str = "pgbackrest archive-push, async, zst:3";
const NOTHING: &str = "no archiver";
const SEGMENT: u64 = 16 << 20;

#[derive(Default)]
struct Book {
    /// Seconds per 100 segments of a backlog.
    catching_up: Samples,
    catching_up_cpu: Samples,
    latency: Samples,
    tps: Samples,
    /// How many times as long the workload takes as in the same round without an archiver.
    slowdown: Samples,
    /// Microseconds of the server, the clients and the archiver.
    cpu_per_transaction: Samples,
    /// Seconds per GB of WAL.
    archiver_cpu: Samples,
    walsender_cpu: Samples,
    median_lag: Samples,
    high_lag: Samples,
}

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) backlog: bool,
    pub(crate) workload: bool,
    /// Of a workload's archivers, those that have one of these in their name; all where
    /// there is none.
    pub(crate) contenders: &'a [String],
}

pub(crate) async fn run(cluster: &Cluster, plan: Plan<'_>) -> Result<Vec<Case>> {
    let (segments, seconds) = if plan.quick { (24, 4) } else { (64, 20) };
    let mut peer = None;
    if pgbackrest::version().is_some() {
        let settings = "compress-type=zst\ncompress-level=3\narchive-async=y";
        peer = Some(PgBackRest::new(cluster, BACKREST, settings)?);
    }
    // Segments wait for the archiver that a round is about.
    let mut book = Book::default();
    for round in 0..plan.rounds {
        if plan.backlog {
            catch_up::catch_up(cluster, peer.as_ref(), segments, &mut book).await?;
        }
        if plan.workload {
            let workload = follow::Workload {
                cluster,
                peer: peer.as_ref(),
                seconds,
                contenders: plan.contenders,
            };
            workload.round(round, &mut book).await?;
        }
    }
    let per_segment = [(RECEIVEWAL, 1.0), (BACKREST, 0.9)];
    let there = |samples: &Samples, goals: &[(&'static str, f64)]| {
        let goals = goals.iter().filter(|goal| samples.contains_key(goal.0));
        goals.copied().collect::<Vec<_>>()
    };
    let case = |name, unit, samples: &Samples, goals: &[(&'static str, f64)]| {
        Case::new(name, unit, samples, &there(samples, goals))
    };
    let cases = vec![
        case(
            "WAL, catching up: per 100 segments",
            "s",
            &book.catching_up,
            &per_segment,
        ),
        case(
            "WAL, catching up: CPU per 100 segments",
            "s",
            &book.catching_up_cpu,
            &[],
        ),
        case(
            "pgbench -c 8 while WAL is archived: latency",
            "ms",
            &book.latency,
            &[],
        ),
        case("pgbench: transactions", "1/s", &book.tps, &[]),
        case(
            "pgbench: slower than without an archiver in its round",
            "times",
            &book.slowdown,
            &[(NOTHING, 1.03)],
        ),
        case(
            "pgbench: CPU of server, clients and archiver per transaction",
            "us",
            &book.cpu_per_transaction,
            &[],
        ),
        case(
            "following: CPU of the archiver per GB of WAL",
            "s",
            &book.archiver_cpu,
            &[],
        ),
        case(
            "following: CPU of the walsender per GB of WAL",
            "s",
            &book.walsender_cpu,
            &[],
        ),
        case("WAL: median lag of the store", "ms", &book.median_lag, &[]),
        case(
            "WAL: lag of the store, 99th percentile",
            "ms",
            &book.high_lag,
            &[("limit", 1.0)],
        ),
    ];
    Ok(cases
        .into_iter()
        .filter(|case| !case.ours.is_nan())
        .collect())
}

async fn position(client: &tokio_postgres::Client) -> Result<Lsn> {
    let row = client
        .query_one("SELECT pg_current_wal_lsn()::text", &[])
        .await?;
    Ok(row.get::<_, String>(0).parse()?)
}

fn wal_store(cluster: &Cluster) -> PathBuf {
    cluster.folder().join("wal-store")
}
