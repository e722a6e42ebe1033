//! Getting files out of the archive, and proving that they are not in it.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use ops_core::object_store::{GetOptions, ListOptions};
use ops_pg_replication::{Lsn, SegmentName, Timeline, WalSegmentSize};

use super::super::OPERATION;
use super::super::hint::Hint;
use super::super::objects::read_small;
use super::super::search::first;
use super::WalArchive;
use crate::error::{Error, ErrorKind, Result};

/// A file that PostgreSQL archives, or asks for while it recovers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalFile {
    /// A whole segment.
    Segment(SegmentName),
    /// The last segment of a timeline that another one followed, `NAME.partial`.
    Partial(SegmentName),
    /// The history of a timeline, `NNNNNNNN.history`.
    History(Timeline),
    /// A note about a base backup, `NAME.OFFSET.backup`. Nothing needs it.
    BackupNote(String),
}

impl WalFile {
    /// Reads a file name.
    ///
    /// # Errors
    /// `InvalidInput` for what is no name of such a file.
    pub fn parse(name: &str, size: WalSegmentSize) -> Result<Self> {
        let segment = |name: &str| SegmentName::parse(name, size).ok();
        let parsed = if let Some(timeline) = name.strip_suffix(".history") {
            Timeline::from_hex8(timeline).ok().map(Self::History)
        } else if let Some(name) = name.strip_suffix(".partial") {
            segment(name).map(Self::Partial)
        } else if let Some(rest) = name.strip_suffix(".backup") {
            let (name_part, offset) = rest.split_once('.').unwrap_or((rest, ""));
            let is_offset = offset.len() == 8 && offset.bytes().all(|it| it.is_ascii_hexdigit());
            (segment(name_part).is_some() && is_offset).then(|| Self::BackupNote(name.to_owned()))
        } else {
            segment(name).map(Self::Segment)
        };
        parsed.ok_or_else(|| {
            let message = format!("{name:?} is no file of the WAL");
            Error::new(ErrorKind::InvalidInput, OPERATION, message)
        })
    }
}

/// How to get a file.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct FetchOptions {
    /// Whether the open segment at the frontier is handed out, filled up with zeros, so that
    /// recovery reaches the newest archived commit. Right where recovery is to end there or
    /// to wait for more. Defaults to no.
    pub open_segment: bool,
}

impl FetchOptions {
    /// Sets whether the open segment at the frontier is handed out.
    #[must_use]
    pub fn with_open_segment(mut self, open_segment: bool) -> Self {
        self.open_segment = open_segment;
        self
    }
}

/// Why it is certain that a file is not in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Absent {
    /// It is a segment at or beyond the frontier of its timeline.
    BeyondFrontier,
    /// It belongs to a timeline that nothing is archived of.
    NoSuchTimeline,
    /// It is a kind of file that recovery does without.
    NotKept,
    /// The backup that is recovered brings it.
    Brought,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeyondFrontier => "it is at or beyond the end of what is archived",
            Self::NoSuchTimeline => "nothing of its timeline is archived",
            Self::NotKept => "recovery does without it",
            Self::Brought => "the backup brings it",
        })
    }
}

/// What came of getting a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fetched {
    /// It is there.
    Found {
        /// The position after the last archived byte in it; of a history file `0/0`.
        end: Lsn,
    },
    /// It is certain that it is not in the archive.
    Absent(Absent),
}

impl WalArchive {
    /// Gets a file: writes it beside its destination, compares it with what was archived,
    /// makes it durable, and renames it.
    ///
    /// # Errors
    /// `WalMissing` where the file should be there and is not: recovery must not end for
    /// that. `Integrity` for one that is not what was archived, `WrongKey` where no key
    /// opens it, `Store`, `StoreDenied`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a temporary file beside the destination.
    pub async fn fetch(&self, file: &WalFile, to: &Path, options: FetchOptions) -> Result<Fetched> {
        match file {
            WalFile::BackupNote(_) | WalFile::Partial(_) => Ok(Fetched::Absent(Absent::NotKept)),
            WalFile::History(timeline) => self.fetch_history(*timeline, to).await,
            WalFile::Segment(name) => self.fetch_segment(*name, to, options).await,
        }
    }

