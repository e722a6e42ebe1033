//! Where the archived WAL of a timeline ends.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use ops_core::object_store::{ListOptions, ObjectMeta};
use ops_core::{ObjectKey, Timestamp};
use ops_pg_replication::{Lsn, SegmentName, Timeline};

use super::super::OPERATION;
use super::super::objects::read_header;
use super::super::search::{first, last_under};
use super::WalArchive;
use crate::error::{Error, Result};

/// How many of the last segments are looked at for holes. Many more than can be in flight
/// at once.
const TAIL: u64 = 256;
/// How many objects without a commit are stepped back over for one that has seen one.
const MAX_STEPS_BACK: u64 = 16;

/// Where the archived WAL of a timeline ends without a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frontier {
    /// The timeline.
    pub timeline: Timeline,
    /// The position after the last archived byte.
    pub end: Lsn,
    /// The position after the last whole segment; the bytes from there to `end` are in
    /// parts of the next one.
    pub whole_end: Lsn,
    /// The newest commit before the end, where one is known.
    pub newest_commit: Option<Timestamp>,
}

impl WalArchive {
    /// Where the archived WAL of a timeline ends; `None` where there is none of it.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` for an object that cannot be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn frontier(&self, timeline: Timeline) -> Result<Option<Frontier>> {
        let size = self.segment_size();
        let mut whole = self.whole_frontier(timeline).await?;
        if whole.is_none() {
            let Some(name) = self.first_part(timeline).await? else {
                return Ok(None);
            };
            whole = Some(name.start(size));
        }
        let Some(mut whole) = whole else {
            return Ok(None);
        };
        // After a gap there may be parts and no whole segment yet.
        let gaps = self.known_holes().await?;
        loop {
            let (end, last) = self.parts_end(whole.segment(timeline, size)).await?;
            let gap = gaps.iter().find(|gap| {
                gap.timeline == timeline && gap.from <= end && gap.to > end && gap.from >= whole
            });
            if let Some(gap) = gap {
                let to = gap.to.segment_start(size);
                let resumed = self.parts_end(to.segment(timeline, size)).await?;
                if to > whole && resumed.0 > to {
                    whole = to;
                    continue;
                }
            }
            let newest_commit = self.newest_commit(timeline, whole, last).await?;
            return Ok(Some(Frontier {
                timeline,
                end,
                whole_end: whole,
                newest_commit,
            }));
        }
    }

    /// The end of the whole segments, up to the first hole among the last ones that no gap
    /// record explains.
    async fn whole_frontier(&self, timeline: Timeline) -> Result<Option<Lsn>> {
        let (layout, size) = (self.layout(), self.segment_size());
        let options = |after: Option<ObjectKey>| {
            let mut options = ListOptions::prefix(layout.segments_of(timeline));
            options.start_after = after;
            options
        };
        let number = |key: &ObjectKey| Some(layout.segment_name(key, size)?.number());
        let key = |number| layout.segment(SegmentName::new(timeline, number), size);
        let Some(last) = last_under(&**self.store(), options, number, key).await? else {
            return Ok(None);
        };
        let tail = last
            .checked_sub(TAIL)
            .map(|number| layout.segment(SegmentName::new(timeline, number), size))
            .transpose()?;
        let listed: Vec<ObjectMeta> = self
            .store()
            .list(options(tail))
            .try_collect()
            .await
            .map_err(|err| Error::store(OPERATION, err))?;
        let numbers: Vec<u64> = listed.iter().filter_map(|meta| number(&meta.key)).collect();
        let has_hole = numbers
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a + 1 != *b));
        let gaps = if has_hole {
            self.known_holes().await?
        } else {
            Vec::new()
        };
        let explained = |from: Lsn, to: Lsn| {
            let mut at = from;
            // A gap may begin inside a segment whose parts are there.
            let next = |at: Lsn| {
                let here = gaps
                    .iter()
                    .filter(|gap| gap.timeline == timeline && gap.from.segment_start(size) <= at);
                here.map(|gap| gap.to).filter(|to| *to > at).max()
            };
            while let Some(end) = next(at).filter(|_| at < to) {
                at = end;
            }
            at >= to
        };
        let mut end = None;
        for number in numbers {
            let name = SegmentName::new(timeline, number);
            let start = name.start(size);
            match end {
                Some(end) if end != start && !explained(end, start) => break,
                _ => end = Some(name.end(size)),
            }
        }
        Ok(end)
    }

    async fn first_part(&self, timeline: Timeline) -> Result<Option<SegmentName>> {
        let options = ListOptions::prefix(self.layout().parts_of(timeline));
        let key = first(&**self.store(), options).await?;
        Ok(key
            .and_then(|key| self.layout().part_range(&key, self.segment_size()))
            .map(|(name, ..)| name))
    }

    /// The parts of a segment that follow on one another from its first byte: first and one
    /// past the last byte of each.
    pub(crate) async fn parts(&self, name: SegmentName) -> Result<Vec<(u32, u32)>> {
        let (layout, size) = (self.layout(), self.segment_size());
        let listed: Vec<ObjectMeta> = self
            .store()
            .list(ListOptions::prefix(layout.parts_of_segment(name, size)))
            .try_collect()
            .await
            .map_err(|err| Error::store(OPERATION, err))?;
        let ranges = listed
            .iter()
            .filter_map(|meta| layout.part_range(&meta.key, size))
            .map(|(_, from, to)| (from, to));
        Ok(chain(ranges))
    }

    /// Where the parts of a segment end, and the last of them.
    async fn parts_end(&self, name: SegmentName) -> Result<(Lsn, Option<(u32, u32)>)> {
        let last = self.parts(name).await?.last().copied();
        let start = name.start(self.segment_size());
        let end = last.map_or(0, |(_, to)| u64::from(to));
        Ok((start.saturating_add(end), last))
    }

    async fn newest_commit(
        &self,
        timeline: Timeline,
        whole: Lsn,
        part: Option<(u32, u32)>,
    ) -> Result<Option<Timestamp>> {
        let (layout, size) = (self.layout(), self.segment_size());
        if let Some((from, to)) = part {
            let key = layout.part(whole.segment(timeline, size), size, from, to)?;
            let header = read_header(&**self.store(), &key).await?;
            if let Some(commit) = header.and_then(|header| header.commit) {
                return Ok(Some(commit));
            }
        }
        self.newest_commit_before(timeline, whole).await
    }

    /// The newest commit that the whole segments before a position know of.
    pub(super) async fn newest_commit_before(
        &self,
        timeline: Timeline,
        end: Lsn,
    ) -> Result<Option<Timestamp>> {
        let (layout, size) = (self.layout(), self.segment_size());
        let last = end.segment_number(size);
        for number in (last.saturating_sub(MAX_STEPS_BACK)..last).rev() {
            let key = layout.segment(SegmentName::new(timeline, number), size)?;
            match read_header(&**self.store(), &key).await? {
                None => return Ok(None),
                Some(header) if header.commit.is_some() => return Ok(header.commit),
                Some(_) => {}
            }
        }
        Ok(None)
    }
}

