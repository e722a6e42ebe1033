//! What the last drills found.

use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use ops_core::ObjectKey;

use super::DrillSummary;
use crate::drill::DrillReport;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Phase;
use crate::fingerprint::CheckOutcome;
use crate::physical::{ClusterDrillReport, DrillLevel};
use crate::repository::{BackupId, CatalogueEntry, Repository};

/// How many of the newest backups are looked at.
const BACKUPS: usize = 16;
/// How many requests are under way at once.
const AT_ONCE: usize = 8;
/// How many results of a backup are looked through for one that passed.
const RESULTS: usize = 8;
/// The largest result that is read.
const MAX_BYTES: u64 = 64 << 20;
/// What the names of the caller's own checks begin with.
const ASSERTION: &str = "assertion: ";

/// The last drill of each of the newest backups, and the last that passed where that did not,
/// by when they ended.
pub(super) async fn newest(
    repository: &Repository,
    entries: &[CatalogueEntry],
) -> Result<Vec<DrillSummary>> {
    let newest = entries.iter().rev().take(BACKUPS);
    let asked: Vec<_> = newest
        .map(|entry| {
            let (id, physical) = (entry.manifest.id.clone(), entry.manifest.physical.is_some());
            last_ones(repository.clone(), id, physical)
        })
        .collect();
    let asked: Vec<Vec<_>> = stream::iter(asked)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut found = asked.concat();
    found.sort_by_key(|drill| drill.completed_at);
    Ok(found)
}

/// The last drill, and the last that passed.
async fn last_ones(
    repository: Repository,
    id: BackupId,
    physical: bool,
) -> Result<Vec<DrillSummary>> {
    let prefix = format!("{}drills/", repository.layout.folder(&id));
    let mut found: Vec<DrillSummary> = Vec::new();
    // Names are times.
    let listed = repository.list("status", prefix).await?;
    for meta in listed.iter().rev().take(RESULTS) {
        let drill = read(&repository, &meta.key, physical).await?;
        let passed = drill.passed;
        if passed || found.is_empty() {
            found.push(drill);
        }
        if passed {
            break;
        }
    }
    Ok(found)
}

async fn read(repository: &Repository, key: &ObjectKey, physical: bool) -> Result<DrillSummary> {
    let json = repository.read("status", key, MAX_BYTES).await?;
    let read = if physical {
        serde_json::from_slice(&json).map(of_cluster)
    } else {
        serde_json::from_slice(&json).map(of_dump)
    };
    read.map_err(|source| {
        let message = format!("{key} cannot be read");
        Error::new(ErrorKind::Integrity, "status", message).with_source(source)
    })
}

fn of_cluster(report: ClusterDrillReport) -> DrillSummary {
    DrillSummary {
        backup: report.id,
        completed_at: report.completed_at,
        passed: report.passed,
        level: report.level,
        rto: seconds(report.rto_seconds),
        failure: report.failure,
    }
}

fn of_dump(report: DrillReport) -> DrillSummary {
    let (asked, compared): (Vec<_>, Vec<_>) = report
        .checks
        .iter()
        .partition(|check| check.name.starts_with(ASSERTION));
    let passed = |check: &&crate::fingerprint::Check| check.outcome == CheckOutcome::Passed;
    let level = if let Some(failure) = &report.failure {
        // What it did until then tells of no more.
        match failure.phase {
            Phase::Preflight => DrillLevel::Unproven,
            _ => DrillLevel::Listed,
        }
    } else if !compared.iter().all(passed) {
        // All of it was read, and a server took it.
        DrillLevel::Hashed
    } else if asked.is_empty() || !asked.iter().all(passed) {
        DrillLevel::Checked
    } else {
        DrillLevel::Asserted
    };
    DrillSummary {
        backup: report.id,
        completed_at: report.completed_at,
        passed: report.passed,
        level,
        rto: seconds(report.rto_seconds),
        failure: report.failure,
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
