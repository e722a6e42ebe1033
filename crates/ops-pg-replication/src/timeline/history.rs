//! The history of a timeline: from which other timelines it came, and where.

use bytes::Bytes;
use ops_core::{Error, ErrorKind, Result};

use super::Timeline;
use crate::lsn::Lsn;
use crate::segment::{SegmentName, WalSegmentSize};
use crate::text::{decimal, hex32};

/// The longest history file that is read, in bytes: some hundred thousand promotions.
const MAX_FILE: usize = 16 << 20;

/// The history of a timeline: which timelines came before it, and where each was left.
///
/// ```
/// use ops_pg_replication::{Timeline, TimelineHistory};
///
/// let file = "1\t0/3000148\tno recovery target specified\n2\t0/5000000\tat restore point \"x\"\n";
/// let history = TimelineHistory::parse(Timeline::new(3)?, file.into())?;
/// assert_eq!(history.switch_point(Timeline::FIRST), Some("0/3000148".parse()?));
/// assert_eq!(history.timeline_at("0/4000000".parse()?).get(), 2);
/// assert_eq!(history.timeline_at("0/5000000".parse()?).get(), 3);
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineHistory {
    timeline: Timeline,
    entries: Vec<HistoryEntry>,
    raw: Bytes,
}

/// A timeline that another one came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The timeline that was left.
    pub timeline: Timeline,
    /// Where it was left: the first position that belongs to the next timeline.
    pub switch: Lsn,
    /// Why, in the server's words.
    pub reason: String,
}

impl TimelineHistory {
    /// The history of timeline 1, which has no file.
    pub fn initial() -> Self {
        Self {
            timeline: Timeline::FIRST,
            entries: Vec::new(),
            raw: Bytes::new(),
        }
    }

    /// Reads the content of `NNNNNNNN.history`, by the rules of PostgreSQL's
    /// `readTimeLineHistory`: empty lines and lines that begin with `#` mean nothing, and
    /// the timelines ascend up to the one that the file is about. Positions must not
    /// descend, either.
    ///
    /// # Errors
    /// `Decode` for anything else.
    pub fn parse(timeline: Timeline, raw: Bytes) -> Result<Self> {
        if raw.len() > MAX_FILE {
            return Err(malformed(timeline, 0, "is too large"));
        }
        let mut entries: Vec<HistoryEntry> = Vec::new();
        for (index, line) in raw.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let entry = HistoryEntry::parse(&String::from_utf8_lossy(line))
                .ok_or_else(|| malformed(timeline, index + 1, "is no timeline with its end"))?;
            let last = entries.last();
            if last.is_some_and(|last| last.timeline >= entry.timeline)
                || entry.timeline >= timeline
            {
                return Err(malformed(timeline, index + 1, "is out of order"));
            }
            if last.is_some_and(|last| last.switch > entry.switch) {
                return Err(malformed(timeline, index + 1, "goes back in the log"));
            }
            entries.push(entry);
        }
        if entries.is_empty() && timeline != Timeline::FIRST {
            return Err(malformed(timeline, 0, "names no timeline"));
        }
        Ok(Self {
            timeline,
            entries,
            raw,
        })
    }

    /// The timeline whose history it is.
    pub fn timeline(&self) -> Timeline {
        self.timeline
    }

    /// The timelines before it, the oldest first.
    pub fn entries(&self) -> &[HistoryEntry] {
        &self.entries
    }

    /// The file, byte for byte. Empty for timeline 1.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The timeline that it came from directly; `None` for timeline 1.
    pub fn parent(&self) -> Option<&HistoryEntry> {
        self.entries.last()
    }

    /// All timelines of the history, the oldest first, this one last.
    pub fn timelines(&self) -> impl DoubleEndedIterator<Item = Timeline> + '_ {
        let before = self.entries.iter().map(|entry| entry.timeline);
        before.chain([self.timeline])
    }

    /// Whether a timeline is this one or one before it.
    pub fn contains(&self, timeline: Timeline) -> bool {
        self.timelines().any(|it| it == timeline)
    }

    /// Where the history left a timeline; `None` for this one, which has not been left, and
    /// for a timeline that is not part of the history.
    pub fn switch_point(&self, timeline: Timeline) -> Option<Lsn> {
        let mut entries = self.entries.iter();
        entries
            .find(|entry| entry.timeline == timeline)
            .map(|entry| entry.switch)
    }

    /// Where the history entered a timeline: `0/0` for the first; `None` for a timeline
    /// that is not part of the history.
    pub fn begin_of(&self, timeline: Timeline) -> Option<Lsn> {
        self.ranges()
            .find(|(it, ..)| *it == timeline)
            .map(|(_, begin, _)| begin)
    }

    /// Each timeline with where it was entered and, but for the last, where it was left.
    pub fn ranges(&self) -> impl Iterator<Item = (Timeline, Lsn, Option<Lsn>)> + '_ {
        let begins = [Lsn::INVALID]
            .into_iter()
            .chain(self.entries.iter().map(|entry| entry.switch));
        let ends = self.entries.iter().map(|entry| Some(entry.switch));
        self.timelines()
            .zip(begins.zip(ends.chain([None])))
            .map(|(timeline, (begin, end))| (timeline, begin, end))
    }

    /// The timeline that the byte at a position belongs to.
    pub fn timeline_at(&self, position: Lsn) -> Timeline {
        let left = self.entries.iter().find(|entry| position < entry.switch);
        left.map_or(self.timeline, |entry| entry.timeline)
    }

    /// Whether what a timeline held before `end` is part of this history: whether a backup
    /// that ended there, or a consumer that has read so far, can go on along it.
    pub fn continues(&self, timeline: Timeline, end: Lsn) -> bool {
        timeline == self.timeline
            || self
                .switch_point(timeline)
                .is_some_and(|switch| end <= switch)
    }

    /// The segment file that recovery along this history wants for a part of the log. A
    /// switch in the middle of a segment makes it a file of the newer timeline, which
    /// begins with a copy of the older one's.
    pub fn segment(&self, number: u64, size: WalSegmentSize) -> SegmentName {
        let newer = self
            .entries
            .iter()
            .find(|entry| number < entry.switch.segment_number(size));
        let timeline = newer.map_or(self.timeline, |entry| entry.timeline);
        SegmentName::new(timeline, number)
    }

    /// The youngest timeline that two histories share, and up to which position they share
    /// it: without end where it is the last of both. `None` where they share none.
    pub fn common_ancestor(&self, other: &Self) -> Option<(Timeline, Option<Lsn>)> {
        let shared = self.timelines().rev().find(|it| other.contains(*it))?;
        let ends = [self.switch_point(shared), other.switch_point(shared)];
        Some((shared, ends.into_iter().flatten().min()))
    }
}