/// Of parts in the order of their keys, those that lead farthest from the first byte on.
/// Parts may overlap where a process was killed before it was told that one was written.
pub(crate) fn chain(ranges: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    // Where each end that can be reached is reached from.
    let mut reached: BTreeMap<u32, u32> = BTreeMap::new();
    for (from, to) in ranges {
        if from == 0 || reached.contains_key(&from) {
            reached.entry(to).or_insert(from);
        }
    }
    let mut chain = Vec::new();
    let mut end = reached.last_key_value().map(|(&end, _)| end);
    while let Some(to) = end {
        let from = reached.get(&to).copied().unwrap_or_default();
        chain.push((from, to));
        end = (from > 0).then_some(from);
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[test]
    fn parts_are_followed_from_the_first_byte_up_to_the_first_hole() {
        type Ranges = &'static [(u32, u32)];
        let cases: [(Ranges, Ranges); 6] = [
            (&[], &[]),
            (&[(4, 8)], &[]),
            (&[(0, 4), (4, 8), (12, 16)], &[(0, 4), (4, 8)]),
            (&[(0, 4), (0, 8), (8, 9)], &[(0, 8), (8, 9)]),
            (&[(0, 4), (0, 6), (4, 8), (6, 7)], &[(0, 4), (4, 8)]),
            (&[(0, 16)], &[(0, 16)]),
        ];
        for (ranges, expected) in cases {
            assert_eq!(chain(ranges.iter().copied()), expected, "{ranges:?}");
        }
    }
}
