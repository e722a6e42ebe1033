//! What an object of the archive says of itself in the open.
//!
//! Segments, parts and history files are sealed: zstd frames inside an age file. What has to
//! be known without the key, and without reading the object, stands at its beginning in one
//! line: which epoch's identity opens it, what it holds, the BLAKE3 of that, and the time of
//! the newest commit up to its end. The line is a stanza of the age header, which programs
//! that do not know it skip, and which the header's own MAC covers; without encryption it is
//! a skippable zstd frame. So `age -d` and `zstd -d` open each object as it is, and one
//! ranged read of [`HEAD_BYTES`] tells all that a restart needs.
//!
//! The BLAKE3 in the open tells whether two objects hold the same without opening them. Of
//! a segment it gives nothing away: to check a guess one must have guessed all of it.

use std::fmt::Write as _;

use ops_core::Timestamp;
use ops_pg_replication::{HistoryEntry, Lsn, Timeline};

use super::OPERATION;
use crate::error::{Error, ErrorKind, Result};

/// The tag of the stanza.
pub(crate) const TAG: &str = "ops-backup-wal";

/// How many bytes at the beginning of an object hold its header: those of segments and
/// parts take fewer than 400, and only a history of very many timelines takes more.
pub(crate) const HEAD_BYTES: u64 = 1024;

/// The skippable frame of zstd whose content is the header.
const SKIPPABLE: u32 = 0x184D_2A57;

/// What an object says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// What it is of: the name of a segment or of a history file, without any suffix.
    pub(crate) name: String,
    /// The first byte of the segment that it holds.
    pub(crate) from: u32,
    /// How many bytes it holds.
    pub(crate) bytes: u64,
    /// The BLAKE3 of them.
    pub(crate) blake3: blake3::Hash,
    /// Whose identity opens it; `None` where it is not encrypted.
    pub(crate) epoch: Option<u32>,
    /// The newest commit on its timeline up to its end, where one is known.
    pub(crate) commit: Option<Timestamp>,
    /// Of a history file: the timelines that it names and where each was left.
    pub(crate) lines: Vec<(Timeline, Lsn)>,
}

impl Header {
    /// The header of a piece of WAL.
    pub(crate) fn new(name: String, from: u32, bytes: u64, blake3: blake3::Hash) -> Self {
        Self {
            name,
            from,
            bytes,
            blake3,
            epoch: None,
            commit: None,
            lines: Vec::new(),
        }
    }

    /// The header of a history file.
    pub(crate) fn of_history(timeline: Timeline, raw: &[u8], entries: &[HistoryEntry]) -> Self {
        let mut header = Self::new(timeline.hex8(), 0, raw.len() as u64, blake3::hash(raw));
        header.lines = entries.iter().map(|it| (it.timeline, it.switch)).collect();
        header
    }

