//! Which backup a target is recovered from, and how far the archive leads.

use std::fmt::Write;

use ops_core::Timestamp;
use ops_pg_replication::{SystemId, Timeline, TimelineHistory};

use super::target::{Aim, RestoreTarget};
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::PhysicalInfo;
use crate::repository::{BackupId, Manifest};
pub(crate) use crate::wal::Reach;
use crate::wal::{BaseBackupSpan, Coverage, RestorePoint, reach};

/// How many windows an error shows.
const SHOWN: usize = 5;

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) backup: BackupId,
    pub(crate) aim: Aim,
    pub(crate) reach: Reach,
}

/// What a caller leaves to us, or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) backup: Option<BackupId>,
    pub(crate) timeline: Option<Timeline>,
    pub(crate) exclusive: bool,
}

/// What there is to recover from.
#[derive(Debug)]
pub(crate) struct Stock<'a> {
    /// Physical backups, oldest first.
    pub(crate) backups: Vec<&'a Manifest>,
    pub(crate) coverage: &'a Coverage,
    pub(crate) points: &'a [RestorePoint],
    pub(crate) now: Timestamp,
}

/// A backup that lies on the line that was chosen.
#[derive(Debug)]
struct Candidate<'a> {
    manifest: &'a Manifest,
    info: &'a PhysicalInfo,
    reach: Reach,
}

