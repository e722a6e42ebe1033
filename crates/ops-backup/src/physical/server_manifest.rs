//! The server's backup manifest, read as it arrives.
//!
//! It has an entry for each file, some hundred bytes long, and may have a million of them.
//! Here an entry is read, handed on and forgotten; what is not an entry is a few lines.

use ops_pg_replication::{Lsn, SystemId, Timeline};
use sha2::{Digest, Sha256};

use super::format::{WalRange, unhex};

/// The most that an entry, and everything but the entries, may take.
const MAX_BYTES: usize = 64 << 10;

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("the server's manifest is not what it should be: {0}")]
    Form(&'static str),
    #[error("the server's manifest cannot be read")]
    Json(#[from] serde_json::Error),
}

/// A file, as the manifest has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ManifestFile {
    pub(crate) path: Vec<u8>,
    pub(crate) size: u64,
    /// None where the manifest was made without, or with another kind of checksums.
    pub(crate) crc32c: Option<u32>,
}

/// Everything else.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ManifestSummary {
    pub(crate) version: u32,
    /// Since version 2.
    pub(crate) system_id: Option<SystemId>,
    pub(crate) wal_ranges: Vec<WalRange>,
    pub(crate) files: u64,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FileLine {
    path: Option<String>,
    #[serde(rename = "Encoded-Path")]
    encoded_path: Option<String>,
    size: u64,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    checksum: Option<String>,
}

#[derive(serde::Deserialize)]
struct RangeLine {
    #[serde(rename = "Timeline")]
    timeline: u32,
    #[serde(rename = "Start-LSN")]
    start: Lsn,
    #[serde(rename = "End-LSN")]
    end: Lsn,
}

/// The manifest with its arrays empty.
#[derive(serde::Deserialize)]
struct Skeleton {
    #[serde(rename = "PostgreSQL-Backup-Manifest-Version")]
    version: u32,
    #[serde(rename = "System-Identifier")]
    system_id: Option<u64>,
    #[serde(rename = "Files")]
    _files: [(); 0],
    #[serde(rename = "WAL-Ranges")]
    _ranges: [(); 0],
    #[serde(rename = "Manifest-Checksum")]
    checksum: String,
}

/// Reads a manifest piece by piece.
#[derive(Debug)]
pub(crate) struct ManifestReader {
    hasher: Sha256,
    /// What may be the last line, which is not part of what the checksum is of.
    last_line: Vec<u8>,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Everything outside the entries.
    skeleton: Vec<u8>,
    /// The key whose value is being read.
    key: Vec<u8>,
    entry: Vec<u8>,
    wal_ranges: Vec<WalRange>,
    files: u64,
}

impl ManifestReader {
    pub(crate) fn new() -> Self {
        Self {
            hasher: Sha256::new(),
            last_line: Vec::new(),
            depth: 0,
            in_string: false,
            escaped: false,
            skeleton: Vec::new(),
            key: Vec::new(),
            entry: Vec::new(),
            wal_ranges: Vec::new(),
            files: 0,
        }
    }

    /// Reads on, and hands each file on.
    pub(crate) fn feed<E: From<ManifestError>>(
        &mut self,
        data: &[u8],
        mut file: impl FnMut(ManifestFile) -> Result<(), E>,
    ) -> Result<(), E> {
        self.hash(data)?;
        for &byte in data {
            if self.step(byte)? {
                let found = self.entry()?;
                self.entry.clear();
                if let Some(found) = found {
                    self.files += 1;
                    file(found)?;
                }
            }
        }
        Ok(())
    }

