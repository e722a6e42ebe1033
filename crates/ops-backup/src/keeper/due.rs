//! When a base backup is due.

use std::sync::Arc;
use std::time::Duration;

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, Timeline};

use crate::error::Result;
use crate::repository::{CatalogueEntry, Repository};
use crate::wal::{BaseBackupSpan, GapRecord, WalArchive, WalRun, base_backup_spans};

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a base backup is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DueReason {
    /// The cluster has no sound base backup in the store.
    NoBackup,
    /// WAL is missing after the newest one: what comes behind it cannot be recovered.
    Gap,
    /// The newest one is as old as it may become.
    Age,
}

/// What there is in a store.
struct Found<'a> {
    /// The newest sound backup, and when it began.
    newest: Option<(BaseBackupSpan, Timestamp)>,
    gaps: &'a [GapRecord],
    runs: &'a [WalRun],
}

/// When the next base backup is due in a store, and why.
pub(super) async fn find(
    repository: &Repository,
    every: Duration,
    now: Timestamp,
) -> Result<(DueReason, Timestamp)> {
    let (store, prefix) = (Arc::clone(&repository.store), repository.layout.prefix());
    let Some(archive) = WalArchive::open(store, prefix, None, Vec::new()).await? else {
        return Ok((DueReason::NoBackup, now));
    };
    let entries = repository.catalogue().await?;
    let newest = newest(&entries, &archive);
    let from = newest.as_ref().map(|(span, _)| span.start);
    // WAL that is read after the gaps: one that is written down by then is seen as such.
    let gaps = archive.gaps().await?;
    let coverage = archive.coverage(from).await?;
    let found = Found {
        newest,
        gaps: &gaps,
        runs: &coverage.runs,
    };
    Ok(found.due(every, now))
}

/// The newest sound backup of the cluster, by position.
fn newest(entries: &[CatalogueEntry], archive: &WalArchive) -> Option<(BaseBackupSpan, Timestamp)> {
    let spans = base_backup_spans(entries).remove(&archive.system_id())?;
    let entry = |span: &BaseBackupSpan| entries.iter().find(|it| it.manifest.id == span.id);
    spans.into_iter().rev().find_map(|span| {
        let manifest = &entry(&span)?.manifest;
        let degraded = manifest.physical.as_ref().is_none_or(|it| it.degraded);
        let at = manifest.started_at;
        (!degraded).then_some((span, at))
    })
}

impl Found<'_> {
    fn due(&self, every: Duration, now: Timestamp) -> (DueReason, Timestamp) {
        let Some((newest, began)) = &self.newest else {
            return (DueReason::NoBackup, now);
        };
        let needed = newest.first_needed();
        // One on a timeline that was left before is not in the way.
        let ahead = |gap: &&GapRecord| gap.timeline >= newest.timeline && gap.to > needed;
        let cut = self.gaps.iter().any(|gap| ahead(&gap));
        if cut || self.begins_after(newest.timeline, needed) {
            return (DueReason::Gap, now);
        }
        // A clock that was set back must not put it off for longer than that.
        let at = began.saturating_add(every).min(now.saturating_add(every));
        (DueReason::Age, at)
    }

    /// Whether archived WAL begins only after what a backup needs next: the archive is newer
    /// than the backup.
    fn begins_after(&self, timeline: Timeline, needed: Lsn) -> bool {
        let since = self.runs.iter().filter(|run| run.timeline >= timeline);
        let later = since.clone().any(|run| run.start > needed);
        later && !since.clone().any(|run| run.start <= needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::GapReason;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    fn segment(number: u64) -> Lsn {
        Lsn::new(number << 24)
    }

    /// When a backup is due that began at second 100, in the fifth segment, and brings its
    /// WAL.
    fn due(gaps: &[(u64, u64)], runs: &[(u32, u64, u64)], now: i64) -> (DueReason, i64) {
        let id = "20260101T000000Z-00000001".parse().unwrap();
        let end = segment(5).saturating_add(0x200);
        let span = BaseBackupSpan::new(id, Timeline::FIRST, segment(5), end, at(110));
        let gap = |&(from, to): &(u64, u64)| {
            let reason = GapReason::SlotLost;
            GapRecord::new(Timeline::FIRST, segment(from), segment(to), reason, at(0))
        };
        let run = |&(on, from, to): &(u32, u64, u64)| {
            WalRun::new(Timeline::new(on).unwrap(), segment(from), segment(to))
        };
        let found = Found {
            newest: Some((span.with_included_wal(true), at(100))),
            gaps: &gaps.iter().map(gap).collect::<Vec<_>>(),
            runs: &runs.iter().map(run).collect::<Vec<_>>(),
        };
        let (reason, when) = found.due(Duration::from_secs(1000), at(now));
        (reason, when.unix_seconds())
    }

    #[test]
    fn a_backup_is_due_by_age_and_at_once_where_wal_is_missing_behind_the_newest() {
        use DueReason::{Age, Gap};
        assert_eq!(due(&[], &[(1, 2, 9)], 200), (Age, 1100));
        assert_eq!(due(&[], &[(1, 2, 9)], 2000), (Age, 1100));
        // Nothing is archived yet, or nothing that came after the backup.
        assert_eq!(due(&[], &[], 200), (Age, 1100));
        assert_eq!(due(&[(3, 5)], &[(1, 2, 3), (1, 5, 9)], 200), (Age, 1100));
        assert_eq!(due(&[(3, 6)], &[(1, 2, 3), (1, 6, 9)], 200), (Age, 1100));
        assert_eq!(due(&[(7, 8)], &[(1, 2, 7), (1, 8, 9)], 200), (Gap, 200));
        // The archive is newer than the backup.
        assert_eq!(due(&[], &[(1, 7, 9)], 200), (Gap, 200));
        // It goes on along the timeline that was promoted.
        assert_eq!(due(&[], &[(1, 2, 7), (2, 7, 9)], 200), (Age, 1100));
        // The clock was set back by an hour.
        assert_eq!(due(&[], &[(1, 2, 9)], -3500), (Age, -2500));
    }

    #[test]
    fn without_a_backup_one_is_due_at_once() {
        let found = Found {
            newest: None,
            gaps: &[],
            runs: &[],
        };
        let (reason, when) = found.due(DAY, at(7));
        assert_eq!((reason, when), (DueReason::NoBackup, at(7)));
    }
}