impl Stock<'_> {
    /// The cluster that is meant: that of the newest backup.
    pub(crate) fn system_id(&self) -> Option<SystemId> {
        let newest = self.backups.last()?;
        Some(newest.physical.as_ref()?.system_id)
    }

    /// Resolves a target to a backup and a line of timelines, or says what can be had.
    pub(crate) fn choose(&self, target: &RestoreTarget, wishes: &Wishes) -> Result<Choice> {
        let named = match target {
            RestoreTarget::Immediate { backup } => Some(backup),
            _ => wishes.backup.as_ref(),
        };
        let timeline = self.timeline(target, named, wishes)?;
        let history = self.history(timeline)?;
        let mut candidates = self.candidates(&history, named);
        // Damaged pages are better than nothing, and worse than an older backup.
        if candidates.iter().any(|it| !it.info.degraded) {
            candidates.retain(|it| !it.info.degraded || named == Some(&it.manifest.id));
        }
        let refuse = |why: &str| Self::refuse(target, timeline, &candidates, why);
        if candidates.is_empty() {
            return Err(refuse(
                "no backup lies on that timeline with all the WAL that it needs",
            ));
        }
        let mut target = target.clone();
        let chosen = match &target {
            RestoreTarget::Latest | RestoreTarget::Immediate { .. } | RestoreTarget::Xid(_) => {
                candidates.last()
            }
            RestoreTarget::Lsn(lsn) => {
                let fits = |it: &&Candidate<'_>| it.info.end_lsn <= *lsn && *lsn < it.reach.end;
                let chosen = candidates.iter().rev().find(fits);
                Some(chosen.ok_or_else(|| refuse("the position is not there"))?)
            }
            RestoreTarget::Time(at) => {
                if *at > self.now {
                    return Err(refuse("it lies in the future"));
                }
                let fits = |it: &&Candidate<'_>| {
                    it.manifest.completed_at <= *at
                        && it.reach.newest_commit.is_some_and(|newest| *at <= newest)
                };
                let chosen = candidates.iter().rev().find(fits);
                Some(chosen.ok_or_else(|| refuse("the instant is not there"))?)
            }
            RestoreTarget::Name(name) => {
                Some(self.by_name(name, &history, &candidates, &refuse)?)
            }
        };
        let chosen = chosen.ok_or_else(|| refuse("there is no backup"))?;
        // The server stops at the first commit after an instant: after the newest there is none.
        if matches!(&target, RestoreTarget::Time(at) if Some(*at) == chosen.reach.newest_commit)
            && !wishes.exclusive
        {
            target = RestoreTarget::Latest;
        }
        Ok(Choice {
            backup: chosen.manifest.id.clone(),
            aim: Aim {
                target,
                inclusive: !wishes.exclusive,
                timeline,
            },
            reach: chosen.reach.clone(),
        })
    }

    /// The timeline that recovery ends on: the one that was asked for, that of a backup
    /// whose end is the target, or the newest that there is.
    fn timeline(
        &self,
        target: &RestoreTarget,
        named: Option<&BackupId>,
        wishes: &Wishes,
    ) -> Result<Timeline> {
        if let Some(timeline) = wishes.timeline {
            return Ok(timeline);
        }
        let physical = |manifest: &&Manifest| manifest.physical.clone();
        if let Some(id) = named {
            let backup = self.backups.iter().find(|it| it.id == *id);
            let info = backup.and_then(physical).ok_or_else(|| {
                let message = format!("there is no physical backup {id}");
                Error::new(ErrorKind::NotFound, "restore", message)
            })?;
            if matches!(target, RestoreTarget::Immediate { .. }) {
                return Ok(info.end_timeline);
            }
        }
        let system_id = self.system_id();
        let of_backups = self.backups.iter().filter_map(physical);
        let of_backups = of_backups
            .filter(|info| Some(info.system_id) == system_id)
            .map(|info| info.end_timeline);
        let of_runs = self.coverage.runs.iter().map(|run| run.timeline);
        let of_histories = self
            .coverage
            .histories
            .iter()
            .map(TimelineHistory::timeline);
        of_backups
            .chain(of_runs)
            .chain(of_histories)
            .max()
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    "restore",
                    "there is no physical backup",
                )
            })
    }

    /// The history of a timeline. One that is missing, of a timeline that WAL is archived
    /// of, would let recovery end early.
    pub(crate) fn history(&self, timeline: Timeline) -> Result<TimelineHistory> {
        let found = self
            .coverage
            .histories
            .iter()
            .find(|it| it.timeline() == timeline);
        if let Some(history) = found {
            return Ok(history.clone());
        }
        let archived = self
            .coverage
            .runs
            .iter()
            .any(|run| run.timeline == timeline);
        if timeline != Timeline::FIRST && archived {
            let message = format!("the history of timeline {timeline} is missing from the archive");
            return Err(Error::new(ErrorKind::WalMissing, "restore", message));
        }
        if timeline == Timeline::FIRST {
            return Ok(TimelineHistory::initial());
        }
        // Without an archive nothing but the end of a backup on that timeline can be reached,
        // and where it came from does not matter.
        let text = format!("{}\t0/0\tnot known\n", timeline.get() - 1);
        TimelineHistory::parse(timeline, text.into()).map_err(|source| {
            let message = "a history cannot be made";
            Error::new(ErrorKind::Internal, "restore", message).with_source(source)
        })
    }

    fn candidates(
        &self,
        history: &TimelineHistory,
        named: Option<&BackupId>,
    ) -> Vec<Candidate<'_>> {
        let system_id = self.system_id();
        let candidate = |manifest: &&'_ Manifest| named.is_none_or(|id| manifest.id == *id);
        let mut candidates: Vec<_> = self
            .backups
            .iter()
            .filter(|manifest| candidate(manifest))
            .filter_map(|manifest| {
                let info = manifest.physical.as_ref()?;
                let ours = named.is_some() || Some(info.system_id) == system_id;
                let span = BaseBackupSpan::of(manifest, info);
                let reach = reach(&span, self.coverage, history)?;
                ours.then_some(Candidate {
                    manifest,
                    info,
                    reach,
                })
            })
            .collect();
        // Ids tell seconds apart, and a small backup takes less.
        candidates.sort_by_key(|it| it.info.end_lsn);
        candidates
    }

    /// The newest backup from which recovery stops at a restore point of that name.
    fn by_name<'a, 'b>(
        &self,
        name: &str,
        history: &TimelineHistory,
        candidates: &'b [Candidate<'a>],
        refuse: &impl Fn(&str) -> Error,
    ) -> Result<&'b Candidate<'a>> {
        let on_line = |point: &&RestorePoint| {
            point.name == name && history.continues(point.timeline, point.end)
        };
        let points: Vec<_> = self.points.iter().filter(on_line).collect();
        let Some(last) = points.iter().max_by_key(|point| point.end) else {
            return Err(refuse("no restore point of that name is archived"));
        };
        let fits = |it: &&Candidate<'_>| it.info.end_lsn < last.end && last.end <= it.reach.end;
        let chosen = candidates.iter().rev().find(fits);
        let chosen = chosen.ok_or_else(|| refuse("no backup leads to it"))?;
        let between = points
            .iter()
            .filter(|point| point.end > chosen.info.end_lsn)
            .count();
        if between > 1 {
            let why = format!(
                "{between} restore points after backup {} have that name",
                chosen.manifest.id
            );
            return Err(refuse(&why).with_hint("restore to the position of the one that you mean"));
        }
        Ok(chosen)
    }

    /// Why a target cannot be had, and what can.
    #[cold]
    fn refuse(
        target: &RestoreTarget,
        timeline: Timeline,
        candidates: &[Candidate<'_>],
        why: &str,
    ) -> Error {
        let mut text =
            format!("{target} cannot be recovered on timeline {timeline}: {why}; recoverable is ");
        if candidates.is_empty() {
            text.push_str("nothing");
        }
        for (index, it) in candidates.iter().rev().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { ", and " };
            let until = it.reach.newest_commit.map_or_else(
                || "its end".to_owned(),
                |newest| format!("{newest} at {}", it.reach.end),
            );
            let (from, lsn, id) = (it.manifest.completed_at, it.info.end_lsn, &it.manifest.id);
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "{separator}{from} at {lsn} up to {until} from backup {id}"
            );
        }
        let more = candidates.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = write!(text, ", and what {more} older backups lead to");
        }
        Error::new(ErrorKind::NotRecoverable, "restore", text)
            .with_left_behind("nothing was written")
    }
}

#[cfg(test)]
mod tests;
