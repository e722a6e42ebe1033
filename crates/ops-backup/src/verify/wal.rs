//! Archived WAL: each object by itself, and the way from each backup to the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use ops_core::ObjectKey;
use ops_pg_replication::{Lsn, SystemId, Timeline, TimelineHistory};

use super::report::{CheckedPart, ClosureEnd, ProblemKind, Subject, WalClosure};
use super::{Run, VerifyDepth};
use crate::error::{Error, ErrorKind, Result};
use crate::physical::{PhysicalInfo, WalMethod};
use crate::repository::BackupId;
use crate::wal::{Coverage, GapRecord, WalArchive, WalObject};

/// How many objects are read at once.
const AT_ONCE: usize = 4;

/// A stretch of archived WAL without a hole, along a line of timelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: Lsn,
    end: Lsn,
}

/// What an archive holds.
struct Holding<'a> {
    archive: &'a WalArchive,
    coverage: Coverage,
    gaps: Vec<GapRecord>,
    /// The archiver's word of how far it was.
    witness: Option<(Timeline, Lsn)>,
}

impl Run {
    /// Looks at the archives of all clusters that the backups are of.
    pub(super) async fn check_wal(&mut self, chosen: &[BackupId]) -> Result<()> {
        let current = self.open_archive(None).await?;
        let physical = |id: &BackupId| self.known.get(id)?.manifest.physical.clone();
        let backups: Vec<(BackupId, PhysicalInfo)> = chosen
            .iter()
            .filter_map(|id| Some((id.clone(), physical(id)?)))
            .collect();
        let ids = backups.iter().map(|(_, info)| info.system_id);
        let ids: BTreeSet<SystemId> = ids
            .chain(current.as_ref().map(WalArchive::system_id))
            .collect();
        for system_id in ids {
            let own: Vec<_> = backups
                .iter()
                .filter(|(_, it)| it.system_id == system_id)
                .collect();
            match self.open_archive(Some(system_id)).await? {
                None => self.without_archive(&own),
                Some(archive) => {
                    self.check_objects(&archive).await?;
                    self.check_continuity(&archive, &own).await;
                }
            }
        }
        Ok(())
    }

    async fn open_archive(&mut self, system_id: Option<SystemId>) -> Result<Option<WalArchive>> {
        let (store, prefix) = (
            Arc::clone(&self.repository.store),
            self.repository.layout.prefix(),
        );
        let unlock = self.inner.settings.unlock.clone();
        match WalArchive::open(store, prefix, system_id, unlock).await {
            Err(err) if err.kind() == ErrorKind::Integrity => {
                let text = ops_core::Report(&err).to_string();
                let part = CheckedPart::WalObjects;
                self.findings
                    .problem(part, ProblemKind::WalDamaged, Subject::default(), text);
                Ok(None)
            }
            other => other,
        }
    }

    /// Backups of a cluster that no WAL is archived of.
    fn without_archive(&mut self, backups: &[&(BackupId, PhysicalInfo)]) {
        for (id, info) in backups {
            if info.wal == WalMethod::Archive {
                let text = "its WAL is not in it, and no WAL of its cluster is archived";
                let part = CheckedPart::WalContinuity;
                self.findings
                    .problem(part, ProblemKind::WalMissing, Subject::backup(id), text);
                continue;
            }
            self.findings.wal.push(WalClosure {
                backup: id.clone(),
                system_id: info.system_id,
                timeline: info.end_timeline,
                from: info.end_lsn,
                to: info.end_lsn,
                end: ClosureEnd::NoArchive,
            });
        }
    }

    /// Looks at each object of an archive.
    async fn check_objects(&mut self, archive: &WalArchive) -> Result<()> {
        let depth = self.options.depth;
        let part = CheckedPart::WalObjects;
        let mut objects = Vec::new();
        for (meta, object) in archive.sealed_objects().await? {
            let subject = Subject::object(&meta.key);
            match object {
                None => {
                    let text = "nothing of the archive has such a name";
                    self.findings
                        .problem(part, ProblemKind::WalMislabeled, subject, text);
                }
                Some(_) if meta.size_bytes == 0 => {
                    self.findings
                        .problem(part, ProblemKind::WalDamaged, subject, "it is empty");
                }
                Some(object) => objects.push((meta.key, object)),
            }
        }
        if depth == VerifyDepth::Listed {
            return Ok(());
        }
        let looks = objects.into_iter().map(|(key, object)| async move {
            let outcome = look(archive, &key, object, depth).await;
            (key, outcome)
        });
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        let mut epochs = BTreeSet::new();
        while let Some((key, (epoch, outcome))) = looks.next().await {
            epochs.extend(epoch);
            self.take_object(&key, outcome);
        }
        for epoch in epochs {
            let (key, there) = archive.has_epoch(epoch).await?;
            if !there {
                let text = format!("all WAL of epoch {epoch} is unreadable without it");
                let subject = Subject::object(&key);
                self.findings
                    .problem(part, ProblemKind::EpochMissing, subject, text);
            }
        }
        Ok(())
    }