    /// The end of the manifest: checks its checksum.
    pub(crate) fn finish(self) -> Result<ManifestSummary, ManifestError> {
        if self.depth != 0 || self.in_string {
            return Err(ManifestError::Form("it ends early"));
        }
        let skeleton: Skeleton = serde_json::from_slice(&self.skeleton)?;
        let checksum = unhex(&skeleton.checksum).unwrap_or_default();
        if !self.last_line.starts_with(b"\"Manifest-Checksum\"")
            || self.hasher.finalize().as_slice() != checksum
        {
            return Err(ManifestError::Form("its checksum is wrong"));
        }
        Ok(ManifestSummary {
            version: skeleton.version,
            system_id: skeleton.system_id.map(SystemId::new),
            wal_ranges: self.wal_ranges,
            files: self.files,
        })
    }

    /// Hashes everything but the last line.
    fn hash(&mut self, data: &[u8]) -> Result<(), ManifestError> {
        self.last_line.extend_from_slice(data);
        // A line that has just ended may be the last.
        let before_end = self.last_line.len().saturating_sub(1);
        let lines = self.last_line.get(..before_end).unwrap_or_default();
        if let Some(end) = memchr::memrchr(b'\n', lines) {
            self.hasher.update(lines.get(..=end).unwrap_or_default());
            self.last_line.drain(..=end);
        }
        if self.last_line.len() > MAX_BYTES {
            return Err(ManifestError::Form("a line is too long"));
        }
        Ok(())
    }

    /// Takes one byte; whether an entry is complete.
    fn step(&mut self, byte: u8) -> Result<bool, ManifestError> {
        if self.in_string {
            let ends = byte == b'"' && !self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            self.in_string = !ends;
            if self.depth == 1 && !ends {
                self.key.push(byte);
            }
            return self.keep(byte).map(|()| false);
        }
        match byte {
            b'"' => {
                self.in_string = true;
                if self.depth == 1 {
                    self.key.clear();
                }
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.keep(byte)?;
                self.depth = self
                    .depth
                    .checked_sub(1)
                    .ok_or(ManifestError::Form("it ends twice"))?;
                return Ok(self.depth == 2);
            }
            // What separates entries stands between nothing in the skeleton.
            b',' if self.depth == 2 => return Ok(false),
            b' ' | b'\t' | b'\r' | b'\n' => return Ok(false),
            _ => {}
        }
        self.keep(byte).map(|()| false)
    }

    fn keep(&mut self, byte: u8) -> Result<(), ManifestError> {
        let kept = if self.depth > 2 {
            &mut self.entry
        } else {
            &mut self.skeleton
        };
        kept.push(byte);
        if kept.len() > MAX_BYTES || self.key.len() > MAX_BYTES {
            return Err(ManifestError::Form("an entry is too long"));
        }
        Ok(())
    }

    /// Reads the entry that has come.
    fn entry(&mut self) -> Result<Option<ManifestFile>, ManifestError> {
        match self.key.as_slice() {
            b"Files" => serde_json::from_slice::<FileLine>(&self.entry)?
                .try_into()
                .map(Some),
            b"WAL-Ranges" => {
                let line: RangeLine = serde_json::from_slice(&self.entry)?;
                let timeline = Timeline::new(line.timeline);
                let timeline = timeline.map_err(|_| ManifestError::Form("timeline 0"))?;
                let range = WalRange::new(timeline, line.start, line.end);
                self.wal_ranges.push(range);
                Ok(None)
            }
            _ => Err(ManifestError::Form("it has an unknown list")),
        }
    }
}

impl TryFrom<FileLine> for ManifestFile {
    type Error = ManifestError;