impl HistoryEntry {
    fn parse(line: &str) -> Option<Self> {
        let (timeline, rest) = line.split_once(char::is_whitespace)?;
        let rest = rest.trim_start();
        let (switch, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (high, low) = switch.split_once('/')?;
        let position = u64::from(hex32(high)?) << 32 | u64::from(hex32(low)?);
        Some(Self {
            timeline: Timeline::new(u32::try_from(decimal(timeline)?).ok()?).ok()?,
            switch: Lsn::new(position),
            reason: reason.trim().to_owned(),
        })
    }
}

#[cold]
fn malformed(timeline: Timeline, line: usize, problem: &str) -> Error {
    let file = timeline.history_file_name();
    let message = match line {
        0 => format!("the timeline history {file} {problem}"),
        _ => format!("line {line} of the timeline history {file} {problem}"),
    };
    Error::new(ErrorKind::Decode, message)
}

/// As a timeline and the content of its file, in hexadecimal where it is not UTF-8.
#[cfg(feature = "serde")]
mod with_serde {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Bytes, Timeline, TimelineHistory};

    #[derive(Serialize, Deserialize)]
    struct Text {
        timeline: Timeline,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_hex: Option<String>,
    }

    impl Serialize for TimelineHistory {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let content = std::str::from_utf8(&self.raw).ok().map(str::to_owned);
            let digit = |nibble: u8| char::from_digit(nibble.into(), 16);
            let hex = || {
                let nibbles = self.raw.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                nibbles.filter_map(digit).collect()
            };
            let content_hex = content.is_none().then(hex);
            let text = Text {
                timeline: self.timeline,
                content,
                content_hex,
            };
            text.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for TimelineHistory {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = Text::deserialize(deserializer)?;
            let raw = match (text.content, text.content_hex) {
                (Some(content), None) => Bytes::from(content),
                (None, Some(hex)) => {
                    unhex(&hex).ok_or_else(|| D::Error::custom("content_hex is not hexadecimal"))?
                }
                _ => return Err(D::Error::custom("needs either content or content_hex")),
            };
            Self::parse(text.timeline, raw).map_err(D::Error::custom)
        }
    }

