//! Keys of the archive.

use ops_core::ObjectKey;
use ops_pg_replication::{Lsn, SegmentName, SystemId, Timeline, WalSegmentSize};

use super::OPERATION;
use crate::error::{Error, Result};
use crate::physical::WalRange;

/// Where the WAL of one cluster lies.
#[derive(Clone, Debug)]
pub(crate) struct WalLayout {
    /// Ends with `/`.
    folder: String,
    encrypted: bool,
}

impl WalLayout {
    /// `prefix` is empty or ends with `/`.
    pub(crate) fn new(prefix: &str, system_id: SystemId, encrypted: bool) -> Self {
        let folder = format!("{}{system_id}/", Self::root_of(prefix));
        Self { folder, encrypted }
    }

    fn root_of(prefix: &str) -> String {
        let prefix = prefix.trim_matches('/');
        if prefix.is_empty() {
            "wal/".to_owned()
        } else {
            format!("{prefix}/wal/")
        }
    }

    /// Which cluster a prefix belongs to.
    pub(crate) fn lineage_of(prefix: &str) -> Result<ObjectKey> {
        key(format!("{}lineage.json", Self::root_of(prefix)))
    }

    /// The same layout with sealed names that end as they do in this archive.
    pub(crate) fn with_encrypted(mut self, encrypted: bool) -> Self {
        self.encrypted = encrypted;
        self
    }

    pub(crate) fn info(&self) -> Result<ObjectKey> {
        key(format!("{}archive.json", self.folder))
    }

    pub(crate) fn lease(&self) -> Result<ObjectKey> {
        key(format!("{}lease.json", self.folder))
    }

    pub(crate) fn hint(&self) -> Result<ObjectKey> {
        key(format!("{}frontier.json", self.folder))
    }

    pub(crate) fn epochs(&self) -> String {
        format!("{}epochs/", self.folder)
    }

    pub(crate) fn epoch(&self, number: u32) -> Result<ObjectKey> {
        key(format!("{}{number:08}/identity.age", self.epochs()))
    }

    /// The number of an epoch by the key of its identity.
    pub(crate) fn epoch_number(&self, key: &ObjectKey) -> Option<u32> {
        let rest = key.as_str().strip_prefix(&self.epochs())?;
        rest.strip_suffix("/identity.age")?.parse().ok()
    }

