//! The backups that a restore reads: one, or a chain down to the full one.

use std::io::Read;
use std::sync::Arc;

use super::label::BackupLabel;
use super::lines::for_each_line;
use super::packs::Packs;
use super::ranged::{Source, of_io};
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::{FileEntry, FileKind, PhysicalInfo, PhysicalKind};
use crate::physical::incremental;
use crate::repository::{BackupId, ObjectRole, OpenBackup};
use crate::restore::check_objects;

/// The longest chain that is followed.
const MAX_LEVELS: usize = 1000;

/// The largest file that is read into memory.
const MAX_SMALL_BYTES: u64 = 1 << 20;

/// One backup of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub(crate) backup: Arc<OpenBackup>,
    pub(crate) packs: Arc<Packs>,
    pub(crate) label: BackupLabel,
}

impl Level {
    pub(crate) fn info(&self) -> Result<&PhysicalInfo> {
        self.backup.manifest.require_physical("restore")
    }

    /// Where an entry belongs, relative to the data folder, and whether it is a whole file.
    pub(crate) fn place(&self, entry: &FileEntry) -> Result<(Vec<u8>, bool)> {
        let info = self.info()?;
        let archive = usize::try_from(entry.archive)
            .ok()
            .and_then(|at| info.archives.get(at));
        let oid = archive.map(|archive| archive.tablespace).ok_or_else(|| {
            let message = format!("{} is in no archive", String::from_utf8_lossy(&entry.path));
            Error::new(ErrorKind::Integrity, "restore", message)
        })?;
        check_path(&entry.path)?;
        let path = match oid {
            None => entry.path.clone(),
            Some(oid) => [format!("pg_tblspc/{oid}/").as_bytes(), &entry.path].concat(),
        };
        let incremental = (entry.kind == FileKind::File && info.kind != PhysicalKind::Full)
            .then(|| incremental::whole_path(&path))
            .flatten();
        Ok(match incremental {
            Some(whole) => (whole, false),
            None => (path, true),
        })
    }
}

/// Refuses a path that could lead out of the data folder.
fn check_path(path: &[u8]) -> Result<()> {
    let fits = !path.is_empty()
        && !path.contains(&0)
        && path
            .split(|&byte| byte == b'/')
            .all(|part| !part.is_empty() && part != b"." && part != b"..");
    if fits {
        return Ok(());
    }
    let message = format!(
        "{:?} is no path in a cluster",
        String::from_utf8_lossy(path)
    );
    Err(Error::new(ErrorKind::Integrity, "restore", message))
}

/// Opens a backup and all that it builds upon, oldest first. Every object is looked at, and
/// something of each backup was decrypted: the key fits.
pub(crate) async fn open(inner: &Inner, id: &BackupId, source: &Source) -> Result<Vec<Level>> {
    let operation = source.operation;
    let mut levels: Vec<Level> = Vec::new();
    let mut next = Some(id.clone());
    while let Some(id) = next {
        if levels.len() == MAX_LEVELS {
            let message = format!("the chain of {id} has more than {MAX_LEVELS} backups");
            return Err(Error::new(ErrorKind::Integrity, operation, message));
        }
        let opened = inner
            .repository
            .open(operation, &id, &inner.settings.unlock)
            .await;
        let backup = opened.map_err(|err| match levels.last() {
            Some(child) if err.kind() == ErrorKind::NotFound => {
                let child = &child.backup.manifest.id;
                let message = format!("{child} builds upon {id}, which is gone");
                Error::new(ErrorKind::Integrity, operation, message).with_source(err)
            }
            _ => err,
        })?;
        let info = backup.manifest.require_physical(operation)?;
        next = info.kind.parent().cloned();
        check_objects(operation, inner, &backup).await?;
        let packs = Arc::new(Packs::load(source, &backup).await?);
        let backup = Arc::new(backup);
        let label = read_label(source, &backup, &packs).await?;
        let level = Level {
            backup,
            packs,
            label,
        };
        if let Some(child) = levels.last() {
            check_link(operation, child, &level)?;
        } else if next.is_none() && level.label.incremental_from.is_some() {
            return Err(broken(operation, &level, "it says to be full and is not"));
        }
        levels.push(level);
    }
    levels.reverse();
    Ok(levels)
}