    fn unhex(text: &str) -> Option<Bytes> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |pair: &[u8]| match *pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        };
        text.as_bytes().chunks(2).map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timeline(number: u32) -> Timeline {
        Timeline::new(number).unwrap()
    }

    fn lsn(text: &str) -> Lsn {
        text.parse().unwrap()
    }

    fn history() -> TimelineHistory {
        let file = "# a comment\n1\t0/3000148\tno recovery target specified\n\n\
                    4\t0/5000000\tbefore 2026-01-01 00:00:00+00\n";
        TimelineHistory::parse(timeline(7), file.into()).unwrap()
    }

    #[test]
    fn the_parts_of_the_log_are_told_apart() {
        let history = history();
        let ranges: Vec<_> = history.ranges().collect();
        let expected = [
            (timeline(1), Lsn::INVALID, Some(lsn("0/3000148"))),
            (timeline(4), lsn("0/3000148"), Some(lsn("0/5000000"))),
            (timeline(7), lsn("0/5000000"), None),
        ];
        assert_eq!(ranges, expected);
        for (at, number) in [
            ("0/0", 1),
            ("0/3000147", 1),
            ("0/3000148", 4),
            ("0/5000000", 7),
        ] {
            assert_eq!(history.timeline_at(lsn(at)), timeline(number), "{at}");
        }
        assert_eq!(
            history.parent().map(|entry| entry.timeline),
            Some(timeline(4))
        );
        assert_eq!(history.entries()[1].reason, "before 2026-01-01 00:00:00+00");
        assert_eq!(history.begin_of(timeline(7)), Some(lsn("0/5000000")));
        assert_eq!(history.begin_of(timeline(2)), None);
    }

    #[test]
    fn a_segment_with_a_switch_in_it_is_a_file_of_the_newer_timeline() {
        let (history, size) = (history(), WalSegmentSize::DEFAULT);
        for (number, expected) in [(2, 1), (3, 4), (4, 4), (5, 7), (6, 7)] {
            assert_eq!(
                history.segment(number, size).timeline(),
                timeline(expected),
                "{number}"
            );
        }
    }

    #[test]
    fn what_lies_past_a_switch_is_not_continued() {
        let history = history();
        assert!(history.continues(timeline(1), lsn("0/3000148")));
        assert!(!history.continues(timeline(1), lsn("0/3000149")));
        assert!(!history.continues(timeline(2), lsn("0/1")));
        assert!(history.continues(timeline(7), Lsn::MAX));
    }

    #[test]
    fn two_histories_part_where_the_first_of_them_left_what_they_share() {
        let other = TimelineHistory::parse(timeline(5), "1\t0/2000000\t\n".into()).unwrap();
        let expected = Some((timeline(1), Some(lsn("0/2000000"))));
        assert_eq!(history().common_ancestor(&other), expected);
        assert_eq!(other.common_ancestor(&history()), expected);
        let first = TimelineHistory::initial();
        assert_eq!(first.common_ancestor(&first), Some((timeline(1), None)));
    }

    #[test]
    fn what_is_no_history_is_refused() {
        for file in [
            "",
            "# nothing\n",
            "1\n",
            "1\t0/Z\tx\n",
            "0\t0/1\tx\n",
            "-1\t0/1\tx\n",
            "3\t0/1\tits own\n",
            "2\t0/1\tx\n1\t0/2\tx\n",
            "1\t0/1\tx\n1\t0/2\tx\n",
            "1\t0/2\tx\n2\t0/1\tx\n",
        ] {
            let err = TimelineHistory::parse(timeline(3), file.into()).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Decode, "{file:?}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn it_is_kept_byte_for_byte() {
        let latin = Bytes::from_static(b"1\t0/1\tat restore point \"\xe9\"\n");
        for raw in [Bytes::from("1\t0/1\tx\r\n"), latin] {
            let history = TimelineHistory::parse(timeline(2), raw.clone()).unwrap();
            let json = serde_json::to_string(&history).unwrap();
            let back: TimelineHistory = serde_json::from_str(&json).unwrap();
            assert_eq!(back, history);
            assert_eq!(back.raw(), &raw);
        }
        for json in [
            r#"{"timeline":"2"}"#,
            r#"{"timeline":"2","content_hex":"3"}"#,
        ] {
            assert!(
                serde_json::from_str::<TimelineHistory>(json).is_err(),
                "{json}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = TimelineHistory::parse(timeline(9), bytes.into());
        }

        #[test]
        fn no_lines_make_it_panic(file in "([0-9]{1,11}[\t ]{0,2}[0-9A-F]{0,9}/?[0-9A-F]{0,9}[\t ]?[a-z]{0,3}\n?){0,6}") {
            if let Ok(history) = TimelineHistory::parse(timeline(u32::MAX), file.into()) {
                for (timeline, begin, end) in history.ranges() {
                    prop_assert!(end.is_none_or(|end| begin <= end));
                    prop_assert!(history.contains(timeline));
                }
            }
        }
    }
}