    async fn fetch_history(&self, timeline: Timeline, to: &Path) -> Result<Fetched> {
        if let Some(history) = self.history(timeline).await? {
            let mut temp = Temp::create(to)?;
            temp.write_all(history.raw()).map_err(unwritable)?;
            temp.persist(to, None)?;
            return Ok(Fetched::Found { end: Lsn::INVALID });
        }
        // Recovery takes the first history that is missing for the end of all timelines: it
        // would silently end on an old one.
        if timeline != Timeline::FIRST && self.has_timeline(timeline).await? {
            let message =
                format!("the history of timeline {timeline} is missing and its WAL is archived");
            return Err(Error::new(ErrorKind::WalMissing, OPERATION, message));
        }
        let descends = |it: &ops_pg_replication::TimelineHistory| it.contains(timeline);
        if timeline != Timeline::FIRST && self.histories().await?.iter().any(descends) {
            let message = format!(
                "the history of timeline {timeline} is missing and one that came from it is archived"
            );
            return Err(Error::new(ErrorKind::WalMissing, OPERATION, message));
        }
        Ok(Fetched::Absent(Absent::NoSuchTimeline))
    }

    async fn fetch_segment(
        &self,
        name: SegmentName,
        to: &Path,
        options: FetchOptions,
    ) -> Result<Fetched> {
        let size = self.segment_size();
        if self.fetch_whole(name, to).await? {
            return Ok(Fetched::Found {
                end: name.end(size),
            });
        }
        let parts = self.parts(name).await?;
        if let Some(after) = self.proof_that_more_came(name).await? {
            // It may have become whole in the meantime.
            if self.fetch_whole(name, to).await? {
                return Ok(Fetched::Found {
                    end: name.end(size),
                });
            }
            if parts.is_empty() || !self.ended_inside(name).await? {
                if self.is_brought(name) {
                    return Ok(Fetched::Absent(Absent::Brought));
                }
                return Err(missing(name, size, &after));
            }
        }
        if parts.is_empty() || !options.open_segment {
            let any = self.has_timeline(name.timeline()).await?;
            return Ok(Fetched::Absent(if any {
                Absent::BeyondFrontier
            } else {
                Absent::NoSuchTimeline
            }));
        }
        self.fetch_parts(name, &parts, to).await
    }

    async fn fetch_whole(&self, name: SegmentName, to: &Path) -> Result<bool> {
        let size = self.segment_size();
        let key = self.layout().segment(name, size)?;
        let temp = Temp::create(to)?;
        let opened = self
            .open_object(&key, &name.file_name(size), 0, temp)
            .await?;
        let Some((header, temp)) = opened else {
            return Ok(false);
        };
        if header.bytes != size.bytes() {
            let message = format!("{key} holds {} bytes of a segment", header.bytes);
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
        }
        temp.persist(to, None)?;
        Ok(true)
    }

    async fn fetch_parts(
        &self,
        name: SegmentName,
        parts: &[(u32, u32)],
        to: &Path,
    ) -> Result<Fetched> {
        let (layout, size) = (self.layout(), self.segment_size());
        let mut temp = Temp::create(to)?;
        let mut end = 0;
        for &(from, until) in parts {
            let key = layout.part(name, size, from, until)?;
            let file = name.file_name(size);
            let opened = self.open_object(&key, &file, from, temp).await?;
            let Some((header, written)) = opened else {
                // It was removed because the segment is whole now.
                return if self.fetch_whole(name, to).await? {
                    Ok(Fetched::Found {
                        end: name.end(size),
                    })
                } else {
                    Err(missing(name, size, "parts of it"))
                };
            };
            if header.bytes != u64::from(until - from) {
                let message = format!("{key} holds {} bytes", header.bytes);
                return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
            }
            temp = written;
            end = until;
        }
        temp.persist(to, Some(size.bytes()))?;
        let end = name.start(size).saturating_add(u64::from(end));
        Ok(Fetched::Found { end })
    }