    fn take_object(&mut self, key: &ObjectKey, outcome: Outcome) {
        let part = CheckedPart::WalObjects;
        let subject = Subject::object(key);
        let (kind, err) = match outcome {
            Ok(()) => return self.findings.good(part),
            Err(failed) => failed,
        };
        let has_keys = !self.inner.settings.unlock.is_empty();
        let text = ops_core::Report(&err).to_string();
        match err.kind() {
            ErrorKind::Integrity => self.findings.problem(part, kind, subject, text),
            ErrorKind::WrongSystem => {
                self.findings
                    .problem(part, ProblemKind::WalForeign, subject, text);
            }
            ErrorKind::WrongKey if has_keys => {
                self.findings
                    .problem(part, ProblemKind::WrongKey, subject, text);
            }
            // A part that was removed because its segment is whole now.
            ErrorKind::NotFound => {}
            _ => self.findings.unchecked(part, subject, text),
        }
    }

    async fn check_continuity(
        &mut self,
        archive: &WalArchive,
        backups: &[&(BackupId, PhysicalInfo)],
    ) {
        let part = CheckedPart::WalContinuity;
        let holding = match Holding::read(archive).await {
            Ok(holding) => holding,
            Err(err) => {
                let text = ops_core::Report(&err).to_string();
                for (id, _) in backups {
                    self.findings
                        .unchecked(part, Subject::backup(id), text.clone());
                }
                return;
            }
        };
        for timeline in holding.timelines_without_history() {
            let subject = archive
                .history_key(timeline)
                .map(|key| Subject::object(&key));
            let text = format!("WAL of timeline {timeline} is archived and its history is not");
            let kind = ProblemKind::HistoryMissing;
            self.findings
                .problem(part, kind, subject.unwrap_or_default(), text);
        }
        for (id, info) in backups {
            let closure = holding.closure(id, info, backups);
            let (subject, to) = (Subject::backup(id), closure.to);
            match &closure.end {
                ClosureEnd::Missing(key) => {
                    let text = format!("WAL after {to} is not there, and no gap was written down");
                    let subject = subject.with_object(key);
                    self.findings
                        .problem(part, ProblemKind::WalMissing, subject, text);
                }
                _ => self.findings.good(part),
            }
            self.findings.wal.push(closure);
        }
    }
}

/// What came of looking at an object: what it means where it is damaged, and the error.
type Outcome = Result<(), (ProblemKind, Error)>;

async fn look(
    archive: &WalArchive,
    key: &ObjectKey,
    object: WalObject,
    depth: VerifyDepth,
) -> (Option<u32>, Outcome) {
    let epoch = match archive.check_header(key, object).await {
        Ok(epoch) => epoch,
        Err(err) => return (None, Err((ProblemKind::WalMislabeled, err))),
    };
    if depth < VerifyDepth::Opened {
        return (epoch, Ok(()));
    }
    let content = archive.check_content(key, object).await;
    (epoch, content.map_err(|err| (ProblemKind::WalDamaged, err)))
}

impl<'a> Holding<'a> {
    async fn read(archive: &'a WalArchive) -> Result<Self> {
        let witness = archive.witness().await?;
        Ok(Self {
            archive,
            coverage: archive.coverage(None).await?,
            gaps: archive.known_holes().await?,
            witness: witness.map(|hint| (hint.timeline, hint.end)),
        })
    }

    fn timelines_without_history(&self) -> BTreeSet<Timeline> {
        let archived = self.coverage.runs.iter().map(|run| run.timeline);
        archived
            .filter(|it| *it != Timeline::FIRST && self.history(*it).is_none())
            .collect()
    }

    fn history(&self, timeline: Timeline) -> Option<TimelineHistory> {
        if timeline == Timeline::FIRST {
            return Some(TimelineHistory::initial());
        }
        let mut histories = self.coverage.histories.iter();
        histories.find(|it| it.timeline() == timeline).cloned()
    }

    /// The newest line of timelines that WAL is archived of and that a backup lies on.
    fn line_of(&self, info: &PhysicalInfo) -> Option<TimelineHistory> {
        let archived: BTreeSet<_> = self.coverage.runs.iter().map(|run| run.timeline).collect();
        let mut lines = archived.into_iter().rev().filter_map(|it| self.history(it));
        lines.find(|line| line.continues(info.end_timeline, info.end_lsn))
    }

