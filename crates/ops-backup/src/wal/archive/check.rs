//! Looking at archived objects without using them.

use std::io::{self, Write};

use futures_util::TryStreamExt;
use ops_core::object_store::{ListOptions, ObjectMeta};
use ops_core::{ErrorKind as CoreKind, ObjectKey};
use ops_pg_replication::{SegmentName, Timeline};

use super::super::OPERATION;
use super::super::hint::Hint;
use super::super::objects::read_small;
use super::{WalArchive, WalRun, check_first_page};
use crate::error::{Error, ErrorKind, Result};

/// How much of a segment its first page takes.
const PAGE_BYTES: usize = 8192;

/// What an object of the archive is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WalObject {
    /// A whole segment.
    Segment(SegmentName),
    /// A part of one: its first byte, and one past its last.
    Part(SegmentName, u32, u32),
    /// The history of a timeline.
    History(Timeline),
}

impl WalArchive {
    /// The object that a stretch of WAL ends with.
    pub(crate) async fn newest_object(&self, run: &WalRun) -> Result<Option<ObjectMeta>> {
        let (layout, size) = (self.layout(), self.segment_size());
        let open = run.end.segment(run.timeline, size);
        let key = if run.end == open.start(size) {
            match open.previous() {
                Some(whole) => layout.segment(whole, size)?,
                None => return Ok(None),
            }
        } else {
            match self.parts(open).await?.last() {
                Some(&(from, to)) => layout.part(open, size, from, to)?,
                // It has become whole in the meantime.
                None => layout.segment(open, size)?,
            }
        };
        match self.store().head(&key).await {
            Ok(meta) => Ok(Some(meta)),
            Err(err) if err.kind() == CoreKind::NotFound => Ok(None),
            Err(err) => Err(Error::store(OPERATION, err)),
        }
    }

    /// All segments, parts and histories, by their keys.
    pub(crate) async fn sealed_objects(&self) -> Result<Vec<(ObjectMeta, Option<WalObject>)>> {
        let layout = self.layout();
        let mut found = Vec::new();
        for folder in [layout.segments(), layout.parts(), layout.histories()] {
            let mut listing = self.store().list(ListOptions::prefix(folder));
            while let Some(meta) = listing
                .try_next()
                .await
                .map_err(|err| Error::store(OPERATION, err))?
            {
                let object = self.object_of(&meta.key);
                found.push((meta, object));
            }
        }
        Ok(found)
    }

    /// What an object is, by its key. `None` for a key that nothing of the archive has.
    pub(crate) fn object_of(&self, key: &ObjectKey) -> Option<WalObject> {
        let (layout, size) = (self.layout(), self.segment_size());
        let part = || {
            let (name, from, to) = layout.part_range(key, size)?;
            let same = layout.part(name, size, from, to).ok()? == *key;
            same.then_some(WalObject::Part(name, from, to))
        };
        let segment = || {
            let name = layout.segment_name(key, size)?;
            (layout.segment(name, size).ok()? == *key).then_some(WalObject::Segment(name))
        };
        let history = || Some(WalObject::History(layout.history_timeline(key)?));
        segment().or_else(part).or_else(history)
    }

    /// What the archiver last knew to be durable.
    pub(crate) async fn witness(&self) -> Result<Option<Hint>> {
        let key = self.layout().hint()?;
        let read = read_small(
            &**self.store(),
            &key,
            ops_core::object_store::GetOptions::default(),
        );
        Ok(read.await?.and_then(|(bytes, _)| Hint::parse(&bytes)))
    }

    /// Sees to it that an object's line in the open says what its key says. `NotFound`
    /// where there is no such object. Gives the epoch whose identity opens it.
    pub(crate) async fn check_header(
        &self,
        key: &ObjectKey,
        object: WalObject,
    ) -> Result<Option<u32>> {
        let header = self.header_of(key).await?.ok_or_else(|| gone(key))?;
        let (name, from, bytes) = self.promise(object);
        let fits = header.name == name
            && header.from == from
            && bytes.is_none_or(|bytes| bytes == header.bytes);
        if !fits {
            let (found, bytes) = (&header.name, header.bytes);
            let message = format!(
                "{key} says that it is {bytes} bytes of {found} from {}",
                header.from
            );
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
        }
        if self.0.info.encrypted != header.epoch.is_some() {
            let word = if header.epoch.is_some() {
                "is"
            } else {
                "is not"
            };
            let message = format!("{key} {word} encrypted, and nothing else in this archive");
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
        }
        Ok(header.epoch)
    }

    /// Where the identity of an epoch lies, and whether it is there.
    pub(crate) async fn has_epoch(&self, number: u32) -> Result<(ObjectKey, bool)> {
        let key = self.layout().epoch(number)?;
        match self.store().head(&key).await {
            Ok(_) => Ok((key, true)),
            Err(err) if err.kind() == CoreKind::NotFound => Ok((key, false)),
            Err(err) => Err(Error::store(OPERATION, err)),
        }
    }

    /// Where a segment belongs.
    pub(crate) fn segment_key(&self, name: SegmentName) -> Result<ObjectKey> {
        self.layout().segment(name, self.segment_size())
    }

    /// Where the history of a timeline belongs.
    pub(crate) fn history_key(&self, timeline: Timeline) -> Result<ObjectKey> {
        self.layout().history(timeline)
    }

    /// Reads all of an object and compares it with what it says of itself; that a segment is
    /// this cluster's, its first page tells.
    pub(crate) async fn check_content(&self, key: &ObjectKey, object: WalObject) -> Result<()> {
        let (name, from, _) = self.promise(object);
        let opened = self.open_object(key, &name, from, Head::default()).await?;
        let (_, Head(head)) = opened.ok_or_else(|| gone(key))?;
        let (system_id, size) = (self.system_id(), self.segment_size());
        match object {
            WalObject::Segment(name) => check_first_page(system_id, name, size, &head),
            WalObject::Part(name, 0, to) if to as usize >= PAGE_BYTES => {
                check_first_page(system_id, name, size, &head)
            }
            WalObject::Part(..) => Ok(()),
            WalObject::History(timeline) => self.history(timeline).await.map(drop),
        }
    }

    /// What the line of an object must say: its name, its first byte and its length.
    fn promise(&self, object: WalObject) -> (String, u32, Option<u64>) {
        let size = self.segment_size();
        match object {
            WalObject::Segment(name) => (name.file_name(size), 0, Some(size.bytes())),
            WalObject::Part(name, from, to) => {
                (name.file_name(size), from, Some(u64::from(to - from)))
            }
            WalObject::History(timeline) => (timeline.hex8(), 0, None),
        }
    }
}

#[cold]
fn gone(key: &ObjectKey) -> Error {
    Error::new(ErrorKind::NotFound, OPERATION, format!("{key} is missing"))
}

/// Keeps the first page of what is written to it.
#[derive(Default)]
struct Head(Vec<u8>);

impl Write for Head {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let wanted = PAGE_BYTES.saturating_sub(self.0.len()).min(data.len());
        self.0
            .extend_from_slice(data.get(..wanted).unwrap_or_default());
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