    async fn has_timeline(&self, timeline: Timeline) -> Result<bool> {
        for folder in [
            self.layout().segments_of(timeline),
            self.layout().parts_of(timeline),
        ] {
            if first(&**self.store(), ListOptions::prefix(folder))
                .await?
                .is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What proves that the timeline went on after a segment that is not there.
    async fn proof_that_more_came(&self, name: SegmentName) -> Result<Option<String>> {
        let (layout, size) = (self.layout(), self.segment_size());
        let timeline = name.timeline();
        let mut later = ListOptions::prefix(layout.segments_of(timeline));
        later.start_after = Some(layout.segment(name, size)?);
        if let Some(key) = first(&**self.store(), later).await? {
            return Ok(Some(format!("the later {key}")));
        }
        let mut later = ListOptions::prefix(layout.parts_of(timeline));
        // `0` is the character after `/`.
        let folder = layout.parts_of_segment(name, size);
        later.start_after = Some(super::super::layout::key(format!(
            "{}0",
            folder.trim_end_matches('/')
        ))?);
        if let Some(key) = first(&**self.store(), later).await? {
            return Ok(Some(format!("the later {key}")));
        }
        let gaps = self.gaps().await?;
        if let Some(gap) = gaps
            .iter()
            .find(|gap| gap.timeline == timeline && gap.to > name.start(size))
        {
            return Ok(Some(format!("a gap from {} to {}", gap.from, gap.to)));
        }
        // What the archiver knew to be durable, whatever became of it.
        let hint = read_small(&**self.store(), &layout.hint()?, GetOptions::default()).await?;
        let hint = hint.and_then(|(bytes, _)| Hint::parse(&bytes));
        let known = hint.filter(|hint| hint.timeline == timeline && hint.end >= name.end(size));
        Ok(known.map(|hint| {
            format!(
                "the archiver's word that all up to {} was archived",
                hint.end
            )
        }))
    }

    /// Whether a later timeline left this one inside the segment, or a gap begins there, so
    /// that it never became whole.
    async fn ended_inside(&self, name: SegmentName) -> Result<bool> {
        let (timeline, size) = (name.timeline(), self.segment_size());
        let histories = self.histories().await?;
        let switches = histories.iter().filter_map(|it| it.switch_point(timeline));
        let gaps = self.gaps().await?;
        let gaps = gaps.iter().filter(|gap| gap.timeline == timeline);
        Ok(switches
            .chain(gaps.map(|gap| gap.from))
            .any(|end| name.start(size) < end && end < name.end(size)))
    }
}

#[cold]
fn missing(name: SegmentName, size: WalSegmentSize, after: &str) -> Error {
    let message = format!(
        "the segment {} is missing from the archive, which has {after}",
        name.file_name(size)
    );
    Error::new(ErrorKind::WalMissing, OPERATION, message)
        .with_hint("restore to a point before it, or from a base backup after it")
}

/// A temporary file beside the destination.
struct Temp(tempfile::NamedTempFile);

impl Temp {
    fn create(to: &Path) -> Result<Self> {
        let folder = match to.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        tempfile::Builder::new()
            .prefix(".ops-wal-")
            .tempfile_in(folder)
            .map(Self)
            .map_err(unwritable)
    }

    /// Makes the file durable under its name, filled up with zeros to a length.
    fn persist(self, to: &Path, length: Option<u64>) -> Result<()> {
        if let Some(length) = length {
            self.0.as_file().set_len(length).map_err(unwritable)?;
        }
        self.0.as_file().sync_all().map_err(unwritable)?;
        self.0.persist(to).map_err(|err| unwritable(err.error))?;
        Ok(())
    }
}

impl Write for Temp {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cold]
fn unwritable(source: io::Error) -> Error {
    Error::new(
        ErrorKind::Internal,
        OPERATION,
        "the file cannot be written to its place",
    )
    .with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_told_apart_and_others_are_refused() {
        let size = WalSegmentSize::DEFAULT;
        let name = SegmentName::parse("00000001000000000000000A", size).unwrap();
        let parse = |text: &str| WalFile::parse(text, size).ok();
        assert_eq!(
            parse("00000001000000000000000A"),
            Some(WalFile::Segment(name))
        );
        assert_eq!(
            parse("00000001000000000000000A.partial"),
            Some(WalFile::Partial(name))
        );
        assert_eq!(
            parse("00000002.history"),
            Some(WalFile::History(Timeline::new(2).unwrap()))
        );
        let note = "00000001000000000000000A.00000028.backup";
        assert_eq!(parse(note), Some(WalFile::BackupNote(note.to_owned())));
        for bad in [
            "",
            "x",
            "../00000001000000000000000A",
            "0.history",
            "a.backup",
            "00000001000000000000000A.1.backup",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
