//! Writing the files of a backup, on several threads.

mod content;
mod over;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use content::Content;
use over::Over;
use tokio::task::JoinHandle;

use super::chain::{Level, task_failed};
use super::control;
use super::directory::{Directory, file_error};
use super::lines::for_each_line;
use super::outline::{Outline, Use};
use super::packs::ArchiveReader;
use super::ranged::{Source, of_io};
use super::settings::AUTO_CONF;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::{FileEntry, FileKind};
use crate::physical::incremental;
use crate::repository::ObjectRole;

/// A stretch of an archive of which less than this is not wanted is read in one go.
const MAX_GAP: u64 = 1 << 20;
/// How many plain bytes a thread takes on at once; one file may be more.
const RUN_BYTES: u64 = 64 << 20;
/// How many files a thread takes on at once.
const RUN_FILES: usize = 4096;
/// The largest file that is kept back.
const MAX_KEPT: u64 = 16 << 20;

/// Files that are not written where they are met: they are altered first, or written when
/// everything else is.
const KEPT_BACK: [&str; 4] = [control::PATH, "backup_label", "tablespace_map", AUTO_CONF];

/// A file, and what is to be done with it.
#[derive(Debug)]
struct Piece {
    /// Relative to the data folder.
    path: Vec<u8>,
    how: Use,
    entry: FileEntry,
}

/// Files that lie behind each other in an archive.
#[derive(Debug, Default)]
struct Run(Vec<Piece>);

impl Run {
    /// Whether a file should not be added any more.
    fn is_full_for(&self, entry: &FileEntry) -> bool {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return false;
        };
        let last_end = last.entry.offset + last.entry.size;
        last.entry.archive != entry.archive
            || entry.offset.saturating_sub(last_end) > MAX_GAP
            || entry.offset < last_end
            || last_end - first.entry.offset >= RUN_BYTES
            || self.0.len() >= RUN_FILES
    }
}

/// What came of writing.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Files that were written or reconstructed.
    pub(crate) files: u64,
    /// Files that were there already.
    pub(crate) kept: u64,
    /// Blocks that were taken from incremental files.
    pub(crate) blocks: u64,
    /// The content of the files that are kept back, with their modes.
    pub(crate) kept_back: BTreeMap<&'static str, (u32, Vec<u8>)>,
}

impl Written {
    pub(crate) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.kept += other.kept;
        self.blocks += other.blocks;
        self.kept_back.extend(other.kept_back);
    }
}

/// Writes what is needed of one backup of a chain.
pub(crate) async fn write_level(
    source: &Source,
    levels: &[Level],
    index: usize,
    outline: Arc<Outline>,
    directory: &Directory,
    workers: usize,
) -> Result<Written> {
    let newest = levels.len().saturating_sub(1);
    let Some(level) = levels.get(index) else {
        return Ok(Written::default());
    };
    // Where one thread fails the others end, and where this is dropped all do.
    let mut source = source.clone();
    source.cancel = source.cancel.child_token();
    let guard = source.cancel.clone().drop_guard();
    let (sender, runs) = sync_channel::<Run>(workers);
    let worker = Worker {
        source: source.clone(),
        level: level.clone(),
        directory: directory.clone(),
    };
    let threads = worker.start(workers, runs);
    let use_of = move |path: &[u8], whole| outline.use_of(path, whole, index, newest);
    let planned = plan(&source, level, sender, use_of).await;
    if planned.is_err() {
        source.cancel.cancel();
    }
    let written = join(source.operation, threads).await;
    drop(guard);
    match (written, planned) {
        (Ok(written), planned) => planned.map(|()| written),
        (Err(err), Ok(())) => Err(err),
        (Err(err), Err(planned)) => Err(first_cause(Some(err), planned)),
    }
}

/// Cuts the index of a backup into runs, and hands them to the threads.
async fn plan(
    source: &Source,
    level: &Level,
    sender: SyncSender<Run>,
    use_of: impl Fn(&[u8], bool) -> Use + Send + 'static,
) -> Result<()> {
    let (operation, here) = (source.operation, level.clone());
    let planner = Planner {
        run: Run::default(),
        sender,
    };
    let take = move |planner: &mut Planner, entry: FileEntry| {
        if entry.kind != FileKind::File {
            return Ok(());
        }
        let (path, whole) = here.place(&entry)?;
        match use_of(&path, whole) {
            Use::Nothing => Ok(()),
            how => planner.add(operation, Piece { path, how, entry }),
        }
    };
    let (store, role) = (&source.store, ObjectRole::Files);
    let mut rest = for_each_line(operation, store, &level.backup, role, planner, take).await?;
    rest.flush(operation)
}

