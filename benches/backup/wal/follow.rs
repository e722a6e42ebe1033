//! A workload while its WAL is archived: what that costs, and how far the store is behind.

use std::ops::Sub;

use super::running::Running;
use super::{BACKREST, Book, NOTHING, OURS, RECEIVEWAL, position};
use crate::cluster::Cluster;
use crate::measure::cpu;
use crate::pgbackrest::PgBackRest;
use crate::{Result, Samples, megabytes};

/// What one run of the workload came to.
#[derive(Clone, Copy, Debug)]
struct Run {
    tps: f64,
    latency_ms: f64,
    wal_gb: f64,
    cpu: Cpu,
}

impl Run {
    /// Microseconds of everything that ran, for each transaction.
    fn cpu_per_transaction(&self, seconds: f64) -> f64 {
        self.cpu.all / (self.tps * seconds) * 1e6
    }
}

/// Seconds of processors.
#[derive(Clone, Copy, Debug)]
struct Cpu {
    archiver: f64,
    walsender: f64,
    /// Of the server, the clients and the archiver.
    all: f64,
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            archiver: self.archiver - other.archiver,
            walsender: self.walsender - other.walsender,
            all: self.all - other.all,
        }
    }
}

/// The workload, and who archives it.
pub(super) struct Workload<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) peer: Option<&'a PgBackRest>,
    pub(super) seconds: u64,
    pub(super) contenders: &'a [String],
}

impl Workload<'_> {
    /// Runs it beside each in turn, and at both ends of the round beside nothing.
    pub(super) async fn round(&self, round: usize, book: &mut Book) -> Result<()> {
        let mut names = vec![OURS, RECEIVEWAL];
        names.extend(self.peer.map(|_| BACKREST));
        let is_wanted = |name: &str| {
            self.contenders.is_empty() || self.contenders.iter().any(|it| name.contains(it))
        };
        names.retain(|name| is_wanted(name));
        if round % 2 == 1 {
            names.reverse();
        }
        let first = self.beside(NOTHING, book).await?;
        let mut runs = Vec::new();
        for name in names {
            runs.push((name, self.beside(name, book).await?));
        }
        let last = self.beside(NOTHING, book).await?;
        let alone = f64::midpoint(first.tps, last.tps);
        push(&mut book.slowdown, NOTHING, 1.0);
        for (name, run) in runs {
            push(&mut book.slowdown, name, alone / run.tps);
            eprintln!(
                "following: round {round}: {name}: tps {:.3} of those without an archiver",
                run.tps / alone
            );
        }
        Ok(())
    }

    async fn beside(&self, name: &'static str, book: &mut Book) -> Result<Run> {
        let (cluster, seconds) = (self.cluster, self.seconds);
        cluster.checkpoint().await?;
        let mut running = Running::start(cluster, self.peer, name, seconds + 2).await?;
        let run = pgbench(cluster, &running, seconds).await?;
        let answer = running.stop(cluster).await?;
        push(&mut book.latency, name, run.latency_ms);
        push(&mut book.tps, name, run.tps);
        // Those of pgBackRest are nobody's children: what they cost is not seen.
        let is_seen = name != BACKREST;
        #[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
        let per_transaction = run.cpu_per_transaction(seconds as f64);
        if is_seen {
            push(&mut book.cpu_per_transaction, name, per_transaction);
        }
        if is_seen && name != NOTHING {
            let (archiver, walsender) = (run.cpu.archiver, run.cpu.walsender);
            push(&mut book.archiver_cpu, name, archiver / run.wal_gb);
            push(&mut book.walsender_cpu, name, walsender / run.wal_gb);
        }
        let mut lags = answer.lags;
        lags.sort_unstable();
        let at = |share: usize| lags.get(lags.len() * share / 100).copied();
        if let (Some(median), Some(high)) = (at(50), at(99)) {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            let (median, high) = (median as f64, high as f64);
            push(&mut book.median_lag, OURS, median);
            push(&mut book.high_lag, OURS, high);
            push(&mut book.high_lag, "limit", 2000.0);
        }
        eprintln!(
            "following: {name}: {:.0} tps, {:.3} ms, {:.3} GB of WAL, CPU: archiver {:.2} s, \
         walsender {:.2} s, all {per_transaction:.1} us per transaction; {} segments",
            run.tps,
            run.latency_ms,
            run.wal_gb,
            run.cpu.archiver,
            run.cpu.walsender,
            answer.segments
        );
        Ok(run)
    }
}

fn push(samples: &mut Samples, name: &'static str, value: f64) {
    samples.entry(name).or_default().push(value);
}

async fn pgbench(cluster: &Cluster, running: &Running, seconds: u64) -> Result<Run> {
    let time = seconds.to_string();
    let client = cluster.pg.client("postgres").await;
    let sql = "SELECT pid FROM pg_stat_replication";
    let walsender = client.query_opt(sql, &[]).await?;
    let walsender = walsender.map(|row| row.get::<_, i32>(0).to_string());
    let (from, before) = (
        position(&client).await?,
        cpus(cluster, running, walsender.as_deref()),
    );
    let arguments = ["-c", "8", "-j", "2", "-n", "-T", &time, "bench"];
    let output = cluster.program("pgbench", &arguments).output()?;
    let after = cpus(cluster, running, walsender.as_deref());
    let to = position(&client).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |name: &str| -> Result<f64> {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or(format!("pgbench says no {name}"))?.parse()?)
    };
    Ok(Run {
        tps: number("tps = ")?,
        latency_ms: number("latency average = ")?,
        wal_gb: megabytes(to.saturating_distance_from(from)) / 1000.0,
        cpu: after - before,
    })
}

/// What everybody has spent so far.
fn cpus(cluster: &Cluster, running: &Running, walsender: Option<&str>) -> Cpu {
    let own = |pid: &str| cpu(pid, 13..=14);
    let archiver = running.pid().map_or(0.0, |pid| own(&pid.to_string()));
    let server = cluster.pg.pid().map_or(0.0, |pid| {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let living: f64 = children.split_whitespace().map(own).sum();
        living + cpu(&pid.to_string(), 13..=16)
    });
    Cpu {
        archiver,
        walsender: walsender.map_or(0.0, own),
        all: archiver + server + cpu("self", 15..=16),
    }
}
