//! The WAL that a backup needs, where it is not in the backup.

use std::sync::Arc;
use std::time::Duration;

use ops_pg_replication::{Lsn, Timeline};

use super::OPERATION;
use super::source::ServerInfo;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::WalRange;
use crate::repository::Repository;
use crate::wal::{Coverage, GapRecord, WalArchive};

/// How often the archive is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Opens the cluster's archive in a store; fails where there is none.
pub(super) async fn open(repository: &Repository, server: &ServerInfo) -> Result<WalArchive> {
    let store = Arc::clone(&repository.store);
    let prefix = repository.layout.prefix();
    let system_id = Some(server.identity.system_id);
    let archive = WalArchive::open(store, prefix, system_id, Vec::new()).await?;
    archive.ok_or_else(|| {
        let message = "there is no archive of the cluster's WAL";
        Error::new(ErrorKind::WalMissing, OPERATION, message)
            .with_hint("run an archiver, or include the WAL in the backup")
    })
}

/// Waits until the archive in a store has everything that a backup needs; fails where it does
/// not get it in time, and at once where it never will.
pub(super) async fn wait(
    repository: &Repository,
    server: &ServerInfo,
    needed: &[WalRange],
    within: Duration,
) -> Result<()> {
    let archive = open(repository, server).await?;
    let from = needed.iter().map(|range| range.start).min();
    let waiting = async {
        loop {
            // Read before the names: what it says was durable by then.
            let known = Known::read(&archive).await?;
            let coverage = archive.coverage(from).await?;
            if needed.iter().all(|range| covers(&coverage, range)) {
                return Ok(());
            }
            if let Some((timeline, lost)) = known.lost(&coverage, needed) {
                return Err(never(timeline, lost));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(within, waiting)
        .await
        .unwrap_or_else(|_| {
            let message = format!(
                "the archive has not got the WAL that the backup needs within {} seconds",
                within.as_secs()
            );
            Err(
                Error::new(ErrorKind::WalMissing, OPERATION, message).with_hint(
                    "see whether the archiver runs and keeps up, or include the WAL in the backup",
                ),
            )
        })
}

#[cold]
fn never(timeline: Timeline, lost: Lsn) -> Error {
    let message = format!(
        "the backup needs WAL from {lost} of timeline {timeline} on, which the archive has \
         passed over and will never get"
    );
    Error::new(ErrorKind::WalMissing, OPERATION, message)
        .with_hint("take the backup again now that the archiver streams, or include the WAL in it")
}

fn covers(coverage: &Coverage, needed: &WalRange) -> bool {
    coverage.runs.iter().any(|run| {
        run.timeline == needed.timeline && run.start <= needed.start && run.end >= needed.end
    })
}

/// What an archive says of WAL that does not come any more.
#[derive(Debug)]
struct Known {
    gaps: Vec<GapRecord>,
    /// Up to where an archiver has made everything durable that it will.
    passed: Option<(Timeline, Lsn)>,
}

impl Known {
    async fn read(archive: &WalArchive) -> Result<Self> {
        let witness = archive.witness().await?;
        Ok(Self {
            passed: witness.map(|it| (it.timeline, it.end)),
            gaps: archive.gaps().await?,
        })
    }

    /// The first needed position that will never be archived, where there is one. Uploads
    /// overtake one another, so that a hole alone proves nothing: a record of it does, and so
    /// does an archiver that is past it.
    fn lost(&self, coverage: &Coverage, needed: &[WalRange]) -> Option<(Timeline, Lsn)> {
        let is_there = |timeline: Timeline, at: Lsn| {
            let mut runs = coverage.runs.iter();
            runs.any(|run| run.timeline == timeline && run.start <= at && at < run.end)
        };
        let in_gap = |range: &WalRange| {
            let here = self
                .gaps
                .iter()
                .filter(|gap| gap.timeline == range.timeline);
            let cut = here.filter(|gap| gap.from < range.end && range.start < gap.to);
            cut.map(|gap| gap.from.max(range.start)).min()
        };
        let passed = |range: &WalRange| {
            let (timeline, end) = self.passed?;
            let is_past = timeline == range.timeline && range.start < end;
            (is_past && !is_there(timeline, range.start)).then_some(range.start)
        };
        needed.iter().find_map(|range| {
            let lost = in_gap(range).or_else(|| passed(range))?;
            (!is_there(range.timeline, lost)).then_some((range.timeline, lost))
        })
    }
}

#[cfg(test)]
mod tests {
    use ops_core::Timestamp;

    use super::*;
    use crate::wal::{GapReason, WalRun};

    const FIRST: Timeline = Timeline::FIRST;

    fn needed(start: u64, end: u64) -> Vec<WalRange> {
        vec![WalRange {
            timeline: FIRST,
            start: Lsn::new(start),
            end: Lsn::new(end),
        }]
    }

    fn lost(known: &Known, runs: &[(u64, u64)]) -> Option<u64> {
        let run = |&(start, end): &(u64, u64)| WalRun::new(FIRST, Lsn::new(start), Lsn::new(end));
        let coverage = Coverage::new(runs.iter().map(run).collect(), Vec::new());
        let lost = known.lost(&coverage, &needed(50, 90));
        lost.map(|(_, lost)| lost.as_u64())
    }

    #[test]
    fn wal_is_given_up_only_where_a_record_or_an_archiver_that_is_past_it_proves_it() {
        let nothing = |passed: Option<u64>| Known {
            gaps: Vec::new(),
            passed: passed.map(|end| (FIRST, Lsn::new(end))),
        };
        // Still to come, or overtaken by another upload.
        assert_eq!(lost(&nothing(None), &[(0, 40)]), None);
        assert_eq!(lost(&nothing(None), &[(0, 40), (60, 100)]), None);
        assert_eq!(lost(&nothing(Some(40)), &[(0, 40), (60, 100)]), None);
        assert_eq!(lost(&nothing(Some(60)), &[(0, 60)]), None);
        // The archive begins behind the start of the backup.
        assert_eq!(lost(&nothing(Some(100)), &[(60, 100)]), Some(50));
        let gap = |from: u64, to: u64| Known {
            gaps: vec![GapRecord::new(
                FIRST,
                Lsn::new(from),
                Lsn::new(to),
                GapReason::SlotMissing,
                Timestamp::UNIX_EPOCH,
            )],
            passed: None,
        };
        assert_eq!(lost(&gap(40, 60), &[(0, 40)]), Some(50));
        assert_eq!(lost(&gap(70, 80), &[(0, 70)]), Some(70));
        assert_eq!(lost(&gap(20, 50), &[(0, 20)]), None);
        assert_eq!(lost(&gap(90, 99), &[(0, 60)]), None);
        // Somebody filled it by hand.
        assert_eq!(lost(&gap(40, 60), &[(0, 70)]), None);
    }
}