/// What all threads have written, or why one of them could not.
async fn join(
    operation: &'static str,
    threads: Vec<JoinHandle<Result<Written>>>,
) -> Result<Written> {
    let mut written = Written::default();
    let mut failure = None;
    for thread in threads {
        let outcome = thread.await;
        match outcome.unwrap_or_else(|err| Err(task_failed(operation, err))) {
            Ok(some) => written.add(some),
            Err(err) => failure = Some(first_cause(failure, err)),
        }
    }
    failure.map_or(Ok(written), Err)
}

/// Of two failures the one that did not come from the other.
fn first_cause(earlier: Option<Error>, later: Error) -> Error {
    match earlier {
        Some(earlier) if earlier.kind() != ErrorKind::Canceled => earlier,
        _ => later,
    }
}

/// Cuts the index into runs.
struct Planner {
    run: Run,
    sender: SyncSender<Run>,
}

impl Planner {
    fn add(&mut self, operation: &'static str, piece: Piece) -> Result<()> {
        if self.run.is_full_for(&piece.entry) {
            self.flush(operation)?;
        }
        self.run.0.push(piece);
        Ok(())
    }

    fn flush(&mut self, operation: &'static str) -> Result<()> {
        let run = std::mem::take(&mut self.run);
        if run.0.is_empty() {
            return Ok(());
        }
        let gone = |_| Error::new(ErrorKind::Canceled, operation, "nobody writes any more");
        self.sender.send(run).map_err(gone)
    }
}

/// One of the threads that write.
#[derive(Clone)]
struct Worker {
    source: Source,
    level: Level,
    directory: Directory,
}

impl Worker {
    /// Starts so many threads. One that fails cancels the others.
    fn start(&self, workers: usize, runs: Receiver<Run>) -> Vec<JoinHandle<Result<Written>>> {
        let runs = Arc::new(Mutex::new(runs));
        let start = |_| {
            let (worker, runs) = (self.clone(), Arc::clone(&runs));
            tokio::task::spawn_blocking(move || {
                let outcome = worker.work(&runs);
                if outcome.is_err() {
                    worker.source.cancel.cancel();
                }
                outcome
            })
        };
        (0..workers).map(start).collect()
    }

    fn work(&self, runs: &Mutex<Receiver<Run>>) -> Result<Written> {
        let mut written = Written::default();
        loop {
            let next = runs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(run) = next else {
                return Ok(written);
            };
            self.write_run(run, &mut written)?;
        }
    }

    fn write_run(&self, run: Run, written: &mut Written) -> Result<()> {
        let mut part = Run::default();
        for piece in run.0 {
            if self.is_there(&piece)? {
                written.kept += 1;
                self.source.counters.add_in(piece.entry.size);
                continue;
            }
            if part.is_full_for(&piece.entry) {
                self.write_part(&std::mem::take(&mut part), written)?;
            }
            part.0.push(piece);
        }
        self.write_part(&part, written)
    }