/// Whether a backup builds upon another: the same cluster, and exactly from its start.
fn check_link(operation: &'static str, child: &Level, parent: &Level) -> Result<()> {
    let (child_info, parent_info) = (child.info()?, parent.info()?);
    if child_info.system_id != parent_info.system_id {
        return Err(broken(operation, child, "its parent is of another cluster"));
    }
    let from = Some((parent.label.start_lsn, parent.label.timeline));
    if child.label.incremental_from != from {
        return Err(broken(
            operation,
            child,
            "it does not begin where its parent does",
        ));
    }
    Ok(())
}

#[cold]
pub(crate) fn broken(operation: &'static str, level: &Level, what: &str) -> Error {
    let message = format!(
        "the chain is broken at {}: {what}",
        level.backup.manifest.id
    );
    Error::new(ErrorKind::Integrity, operation, message)
}

/// Reads the `backup_label` of a backup, which is the first file of its main archive.
pub(crate) async fn read_label(
    source: &Source,
    backup: &OpenBackup,
    packs: &Arc<Packs>,
) -> Result<BackupLabel> {
    let text = read_named(source, backup, packs, "backup_label").await?;
    BackupLabel::parse(source.operation, &String::from_utf8_lossy(&text))
}

/// Reads a small file of the main archive of a backup.
pub(crate) async fn read_file(
    source: &Source,
    level: &Level,
    path: &'static str,
) -> Result<Vec<u8>> {
    read_named(source, &level.backup, &level.packs, path).await
}

async fn read_named(
    source: &Source,
    backup: &OpenBackup,
    packs: &Arc<Packs>,
    path: &'static str,
) -> Result<Vec<u8>> {
    let operation = source.operation;
    let entry = find(source, backup, path.as_bytes())
        .await?
        .ok_or_else(|| {
            let message = format!("{} has no {path}", backup.manifest.id);
            Error::new(ErrorKind::Integrity, operation, message)
        })?;
    let (source, packs) = (source.clone(), Arc::clone(packs));
    let read = tokio::task::spawn_blocking(move || read_small(&source, &packs, &entry)).await;
    read.unwrap_or_else(|source| Err(task_failed(operation, source)))
}

/// A reading or writing task that panicked.
#[cold]
pub(crate) fn task_failed(operation: &'static str, source: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, operation, "a task failed").with_source(source)
}

fn read_small(source: &Source, packs: &Arc<Packs>, entry: &FileEntry) -> Result<Vec<u8>> {
    let path = String::from_utf8_lossy(&entry.path);
    let mut content = Vec::new();
    if entry.size > MAX_SMALL_BYTES {
        let message = format!("{path} is larger than it may be");
        return Err(Error::new(ErrorKind::Integrity, source.operation, message));
    }
    if entry.size > 0 {
        let read = packs
            .read(
                source,
                entry.archive,
                entry.offset,
                entry.offset + entry.size,
            )
            .and_then(|reader| reader.take(entry.size).read_to_end(&mut content));
        read.map_err(|err| of_io(source.operation, &path, err))?;
    }
    if Some(blake3::hash(&content)) != entry.blake3 {
        let message = format!("{path} is not what was written");
        return Err(Error::new(ErrorKind::Integrity, source.operation, message));
    }
    Ok(content)
}

/// The entry of a file of the main archive.
async fn find(
    source: &Source,
    backup: &OpenBackup,
    path: &'static [u8],
) -> Result<Option<FileEntry>> {
    let info = backup.manifest.require_physical(source.operation)?;
    let main = info.archives.iter().position(|it| it.tablespace.is_none());
    let take = move |found: &mut Option<FileEntry>, entry: FileEntry| {
        let in_main = usize::try_from(entry.archive).ok() == main;
        if in_main && entry.kind == FileKind::File && entry.path == path {
            *found = Some(entry);
        }
        Ok(())
    };
    let store = &source.store;
    for_each_line(
        source.operation,
        store,
        backup,
        ObjectRole::Files,
        None,
        take,
    )
    .await
}