    fn try_from(line: FileLine) -> Result<Self, ManifestError> {
        let path = match (line.path, line.encoded_path) {
            (Some(path), None) => Some(path.into_bytes()),
            (None, Some(hex)) => unhex(&hex),
            _ => None,
        };
        let crc32c = match (line.algorithm.as_deref(), &line.checksum) {
            (Some("CRC32C"), Some(hex)) => {
                let bytes = unhex(hex).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
                let bytes = bytes.ok_or(ManifestError::Form("a bad checksum"))?;
                Some(u32::from_le_bytes(bytes))
            }
            _ => None,
        };
        Ok(Self {
            path: path.ok_or(ManifestError::Form("a file without a path"))?,
            size: line.size,
            crc32c,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physical::format::hex;

    /// Seals a manifest as a server does.
    fn sealed(body: &str) -> String {
        let sum = Sha256::digest(body.as_bytes());
        let hex = hex(&sum);
        format!("{body}\"Manifest-Checksum\": \"{hex}\"}}\n")
    }

    const BODY: &str = r#"{ "PostgreSQL-Backup-Manifest-Version": 2,
"System-Identifier": 7438291056472839105,
"Files": [
{ "Path": "backup_label", "Size": 225, "Last-Modified": "2026-11-21 03:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "78563412" },
{ "Encoded-Path": "ff2f61", "Size": 0, "Last-Modified": "2026-11-21 03:00:00 GMT" },
{ "Path": "with \"quotes\" { [ ,\n and \\", "Size": 18446744073709551615, "Last-Modified": "x", "Checksum-Algorithm": "SHA256", "Checksum": "00" }
],
"WAL-Ranges": [
{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" },
{ "Timeline": 2, "Start-LSN": "0/2000100", "End-LSN": "A/2000158" }
],
"#;

    fn read(
        text: &str,
        step: usize,
    ) -> Result<(Vec<ManifestFile>, ManifestSummary), ManifestError> {
        let mut reader = ManifestReader::new();
        let mut files = Vec::new();
        for piece in text.as_bytes().chunks(step) {
            reader.feed::<ManifestError>(piece, |file| {
                files.push(file);
                Ok(())
            })?;
        }
        reader.finish().map(|summary| (files, summary))
    }

    #[test]
    fn files_and_ranges_come_out_however_the_bytes_arrive() {
        let text = sealed(BODY);
        for step in [1, 2, 7, 100, text.len()] {
            let (files, summary) = read(&text, step).unwrap();
            let paths: Vec<_> = files.iter().map(|file| file.path.as_slice()).collect();
            let odd: &[u8] = b"with \"quotes\" { [ ,\n and \\";
            assert_eq!(paths, [b"backup_label".as_slice(), b"\xff/a", odd]);
            assert_eq!(files[0].crc32c, Some(0x1234_5678));
            assert_eq!((files[1].size, files[1].crc32c), (0, None));
            assert_eq!((files[2].size, files[2].crc32c), (u64::MAX, None));
            assert_eq!((summary.version, summary.files), (2, 3));
            assert_eq!(
                summary.system_id,
                Some(SystemId::new(7_438_291_056_472_839_105))
            );
            assert_eq!(summary.wal_ranges.len(), 2);
            assert_eq!(summary.wal_ranges[1].end.to_string(), "A/2000158");
        }
    }

    #[test]
    fn a_manifest_that_is_not_whole_or_not_the_servers_is_refused() {
        let whole = sealed(BODY);
        for end in [0, 1, BODY.len() - 1, BODY.len(), whole.len() - 2] {
            assert!(read(&whole[..end], 64).is_err(), "{end}");
        }
        for (from, to) in [
            ("225", "226"),
            ("\"Files\"", "\"Fails\""),
            ("2000158", "2000159"),
            ("7438291056472839105", "\"x\""),
            ("\"Timeline\": 1", "\"Timeline\": 0"),
        ] {
            assert!(read(&whole.replacen(from, to, 1), 64).is_err(), "{from}");
        }
        assert!(read(&sealed(&BODY.replacen("78563412", "785634", 1)), 64).is_err());
        assert!(read(&sealed(&BODY.replacen("\"Path\"", "\"Pfad\"", 1)), 64).is_err());
        assert!(read(&format!("{whole}}}"), 64).is_err());
    }

    #[test]
    fn nothing_in_it_grows_without_bound() {
        let long = format!("{{ \"x\": \"{}", "y".repeat(2 * MAX_BYTES));
        assert!(read(&long, 4096).is_err());
    }
}