    /// Whether a file is there already, with exactly the content that it shall have.
    fn is_there(&self, piece: &Piece) -> Result<bool> {
        if !self.directory.delta || piece.how != Use::Write || kept_back(&piece.path).is_some() {
            return Ok(false);
        }
        let path = self.path(&piece.path);
        let failed = |err| file_error("reading", &path, err);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() && meta.len() == piece.entry.size => {}
            _ => return Ok(false),
        }
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(&path).map_err(failed)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            self.check_canceled()?;
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                len => hasher.update(buffer.get(..len).unwrap_or_default()),
            };
        }
        let same = Some(hasher.finalize()) == piece.entry.blake3;
        if same {
            self.directory
                .adopt(&path, piece.entry.mode)
                .map_err(failed)?;
        }
        Ok(same)
    }

    fn check_canceled(&self) -> Result<()> {
        if !self.source.cancel.is_cancelled() {
            return Ok(());
        }
        let operation = self.source.operation;
        Err(Error::new(
            ErrorKind::Canceled,
            operation,
            "the job was canceled",
        ))
    }

    fn path(&self, path: &[u8]) -> PathBuf {
        self.directory
            .path
            .join(Path::new(std::ffi::OsStr::from_bytes(path)))
    }

    fn write_part(&self, part: &Run, written: &mut Written) -> Result<()> {
        let ends = |piece: &Piece| piece.entry.offset + piece.entry.size;
        // Empty files need nothing to be read.
        let has_bytes = |piece: &&Piece| piece.entry.size > 0;
        let first = part.0.iter().find(has_bytes);
        let last = part.0.iter().rev().find(has_bytes);
        let mut reader = match first.zip(last) {
            None => None,
            Some((first, last)) => {
                let range = (first.entry.offset, ends(last));
                let read =
                    self.level
                        .packs
                        .read(&self.source, first.entry.archive, range.0, range.1);
                Some(read.map_err(|err| self.unreadable(first, err))?)
            }
        };
        for piece in &part.0 {
            self.check_canceled()?;
            self.write_piece(piece, reader.as_mut(), written)?;
            self.source.counters.add_in(piece.entry.size);
        }
        Ok(())
    }

    fn write_piece(
        &self,
        piece: &Piece,
        reader: Option<&mut ArchiveReader>,
        written: &mut Written,
    ) -> Result<()> {
        let entry = &piece.entry;
        let mut empty = io::empty();
        let content: &mut dyn BufRead = match reader {
            Some(reader) if entry.size > 0 => {
                let gap = entry.offset - reader.position();
                reader
                    .skip(gap)
                    .map_err(|err| self.unreadable(piece, err))?;
                reader
            }
            _ => &mut empty,
        };
        let mut content = Content::new(content, entry.size);
        let path = self.path(&piece.path);
        match (piece.how, kept_back(&piece.path)) {
            (Use::Nothing, _) => return Ok(()),
            (Use::Write, Some(name)) => {
                let kept = self.keep_back(piece, &mut content)?;
                written.kept_back.insert(name, (entry.mode, kept));
            }
            (Use::Write, None) => self.write_whole(piece, &path, &mut content)?,
            (Use::Apply, _) => written.blocks += self.apply(piece, &path, &mut content)?,
        }
        if content.finish() != entry.blake3 {
            let message = format!("{} is not what was written", self.shown(piece));
            let err = Error::new(ErrorKind::Integrity, self.source.operation, message);
            return Err(err.with_hint("restore another backup and find out what changed the store"));
        }
        written.files += 1;
        Ok(())
    }

    fn keep_back(&self, piece: &Piece, content: &mut Content<'_>) -> Result<Vec<u8>> {
        if piece.entry.size > MAX_KEPT {
            let message = format!("{} is larger than it may be", self.shown(piece));
            return Err(Error::new(
                ErrorKind::Integrity,
                self.source.operation,
                message,
            ));
        }
        let mut kept = Vec::new();
        content
            .read_to_end(&mut kept)
            .map_err(|err| self.unreadable(piece, err))?;
        Ok(kept)
    }

    fn write_whole(&self, piece: &Piece, path: &Path, content: &mut Content<'_>) -> Result<()> {
        let failed = |err| file_error("writing", path, err);
        let mode = piece.entry.mode;
        if let Some(old) = self.directory.reuse(path, mode) {
            let mut over = Over::new(old).map_err(failed)?;
            self.copy(piece, content, |part| over.write(part).map_err(failed))?;
            return over.finish().map_err(failed);
        }
        let mut file = self.directory.create(path, mode).map_err(failed)?;
        self.copy(piece, content, |part| file.write_all(part).map_err(failed))
    }

    fn copy(
        &self,
        piece: &Piece,
        content: &mut Content<'_>,
        mut write: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        loop {
            self.check_canceled()?;
            let there = content
                .fill_buf()
                .map_err(|err| self.unreadable(piece, err))?;
            if there.is_empty() {
                return Ok(());
            }
            let len = there.len();
            write(there)?;
            content.consume(len);
        }
    }

    fn apply(&self, piece: &Piece, path: &Path, content: &mut Content<'_>) -> Result<u64> {
        let failed = |err| file_error("opening", path, err);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        incremental::apply(content, piece.entry.size, &file).map_err(|err| {
            match err.raw_os_error() {
                Some(_) => file_error("writing", path, err),
                None => self.unreadable(piece, err),
            }
        })
    }

    fn shown(&self, piece: &Piece) -> String {
        let id = &self.level.backup.manifest.id;
        format!("{} of {id}", String::from_utf8_lossy(&piece.entry.path))
    }

    #[cold]
    fn unreadable(&self, piece: &Piece, err: io::Error) -> Error {
        of_io(self.source.operation, &self.shown(piece), err)
    }
}

fn kept_back(path: &[u8]) -> Option<&'static str> {
    KEPT_BACK.into_iter().find(|name| name.as_bytes() == path)
}
