//! Which WAL is archived, in runs without a hole.

use futures_util::StreamExt;
use ops_core::Timestamp;
use ops_core::object_store::ListOptions;
use ops_pg_replication::{Lsn, SegmentName, Timeline, TimelineHistory};

use super::super::expire::Mark;
use super::super::objects::read_header;
use super::super::search::first;
use super::super::{OPERATION, expire};
use super::WalArchive;
use super::frontier::chain;
use crate::error::{Error, Result};
use crate::physical::WalRange;

/// WAL of one timeline without a hole in it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct WalRun {
    /// The timeline.
    pub timeline: Timeline,
    /// The position of the first byte: the beginning of a segment.
    pub start: Lsn,
    /// The position after the last byte.
    pub end: Lsn,
    /// The newest commit before the end, where one is known.
    pub newest_commit: Option<Timestamp>,
}

impl WalRun {
    /// A run.
    #[must_use]
    pub fn new(timeline: Timeline, start: Lsn, end: Lsn) -> Self {
        Self {
            timeline,
            start,
            end,
            newest_commit: None,
        }
    }
}

/// Which WAL is archived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// The runs, by timeline and position.
    pub runs: Vec<WalRun>,
    /// The histories of all timelines that have one, by timeline.
    pub histories: Vec<TimelineHistory>,
}

impl Coverage {
    /// Runs and histories that are known already.
    #[must_use]
    pub fn new(runs: Vec<WalRun>, histories: Vec<TimelineHistory>) -> Self {
        Self { runs, histories }
    }
}

impl WalArchive {
    /// Which WAL is archived from a position on, or at all. Reads the names of all segments
    /// there: holes are found whether or not somebody wrote them down.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` for an object that cannot be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn coverage(&self, from: Option<Lsn>) -> Result<Coverage> {
        let histories = self.histories().await?;
        // Read before the names: what is marked later is there for another while.
        let marked = expire::marks(&**self.store(), self.layout()).await?;
        let mut runs = Vec::new();
        for timeline in self.timelines().await? {
            let mut of_timeline = self.runs(timeline, from).await?;
            for run in &mut of_timeline {
                run.newest_commit = self.newest_commit_before(timeline, run.end).await?;
            }
            self.add_parts(timeline, &mut of_timeline).await?;
            let left = of_timeline.iter().flat_map(|run| unmarked(run, &marked));
            runs.extend(left);
        }
        Ok(Coverage { runs, histories })
    }

    /// The runs that there are by the names of objects, also where they are not to be relied
    /// upon any more; without commits.
    pub(crate) async fn named_runs(&self) -> Result<Vec<WalRun>> {
        let mut runs = Vec::new();
        for timeline in self.timelines().await? {
            let mut of_timeline = self.runs(timeline, None).await?;
            self.add_parts(timeline, &mut of_timeline).await?;
            runs.append(&mut of_timeline);
        }
        Ok(runs)
    }

    /// The timelines that any WAL is archived of: one request for each, and one more.
    pub(crate) async fn timelines(&self) -> Result<Vec<Timeline>> {
        let mut found = Vec::new();
        for folder in [self.layout().segments(), self.layout().parts()] {
            let mut after: Option<Timeline> = None;
            loop {
                let mut options = ListOptions::prefix(folder.clone());
                // `0` is the character after `/`.
                options.start_after = after
                    .map(|timeline| {
                        super::super::layout::key(format!("{folder}{}0", timeline.hex8()))
                    })
                    .transpose()?;
                let Some(key) = first(&**self.store(), options).await? else {
                    break;
                };
                let rest = key.as_str().strip_prefix(&folder).unwrap_or_default();
                let name = rest.split('/').next().unwrap_or_default();
                let Ok(timeline) = Timeline::from_hex8(name) else {
                    break;
                };
                found.push(timeline);
                after = Some(timeline);
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The runs of whole segments.
    async fn runs(&self, timeline: Timeline, from: Option<Lsn>) -> Result<Vec<WalRun>> {
        let (layout, size) = (self.layout(), self.segment_size());
        let mut options = ListOptions::prefix(layout.segments_of(timeline));
        options.start_after = from
            .and_then(|from| from.segment(timeline, size).previous())
            .map(|name| layout.segment(name, size))
            .transpose()?;
        let mut listing = self.store().list(options);
        let mut runs: Vec<WalRun> = Vec::new();
        while let Some(meta) = listing.next().await {
            let meta = meta.map_err(|err| Error::store(OPERATION, err))?;
            let Some(name) = layout.segment_name(&meta.key, size) else {
                continue;
            };
            match runs.last_mut() {
                Some(run) if run.end == name.start(size) => run.end = name.end(size),
                _ => runs.push(WalRun::new(timeline, name.start(size), name.end(size))),
            }
        }
        Ok(runs)
    }

    /// Continues runs by the parts of segments that are not whole.
    async fn add_parts(&self, timeline: Timeline, runs: &mut Vec<WalRun>) -> Result<()> {
        let (layout, size) = (self.layout(), self.segment_size());
        let mut listing = self
            .store()
            .list(ListOptions::prefix(layout.parts_of(timeline)));
        let mut current: Option<(SegmentName, Vec<(u32, u32)>)> = None;
        let mut segments = Vec::new();
        while let Some(meta) = listing.next().await {
            let meta = meta.map_err(|err| Error::store(OPERATION, err))?;
            let Some((name, from, to)) = layout.part_range(&meta.key, size) else {
                continue;
            };
            match &mut current {
                Some((segment, ranges)) if *segment == name => ranges.push((from, to)),
                _ => segments.extend(current.replace((name, vec![(from, to)]))),
            }
        }
        segments.extend(current);
        for (name, ranges) in segments {
            let start = name.start(size);
            // Parts of whole segments are left behind where they could not be removed.
            if runs.iter().any(|run| run.start <= start && start < run.end) {
                continue;
            }
            let Some(&(from, to)) = chain(ranges.into_iter()).last() else {
                continue;
            };
            let end = start.saturating_add(u64::from(to));
            let header = read_header(&**self.store(), &layout.part(name, size, from, to)?).await?;
            let commit = header.and_then(|header| header.commit);
            if let Some(run) = runs.iter_mut().find(|run| run.end == start) {
                run.end = end;
                run.newest_commit = run.newest_commit.max(commit);
            } else {
                let mut run = WalRun::new(timeline, start, end);
                run.newest_commit = commit;
                runs.push(run);
            }
        }
        runs.sort_by_key(|run| run.start);
        Ok(())
    }
}

/// What of a run is not marked as let go of.
fn unmarked(run: &WalRun, marked: &[Mark]) -> Vec<WalRun> {
    let whole = WalRange::new(run.timeline, run.start, run.end);
    let marked: Vec<WalRange> = marked.iter().map(|mark| mark.range).collect();
    let pieces = expire::without(whole, &marked).into_iter();
    let piece = |range: WalRange| {
        let mut piece = WalRun::new(range.timeline, range.start, range.end);
        piece.newest_commit = run.newest_commit.filter(|_| range.end == run.end);
        piece
    };
    pieces.map(piece).collect()
}