    /// The archived WAL along a line, as the files that recovery asks for: from the segment
    /// in which a timeline was left on, they are of the next one.
    fn pieces(&self, line: &TimelineHistory) -> Vec<Piece> {
        let size = self.archive.segment_size();
        let mut pieces: Vec<Piece> = Vec::new();
        for (timeline, _, left) in line.ranges() {
            let left = left.map(|switch| switch.segment_start(size));
            for run in self
                .coverage
                .runs
                .iter()
                .filter(|run| run.timeline == timeline)
            {
                let end = left.map_or(run.end, |left| run.end.min(left));
                if run.start < end {
                    let start = run.start;
                    pieces.push(Piece { start, end });
                }
            }
        }
        pieces.sort_by_key(|piece| piece.start);
        let mut merged: Vec<Piece> = Vec::new();
        for piece in pieces {
            match merged.last_mut() {
                Some(last) if piece.start <= last.end => last.end = last.end.max(piece.end),
                _ => merged.push(piece),
            }
        }
        merged
    }

    /// From where on WAL of a backup must be archived.
    fn needed_from(info: &PhysicalInfo, pieces: &[Piece]) -> Lsn {
        let size = info.wal_segment_size;
        if info.wal == WalMethod::Archive {
            return info.start_lsn.segment_start(size);
        }
        let after = info
            .end_lsn
            .segment_of_end(info.end_timeline, size)
            .end(size);
        let last = after.checked_sub(size.bytes()).unwrap_or(after);
        // Where the archive has the backup's last segment, too, it may have only a part of it.
        if piece_at(pieces, last).is_some() {
            last
        } else {
            after
        }
    }

    fn closure(
        &self,
        id: &BackupId,
        info: &PhysicalInfo,
        backups: &[&(BackupId, PhysicalInfo)],
    ) -> WalClosure {
        let line = self.line_of(info);
        let timeline = line
            .as_ref()
            .map_or(info.end_timeline, TimelineHistory::timeline);
        let pieces = line
            .as_ref()
            .map(|line| self.pieces(line))
            .unwrap_or_default();
        let from = Self::needed_from(info, &pieces);
        let own_end = info.wal != WalMethod::Archive;
        let own = if own_end { info.end_lsn } else { from };
        let found = piece_at(&pieces, from);
        let reached = found.map_or(from, |piece| piece.end);
        let to = found.map_or(own, |piece| piece.end.max(own));
        let next = pieces.iter().find(|piece| piece.start > reached);
        let promised = self.witness.is_some_and(|(of, end)| {
            let on_line = line
                .as_ref()
                .map_or(of == info.end_timeline, |it| it.continues(of, end));
            on_line && end > reached
        });
        let begins_anew = || next.is_some_and(|it| Self::begins_anew(*it, &pieces, backups));
        let end = if let Some(gap) = self.gap_at(reached, line.as_ref()) {
            ClosureEnd::Gap(gap)
        } else if next.is_none() && !promised && to >= info.end_lsn {
            ClosureEnd::Frontier
        } else if own_end && found.is_none() && begins_anew() {
            ClosureEnd::OwnEnd
        } else {
            self.missing(reached, info, line.as_ref())
        };
        WalClosure {
            backup: id.clone(),
            system_id: info.system_id,
            timeline,
            from,
            to,
            end,
        }
    }

    /// Whether archived WAL begins with a piece, and another backup leads to it: what came
    /// before was given up with the backups that needed it.
    fn begins_anew(piece: Piece, pieces: &[Piece], backups: &[&(BackupId, PhysicalInfo)]) -> bool {
        let inside = |at: Lsn| piece.start <= at && at <= piece.end;
        pieces.first() == Some(&piece)
            && backups
                .iter()
                .any(|(_, info)| inside(Self::needed_from(info, pieces)))
    }

    /// The gap that begins where WAL ends.
    fn gap_at(&self, end: Lsn, line: Option<&TimelineHistory>) -> Option<GapRecord> {
        let size = self.archive.segment_size();
        let mut gaps = self
            .gaps
            .iter()
            .filter(|gap| line.is_none_or(|line| line.continues(gap.timeline, gap.from)));
        gaps.find(|gap| gap.from.segment_start(size) <= end && end < gap.to)
            .cloned()
    }

    fn missing(&self, at: Lsn, info: &PhysicalInfo, line: Option<&TimelineHistory>) -> ClosureEnd {
        let size = self.archive.segment_size();
        let name = match line {
            Some(line) => line.segment(at.segment_number(size), size),
            None => at.segment(info.end_timeline, size),
        };
        self.archive
            .segment_key(name)
            .map_or(ClosureEnd::OwnEnd, ClosureEnd::Missing)
    }
}

fn piece_at(pieces: &[Piece], at: Lsn) -> Option<Piece> {
    pieces
        .iter()
        .find(|piece| piece.start <= at && at < piece.end)
        .copied()
}
