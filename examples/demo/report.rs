//! The report.

use std::fmt;
use std::time::Duration;

use ops_backup::{BackupReport, CheckOutcome, Difference, DrillReport};
use ops_pool::Snapshot;

use crate::health::{self, Answer};

#[derive(Debug, serde::Serialize)]
pub(crate) struct Report {
    backup: Backup,
    restore: Restore,
    health: Health,
    pool: Pool,
    rpo_seconds: f64,
    rto_seconds: f64,
    backup_peak_rss_bytes: Option<u64>,
    peak_rss_bytes: Option<u64>,
}

#[derive(Debug, serde::Serialize)]
struct Backup {
    id: String,
    server: String,
    bytes_in: u64,
    bytes_stored: u64,
    seconds: f64,
    dump_seconds: f64,
    megabytes_per_second: f64,
    rows: u64,
}

#[derive(Debug, serde::Serialize)]
struct Restore {
    seconds: f64,
    equal: bool,
    tables: u64,
    rows: u64,
    checks: Vec<String>,
    differences: Vec<Difference>,
}

#[derive(Debug, serde::Serialize)]
struct Health {
    status: String,
    routes: Vec<Answer>,
}

/// What the pool did.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Pool {
    transactions: Option<u64>,
    sessions: u64,
    connections: u64,
    closed_dirty: u64,
}

impl Pool {
    pub(crate) fn new(snapshot: &Snapshot, transactions: Option<u64>) -> Self {
        let totals = &snapshot.totals;
        Self {
            transactions,
            sessions: totals.assignments,
            connections: totals.connects,
            closed_dirty: totals.dirty_closes,
        }
    }
}

impl Report {
    pub(crate) fn new(
        backup: &BackupReport,
        drill: &DrillReport,
        rpo: Duration,
        backup_peak_rss_bytes: Option<u64>,
        routes: Vec<Answer>,
        pool: Pool,
    ) -> Self {
        let status = routes
            .first()
            .and_then(Answer::status)
            .unwrap_or_else(|| "unknown".to_owned());
        let dump_seconds = backup.phases.get("dump").map_or(0.0, Duration::as_secs_f64);
        let checks = drill.checks.iter().map(|check| {
            let outcome = match check.outcome {
                CheckOutcome::Passed => "passed",
                CheckOutcome::Failed => "FAILED",
                _ => "not checked",
            };
            format!("{}: {outcome} ({})", check.name, check.checked)
        });
        Self {
            backup: Backup {
                id: backup.id.to_string(),
                server: backup.source.server_version.clone(),
                bytes_in: backup.bytes_in,
                bytes_stored: backup.bytes_stored,
                seconds: backup.duration.as_secs_f64(),
                dump_seconds,
                megabytes_per_second: backup.bytes_per_second() / 1e6,
                rows: backup.rows,
            },
            restore: Restore {
                seconds: drill.restore_seconds,
                equal: drill.passed,
                tables: drill.tables,
                rows: drill.rows,
                checks: checks.collect(),
                differences: drill.differences().cloned().collect(),
            },
            health: Health { status, routes },
            pool,
            rpo_seconds: rpo.as_secs_f64(),
            rto_seconds: drill.rto_seconds,
            backup_peak_rss_bytes,
            peak_rss_bytes: ops_testkit::peak_rss_bytes(),
        }
    }

    /// Whether everything went as it should.
    pub(crate) fn is_good(&self) -> bool {
        self.restore.equal && health::is_good(&self.health.routes)
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            backup,
            restore,
            health,
            pool,
            ..
        } = self;
        let peak =
            |bytes: Option<u64>| bytes.map_or_else(|| "not known here".to_owned(), megabytes);
        writeln!(f)?;
        writeln!(
            f,
            "backup      {} of PostgreSQL {}",
            backup.id, backup.server
        )?;
        writeln!(
            f,
            "            {} in, {} stored encrypted, {} rows",
            megabytes(backup.bytes_in),
            megabytes(backup.bytes_stored),
            backup.rows
        )?;
        writeln!(
            f,
            "            {:.1} s in all; dump {:.1} s, {:.0} MB/s",
            backup.seconds, backup.dump_seconds, backup.megabytes_per_second
        )?;
        writeln!(
            f,
            "memory      peak {} until the backup's end, {} in all",
            peak(self.backup_peak_rss_bytes),
            peak(self.peak_rss_bytes)
        )?;
        writeln!(
            f,
            "restore     {:.1} s into a second server",
            restore.seconds
        )?;
        let equal = if restore.equal { "EQUAL" } else { "NOT EQUAL" };
        writeln!(
            f,
            "            {equal}: {} tables, {} rows compared",
            restore.tables, restore.rows
        )?;
        for check in &restore.checks {
            writeln!(f, "            {check}")?;
        }
        for difference in &restore.differences {
            writeln!(
                f,
                "            {}: expected {}, found {}",
                difference.subject, difference.expected, difference.found
            )?;
        }
        writeln!(
            f,
            "RPO         {:.1} s: the age of the newest recoverable commit",
            self.rpo_seconds
        )?;
        writeln!(
            f,
            "RTO         {:.1} s: measured, from nothing to the first answer",
            self.rto_seconds
        )?;
        writeln!(f, "health      {}", health.status)?;
        for answer in &health.routes {
            writeln!(
                f,
                "            {:16} {} {}",
                answer.route,
                answer.code,
                answer.body.trim()
            )?;
        }
        match pool.transactions {
            Some(count) => writeln!(
                f,
                "pool        {count} transactions while the backup ran, {} sessions over {} connections",
                pool.sessions, pool.connections
            ),
            None => writeln!(f, "pool        no workload: the database is not ours"),
        }
    }
}