    fn sealed(&self) -> &'static str {
        if self.encrypted { ".zst.age" } else { ".zst" }
    }

    pub(crate) fn histories(&self) -> String {
        format!("{}history/", self.folder)
    }

    pub(crate) fn history(&self, timeline: Timeline) -> Result<ObjectKey> {
        key(format!(
            "{}{}{}",
            self.histories(),
            timeline.hex8(),
            self.sealed()
        ))
    }

    pub(crate) fn history_timeline(&self, key: &ObjectKey) -> Option<Timeline> {
        let rest = key.as_str().strip_prefix(&self.histories())?;
        Timeline::from_hex8(rest.strip_suffix(self.sealed())?).ok()
    }

    pub(crate) fn segments(&self) -> String {
        format!("{}segments/", self.folder)
    }

    pub(crate) fn segments_of(&self, timeline: Timeline) -> String {
        format!("{}{}/", self.segments(), timeline.hex8())
    }

    /// One folder holds the segments of 4 GiB, so that a store that keeps objects as files
    /// never reads a folder of more than 4096 names.
    pub(crate) fn segment(&self, name: SegmentName, size: WalSegmentSize) -> Result<ObjectKey> {
        let file = name.file_name(size);
        let log = file.get(8..16).unwrap_or_default();
        key(format!(
            "{}{log}/{file}{}",
            self.segments_of(name.timeline()),
            self.sealed()
        ))
    }

    pub(crate) fn segment_name(
        &self,
        key: &ObjectKey,
        size: WalSegmentSize,
    ) -> Option<SegmentName> {
        let rest = key.as_str().strip_prefix(&self.segments())?;
        let file = rest.rsplit('/').next()?.strip_suffix(self.sealed())?;
        SegmentName::parse(file, size).ok()
    }

    pub(crate) fn parts(&self) -> String {
        format!("{}parts/", self.folder)
    }

    pub(crate) fn parts_of(&self, timeline: Timeline) -> String {
        format!("{}{}/", self.parts(), timeline.hex8())
    }

    pub(crate) fn parts_of_segment(&self, name: SegmentName, size: WalSegmentSize) -> String {
        format!(
            "{}{}/",
            self.parts_of(name.timeline()),
            name.file_name(size)
        )
    }

    pub(crate) fn part(
        &self,
        name: SegmentName,
        size: WalSegmentSize,
        from: u32,
        to: u32,
    ) -> Result<ObjectKey> {
        key(format!(
            "{}{from:08X}-{to:08X}{}",
            self.parts_of_segment(name, size),
            self.sealed()
        ))
    }

    /// The segment that a part is of, and the first and one past the last of its bytes.
    pub(crate) fn part_range(
        &self,
        key: &ObjectKey,
        size: WalSegmentSize,
    ) -> Option<(SegmentName, u32, u32)> {
        let rest = key.as_str().strip_prefix(&self.parts())?;
        let mut steps = rest.split('/').skip(1);
        let name = SegmentName::parse(steps.next()?, size).ok()?;
        let (from, to) = steps.next()?.strip_suffix(self.sealed())?.split_once('-')?;
        let from = u32::from_str_radix(from, 16).ok()?;
        let to = u32::from_str_radix(to, 16).ok()?;
        (from < to && u64::from(to) <= size.bytes()).then_some((name, from, to))
    }

    pub(crate) fn gaps(&self) -> String {
        format!("{}gaps/", self.folder)
    }

    pub(crate) fn gap(&self, timeline: Timeline, from: Lsn, to: Lsn) -> Result<ObjectKey> {
        key(format!(
            "{}{}/{:016X}-{:016X}.json",
            self.gaps(),
            timeline.hex8(),
            from.as_u64(),
            to.as_u64()
        ))
    }

    pub(crate) fn expired(&self) -> String {
        format!("{}expired/", self.folder)
    }

    pub(crate) fn expired_mark(&self, range: WalRange) -> Result<ObjectKey> {
        key(format!(
            "{}{}/{:016X}-{:016X}.json",
            self.expired(),
            range.timeline.hex8(),
            range.start.as_u64(),
            range.end.as_u64()
        ))
    }

    /// The range that a mark is of.
    pub(crate) fn expired_range(&self, key: &ObjectKey) -> Option<WalRange> {
        let rest = key.as_str().strip_prefix(&self.expired())?;
        let (timeline, range) = rest.strip_suffix(".json")?.split_once('/')?;
        let (from, to) = range.split_once('-')?;
        let position = |text: &str| u64::from_str_radix(text, 16).ok().map(Lsn::new);
        let timeline = Timeline::from_hex8(timeline).ok()?;
        Some(WalRange::new(timeline, position(from)?, position(to)?))
    }

    pub(crate) fn expire_lease(&self) -> Result<ObjectKey> {
        key(format!("{}expire-lease.json", self.folder))
    }

    pub(crate) fn restore_pins(&self) -> String {
        format!("{}restores/", self.folder)
    }

    pub(crate) fn restore_pin(&self, name: &str) -> Result<ObjectKey> {
        key(format!("{}{name}.json", self.restore_pins()))
    }

    pub(crate) fn restore_pin_name(&self, key: &ObjectKey) -> Option<String> {
        let rest = key.as_str().strip_prefix(&self.restore_pins())?;
        rest.strip_suffix(".json").map(str::to_owned)
    }

    pub(crate) fn restore_points_of(&self, timeline: Timeline) -> String {
        format!("{}{}/", self.restore_points(), timeline.hex8())
    }

    /// Where the restore point of a key ends.
    pub(crate) fn restore_point_end(&self, key: &ObjectKey) -> Option<Lsn> {
        let rest = key.as_str().strip_prefix(&self.restore_points())?;
        let (_, end) = rest.strip_suffix(".json")?.split_once('/')?;
        u64::from_str_radix(end, 16).ok().map(Lsn::new)
    }

    pub(crate) fn restore_points(&self) -> String {
        format!("{}restore-points/", self.folder)
    }

    pub(crate) fn restore_point(&self, timeline: Timeline, lsn: Lsn) -> Result<ObjectKey> {
        key(format!(
            "{}{}/{:016X}.json",
            self.restore_points(),
            timeline.hex8(),
            lsn.as_u64()
        ))
    }
}

pub(crate) fn key(text: String) -> Result<ObjectKey> {
    ObjectKey::new(text).map_err(|err| Error::store(OPERATION, err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_back_to_what_it_is_of() {
        let size = WalSegmentSize::DEFAULT;
        let name = SegmentName::parse("0000000300000016000000B3", size).unwrap();
        for (prefix, encrypted) in [("", true), ("shop", false), ("/a/b/", true)] {
            let layout = WalLayout::new(prefix, SystemId::new(77), encrypted);
            let segment = layout.segment(name, size).unwrap();
            assert_eq!(layout.segment_name(&segment, size), Some(name));
            let part = layout.part(name, size, 0x40_0000, 0x80_0000).unwrap();
            assert_eq!(
                layout.part_range(&part, size),
                Some((name, 0x40_0000, 0x80_0000))
            );
            assert_eq!(layout.part_range(&segment, size), None);
            let history = layout.history(name.timeline()).unwrap();
            assert_eq!(layout.history_timeline(&history), Some(name.timeline()));
            assert_eq!(layout.epoch_number(&layout.epoch(12).unwrap()), Some(12));
            let range = WalRange::new(name.timeline(), Lsn::new(0x10), Lsn::new(0xAB_CDEF));
            let mark = layout.expired_mark(range).unwrap();
            assert_eq!(layout.expired_range(&mark), Some(range));
            let point = layout.restore_point(name.timeline(), range.end).unwrap();
            assert_eq!(layout.restore_point_end(&point), Some(range.end));
            let other = layout.clone().with_encrypted(!encrypted);
            assert_eq!(other.segment_name(&segment, size), None);
        }
    }

    #[test]
    fn segments_of_a_timeline_are_listed_in_their_order() {
        let size = WalSegmentSize::DEFAULT;
        let layout = WalLayout::new("", SystemId::new(1), true);
        let keys: Vec<_> = [0, 1, 255, 256, 257, 65_536, 1 << 24]
            .into_iter()
            .map(|number| {
                let name = SegmentName::new(Timeline::FIRST, number);
                layout.segment(name, size).unwrap()
            })
            .collect();
        assert!(keys.is_sorted());
    }
}
