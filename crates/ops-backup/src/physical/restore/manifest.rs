//! The manifest of files that were reconstructed from a chain.
//!
//! The server's own speaks of the incremental files. This one, of the same form, speaks of
//! what there is now, so that `pg_verifybackup` can judge it.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ops_core::Timestamp;
use sha2::{Digest, Sha256};

use super::chain::Level;
use super::directory::file_error;
use super::lines::for_each_line;
use super::ranged::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::{FileEntry, FileKind, PhysicalInfo};
use crate::repository::ObjectRole;

/// The name of the manifest in a data folder.
pub(super) const NAME: &str = "backup_manifest";

/// Files that are not those of the backup, byte for byte.
const ALTERED: [&str; 2] = ["backup_label", "tablespace_map"];

/// Writes the manifest of a cluster that was reconstructed from a chain.
pub(super) async fn write(
    source: &Source,
    newest: &Level,
    data_dir: &Path,
    file: File,
) -> Result<()> {
    let info = newest.info()?.clone();
    let mut writer = Writer {
        out: BufWriter::new(file),
        hash: Sha256::new(),
        data_dir: data_dir.to_owned(),
        first: true,
    };
    writer.begin(&info)?;
    let level = newest.clone();
    let take = move |writer: &mut Writer, entry: FileEntry| {
        let (path, whole) = level.place(&entry)?;
        let is_wal = path.starts_with(b"pg_wal/");
        if entry.kind == FileKind::File && !is_wal {
            writer.add(&path, &entry, whole)?;
        }
        Ok(())
    };
    let role = ObjectRole::Files;
    let store = &source.store;
    let writer = for_each_line(source.operation, store, &newest.backup, role, writer, take).await?;
    writer.finish(&info)
}

struct Writer {
    out: BufWriter<File>,
    hash: Sha256,
    data_dir: PathBuf,
    first: bool,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct FileLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(rename = "Encoded-Path", skip_serializing_if = "Option::is_none")]
    encoded_path: Option<String>,
    size: u64,
    #[serde(rename = "Last-Modified")]
    last_modified: String,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: &'static str,
    checksum: String,
}

impl Writer {
    fn put(&mut self, text: &str) -> Result<()> {
        self.hash.update(text.as_bytes());
        self.out
            .write_all(text.as_bytes())
            .map_err(|err| file_error("writing", &self.data_dir.join(NAME), err))
    }

    fn begin(&mut self, info: &PhysicalInfo) -> Result<()> {
        self.put(&format!(
            "{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": {},\n\"Files\": [",
            info.system_id
        ))
    }

    fn add(&mut self, path: &[u8], entry: &FileEntry, whole: bool) -> Result<()> {
        let altered = ALTERED.iter().any(|name| name.as_bytes() == path);
        let (size, crc32c) = if whole && !altered {
            (entry.size, entry.crc32c)
        } else {
            self.measure(path)?
        };
        let modified = Timestamp::from_unix_seconds(entry.mtime).unwrap_or(Timestamp::UNIX_EPOCH);
        let text = std::str::from_utf8(path).ok();
        let line = FileLine {
            path: text.map(str::to_owned),
            encoded_path: text.is_none().then(|| hex(path)),
            size,
            last_modified: modified.strftime_utc("%Y-%m-%d %H:%M:%S GMT"),
            algorithm: "CRC32C",
            // As it lies in the memory of a little-endian machine.
            checksum: hex(&crc32c.to_le_bytes()),
        };
        let json = serde_json::to_string(&line).map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                "restore",
                "a manifest cannot be written",
            )
            .with_source(source)
        })?;
        let separator = if self.first { "\n" } else { ",\n" };
        self.first = false;
        self.put(&format!("{separator}{json}"))
    }

    /// The size and the checksum of a file as it is now.
    fn measure(&self, path: &[u8]) -> Result<(u64, u32)> {
        let path = self
            .data_dir
            .join(Path::new(std::ffi::OsStr::from_bytes(path)));
        let failed = |err| file_error("reading", &path, err);
        let mut file = File::open(&path).map_err(failed)?;
        let mut buffer = vec![0; 1 << 18];
        let (mut size, mut crc32c) = (0, 0);
        loop {
            let len = file.read(&mut buffer).map_err(failed)?;
            if len == 0 {
                return Ok((size, crc32c));
            }
            size += len as u64;
            crc32c = crc32c::crc32c_append(crc32c, buffer.get(..len).unwrap_or_default());
        }
    }

    fn finish(mut self, info: &PhysicalInfo) -> Result<()> {
        let ranges: Vec<_> = info
            .wal_ranges
            .iter()
            .map(|range| {
                format!(
                    "{{ \"Timeline\": {}, \"Start-LSN\": \"{}\", \"End-LSN\": \"{}\" }}",
                    range.timeline, range.start, range.end
                )
            })
            .collect();
        self.put(&format!(
            "\n],\n\"WAL-Ranges\": [\n{}\n],\n",
            ranges.join(",\n")
        ))?;
        let digest = hex(&self.hash.clone().finalize());
        self.put(&format!("\"Manifest-Checksum\": \"{digest}\"}}\n"))?;
        let path = self.data_dir.join(NAME);
        self.out
            .flush()
            .map_err(|err| file_error("writing", &path, err))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
