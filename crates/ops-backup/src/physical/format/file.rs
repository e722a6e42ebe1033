//! A line of the file index.

use std::fmt::Write;

/// What a member of an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link: `pg_tblspc/<oid>`.
    Symlink,
}

/// A member of an archive: a line of `files.jsonl`, in the order in which the server sent them.
///
/// Its path and its link's target are text where they are UTF-8, else hex (`path_hex`,
/// `target_hex`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Line", into = "Line")]
#[non_exhaustive]
pub struct FileEntry {
    /// Its path in the archive, without a slash at the end.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
    /// Its permissions, such as `0o600`.
    pub mode: u32,
    /// When it was last changed, in seconds since 1970.
    pub mtime: i64,
    /// Its size in bytes; 0 for what is no file.
    pub size: u64,
    /// The place of its archive in [`PhysicalInfo::archives`](super::PhysicalInfo::archives).
    pub archive: u32,
    /// Where in the archive its content begins.
    pub offset: u64,
    /// The CRC-32C of its content; 0 for what is no file.
    pub crc32c: u32,
    /// The BLAKE3 of its content; none for what is no file.
    pub blake3: Option<blake3::Hash>,
    /// What a symbolic link points to.
    pub target: Option<Vec<u8>>,
}

impl FileEntry {
    /// A member with a path; everything else is zero or none.
    #[must_use]
    pub fn new(path: impl Into<Vec<u8>>, kind: FileKind) -> Self {
        Self {
            path: path.into(),
            kind,
            mode: 0,
            mtime: 0,
            size: 0,
            archive: 0,
            offset: 0,
            crc32c: 0,
            blake3: None,
            target: None,
        }
    }
}

/// The line as it is written.
#[derive(serde::Serialize, serde::Deserialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path_hex: Option<String>,
    kind: FileKind,
    mode: u32,
    mtime: i64,
    size: u64,
    archive: u32,
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    blake3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    target_hex: Option<String>,
}

impl From<FileEntry> for Line {
    fn from(entry: FileEntry) -> Self {
        let (path, path_hex) = text_or_hex(entry.path);
        let (target, target_hex) = entry.target.map_or((None, None), text_or_hex);
        let is_file = entry.kind == FileKind::File;
        Self {
            path,
            path_hex,
            kind: entry.kind,
            mode: entry.mode,
            mtime: entry.mtime,
            size: entry.size,
            archive: entry.archive,
            offset: entry.offset,
            crc32c: is_file.then(|| format!("{:08x}", entry.crc32c)),
            blake3: entry.blake3.map(|hash| hash.to_hex().to_string()),
            target,
            target_hex,
        }
    }
}

impl TryFrom<Line> for FileEntry {
    type Error = String;

    fn try_from(line: Line) -> Result<Self, String> {
        let path = bytes_of(line.path, line.path_hex)?.ok_or("a file without a path")?;
        let crc32c = match line.crc32c {
            None => 0,
            Some(text) => {
                u32::from_str_radix(&text, 16).map_err(|_| format!("{text:?} is not a CRC-32C"))?
            }
        };
        let blake3 = line
            .blake3
            .map(|text| blake3::Hash::from_hex(&text).map_err(|err| err.to_string()))
            .transpose()?;
        if line.kind == FileKind::File && blake3.is_none() {
            return Err("a file without a hash".to_owned());
        }
        Ok(Self {
            path,
            kind: line.kind,
            mode: line.mode,
            mtime: line.mtime,
            size: line.size,
            archive: line.archive,
            offset: line.offset,
            crc32c,
            blake3,
            target: bytes_of(line.target, line.target_hex)?,
        })
    }
}

fn text_or_hex(bytes: Vec<u8>) -> (Option<String>, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(err) => (None, Some(hex(err.as_bytes()))),
    }
}

fn bytes_of(text: Option<String>, hex: Option<String>) -> Result<Option<Vec<u8>>, String> {
    match (text, hex) {
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(hex)) => unhex(&hex)
            .map(Some)
            .ok_or_else(|| format!("{hex:?} is not hex")),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("both text and hex".to_owned()),
    }
}

/// Hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that hex digits of either case stand for.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> FileEntry {
        FileEntry {
            mode: 0o600,
            mtime: 1_700_000_000,
            size: 3,
            archive: 1,
            offset: 512,
            crc32c: 0x0000_beef,
            blake3: Some(blake3::hash(b"abc")),
            ..FileEntry::new("base/5/16384.1", FileKind::File)
        }
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let symlink = FileEntry {
            target: Some(b"/mnt/fast \xff".to_vec()),
            ..FileEntry::new("pg_tblspc/16385", FileKind::Symlink)
        };
        let odd = FileEntry {
            path: b"caf\xe9".to_vec(),
            ..entry()
        };
        for entry in [entry(), symlink, odd, FileEntry::new("base", FileKind::Dir)] {
            let line = serde_json::to_string(&entry).unwrap();
            assert_eq!(
                serde_json::from_str::<FileEntry>(&line).unwrap(),
                entry,
                "{line}"
            );
        }
    }

    #[test]
    fn the_fields_are_those_of_the_published_format() {
        let line = serde_json::to_string(&entry()).unwrap();
        assert_eq!(
            line,
            "{\"path\":\"base/5/16384.1\",\"kind\":\"file\",\"mode\":384,\"mtime\":1700000000,\
             \"size\":3,\"archive\":1,\"offset\":512,\"crc32c\":\"0000beef\",\"blake3\":\
             \"6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85\"}"
        );
        let odd = FileEntry::new(b"\xff\x01".to_vec(), FileKind::Dir);
        let line = serde_json::to_string(&odd).unwrap();
        assert!(line.starts_with("{\"path_hex\":\"ff01\","), "{line}");
    }

    #[test]
    fn a_line_that_says_two_things_or_nothing_is_refused() {
        let common = "\"mode\":0,\"mtime\":0,\"size\":0,\"archive\":0,\"offset\":0";
        for head in [
            "\"kind\":\"dir\"",
            "\"path\":\"a\",\"path_hex\":\"61\",\"kind\":\"dir\"",
            "\"path_hex\":\"6\",\"kind\":\"dir\"",
            "\"path_hex\":\"zz\",\"kind\":\"dir\"",
            "\"path\":\"a\",\"kind\":\"file\"",
            "\"path\":\"a\",\"kind\":\"device\"",
        ] {
            let line = format!("{{{head},{common}}}");
            assert!(serde_json::from_str::<FileEntry>(&line).is_err(), "{line}");
        }
    }
}