    /// The fields, each without a space.
    pub(crate) fn fields(&self) -> Vec<String> {
        let mut fields = vec![
            "v=1".to_owned(),
            format!("name={}", self.name),
            format!("from={}", self.from),
            format!("bytes={}", self.bytes),
            format!("blake3={}", self.blake3.to_hex()),
        ];
        if let Some(epoch) = self.epoch {
            fields.push(format!("epoch={epoch}"));
        }
        if let Some(commit) = self.commit {
            fields.push(format!("commit={commit}"));
        }
        if !self.lines.is_empty() {
            let mut text = "lines=".to_owned();
            for (index, (timeline, switch)) in self.lines.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                // Writing into a text cannot fail.
                let _ = write!(text, "{comma}{timeline}@{switch}");
            }
            fields.push(text);
        }
        fields
    }

    /// The skippable frame that begins an object that is not encrypted.
    pub(crate) fn skippable_frame(&self) -> Vec<u8> {
        let text = format!("{TAG} {}\n", self.fields().join(" "));
        let mut frame = SKIPPABLE.to_le_bytes().to_vec();
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        frame.extend_from_slice(&len.to_le_bytes());
        frame.extend_from_slice(text.as_bytes());
        frame
    }

    /// Finds the header at the beginning of an object.
    pub(crate) fn find(key: &impl std::fmt::Display, head: &[u8]) -> Result<Self> {
        let damaged = |problem: &str| {
            let message = format!("{key} has no header of this archive: {problem}");
            Error::new(ErrorKind::Integrity, OPERATION, message)
        };
        let text = line(head).ok_or_else(|| damaged("the line is missing"))?;
        Self::parse(text).map_err(damaged)
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut header = Self::new(String::new(), 0, 0, blake3::Hash::from_bytes([0; 32]));
        let mut version = None;
        for field in text.split_ascii_whitespace() {
            let (name, value) = field.split_once('=').ok_or("a field has no value")?;
            match name {
                "v" => version = Some(value),
                "name" => value.clone_into(&mut header.name),
                "from" => header.from = value.parse().map_err(|_| "not an offset")?,
                "bytes" => header.bytes = value.parse().map_err(|_| "not a length")?,
                "blake3" => {
                    header.blake3 =
                        blake3::Hash::from_hex(value).map_err(|_| "not a BLAKE3 hash")?;
                }
                "epoch" => header.epoch = Some(value.parse().map_err(|_| "not an epoch")?),
                "commit" => header.commit = Some(value.parse().map_err(|_| "not a time")?),
                "lines" => header.lines = lines(value).ok_or("not the lines of a history")?,
                // Later versions may say more.
                _ => {}
            }
        }
        match version {
            Some("1") if !header.name.is_empty() => Ok(header),
            Some("1") => Err("it has no name"),
            _ => Err("its version is not known"),
        }
    }
}

/// The text of the header without its tag.
fn line(head: &[u8]) -> Option<&str> {
    let skippable = head.strip_prefix(&SKIPPABLE.to_le_bytes());
    let (start, tag) = match skippable {
        Some(rest) => (rest.get(4..)?, format!("{TAG} ")),
        None => (
            head.strip_prefix(b"age-encryption.org/v1\n")?,
            format!("-> {TAG} "),
        ),
    };
    let found = start
        .split_inclusive(|&byte| byte == b'\n')
        .take_while(|line| !line.starts_with(b"---"))
        .find_map(|line| line.strip_prefix(tag.as_bytes())?.strip_suffix(b"\n"))?;
    std::str::from_utf8(found).ok()
}

fn lines(text: &str) -> Option<Vec<(Timeline, Lsn)>> {
    text.split(',')
        .map(|line| {
            let (timeline, switch) = line.split_once('@')?;
            Some((timeline.parse().ok()?, switch.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example() -> Header {
        let mut header = Header::new(
            "000000010000000000000003".to_owned(),
            4096,
            77,
            blake3::hash(b"x"),
        );
        header.commit = Some("2026-11-20T22:57:52.123456Z".parse().unwrap());
        header.lines = vec![
            (Timeline::FIRST, Lsn::new(0x300_0148)),
            (Timeline::new(2).unwrap(), Lsn::new(1 << 40)),
        ];
        header
    }

    #[test]
    fn a_header_is_found_again_in_a_skippable_frame() {
        let header = example();
        let mut object = header.skippable_frame();
        object.extend_from_slice(b"\x28\xb5\x2f\xfdrest");
        assert_eq!(Header::find(&"k", &object).unwrap(), header);
    }

    #[test]
    fn a_header_that_is_missing_cut_or_of_a_later_version_is_damage() {
        let frame = example().skippable_frame();
        let later: Vec<u8> = String::from_utf8_lossy(&frame[8..])
            .replace("v=1", "v=2")
            .into_bytes();
        let later = [&frame[..8], &later].concat();
        for object in [
            &b""[..],
            b"age-encryption.org/v1\n-> X25519 a\n",
            &frame[..60],
            &later,
        ] {
            let err = Header::find(&"k", object).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Integrity);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Header::find(&"k", &head);
            let with_magic = [b"age-encryption.org/v1\n".as_slice(), b"-> ops-backup-wal ", &head].concat();
            let _ = Header::find(&"k", &with_magic);
        }
    }
}
