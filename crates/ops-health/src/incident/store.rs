//! Where timelines are kept.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ops_core::{Error, ErrorKind, Result, async_trait};
use serde::{Deserialize, Serialize};

use super::{Entry, IncidentId};

/// One entry of one incident, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IncidentRecord {
    /// The incident.
    pub incident: IncidentId,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

impl IncidentRecord {
    /// A record of an entry.
    #[must_use]
    pub const fn new(incident: IncidentId, entry: Entry) -> Self {
        Self { incident, entry }
    }
}

/// Where timelines are kept. The [`IncidentLog`](super::IncidentLog) keeps what it needs in
/// memory; a store keeps it over a restart.
#[async_trait]
pub trait IncidentStore: fmt::Debug + Send + Sync + 'static {
    /// Everything that is kept, in the order in which it was appended.
    ///
    /// # Errors
    /// Where the store cannot be read. A record that is unreadable is left out.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn load(&self) -> Result<Vec<IncidentRecord>>;

    /// Adds records behind all others. Returns when they would survive a crash.
    ///
    /// # Errors
    /// Where the store cannot be written. A record may be there all the same.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the records appended.
    async fn append(&self, records: Vec<IncidentRecord>) -> Result<()>;

    /// Replaces everything with these records: what is old has been left out.
    ///
    /// # Errors
    /// Where the store cannot be written; what was there is there still.
    ///
    /// # Cancel safety
    /// Dropping the future leaves either what was there or what was given.
    async fn replace(&self, records: Vec<IncidentRecord>) -> Result<()>;
}

/// Keeps nothing over a restart: the log's own memory is all there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryIncidents;

#[async_trait]
impl IncidentStore for MemoryIncidents {
    async fn load(&self) -> Result<Vec<IncidentRecord>> {
        Ok(Vec::new())
    }

    async fn append(&self, _records: Vec<IncidentRecord>) -> Result<()> {
        Ok(())
    }

    async fn replace(&self, _records: Vec<IncidentRecord>) -> Result<()> {
        Ok(())
    }
}

/// Keeps timelines in a file with one JSON object per line. Clones are the same file.
///
/// Every append reaches the disk before it returns. A line that a crash has cut off is
/// left out when the file is read, and the next append begins on a line of its own.
#[derive(Clone, Debug)]
pub struct JsonLinesIncidents(Arc<Lines>);

#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl JsonLinesIncidents {
    /// Keeps timelines in this file, which is made where it is missing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Lines {
            path: path.into(),
            file: Mutex::new(None),
        }))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Lines) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let lines = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            work(&lines).map_err(|err| error(&lines.path, what, err))
        })
        .await
        .map_err(|err| {
            Error::new(ErrorKind::Internal, "writing an incident ended early").with_source(err)
        })?
    }
}

#[async_trait]
impl IncidentStore for JsonLinesIncidents {
    async fn load(&self) -> Result<Vec<IncidentRecord>> {
        self.blocking("read", Lines::load).await
    }

    async fn append(&self, records: Vec<IncidentRecord>) -> Result<()> {
        self.blocking("written", move |lines| lines.append(&records))
            .await
    }

    async fn replace(&self, records: Vec<IncidentRecord>) -> Result<()> {
        self.blocking("written", move |lines| lines.replace(&records))
            .await
    }
}

impl Lines {
    fn load(&self) -> io::Result<Vec<IncidentRecord>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(err) => return Err(err),
        };
        let mut records = Vec::new();
        let mut unreadable = 0_u32;
        for line in BufReader::new(file).split(b'\n') {
            let line = line?;
            match serde_json::from_slice(&line) {
                Ok(record) => records.push(record),
                Err(_) if line.is_empty() => {}
                Err(_) => unreadable = unreadable.saturating_add(1),
            }
        }
        if unreadable > 0 {
            tracing::warn!(target: "ops_health", path = %self.path.display(), lines = unreadable, "lines of the incident file are unreadable and were left out");
        }
        Ok(records)
    }

    fn append(&self, records: &[IncidentRecord]) -> io::Result<()> {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = match held.take() {
            Some(file) => file,
            None => open(&self.path)?,
        };
        file.write_all(&lines(records)?)?;
        file.sync_data()?;
        // Kept only where it worked: after a failure the end of the file is looked at anew.
        *held = Some(file);
        Ok(())
    }

    fn replace(&self, records: &[IncidentRecord]) -> io::Result<()> {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let draft = self.path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(&lines(records)?)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        *held = None;
        sync_folder(&self.path)
    }
}

fn lines(records: &[IncidentRecord]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Opens the file for appending, on a line of its own.
fn open(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    if is_new {
        sync_folder(path)?;
    }
    if file.metadata()?.len() > 0 {
        let mut last = [0_u8];
        file.seek(SeekFrom::End(-1))?;
        io::Read::read_exact(&mut file, &mut last)?;
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cold]
fn error(path: &Path, what: &str, err: io::Error) -> Error {
    let kind = match err.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::QuotaExceeded,
        _ => ErrorKind::Unavailable,
    };
    let message = format!("the incident file {} cannot be {what}", path.display());
    Error::new(kind, message).with_source(err)
}
