//! `pg_dump`, read, followed, compressed, encrypted and stored in one pass.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ops_pg::process::{Io, Program};
use tokio::task::{JoinError, JoinHandle};

use super::Run;
use super::source::Source;
use crate::archive::{Archive, Walker};
use crate::client;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Counters, Phase};
use crate::pipeline::{
    Block, CompressorSettings, Compressors, Frames, Sealer, StoredObject, Uploaders, upload,
};
use crate::repository::{ManifestObject, ObjectRole};

/// The pipe from `pg_dump` holds this much, so that it can go on while we look the other
/// way. More needs privileges on Linux.
const PIPE_BYTES: usize = 1 << 20;

/// A dump that was stored.
pub(super) struct Streamed {
    pub(super) archive: Archive,
    pub(super) objects: Vec<ManifestObject>,
    pub(super) bytes_in: u64,
}

pub(super) async fn run(run: &Run<'_>, source: &Source, snapshot: &str) -> Result<Streamed> {
    let stall = run.inner.settings.stall_timeout;
    let expected = source.estimate().await;
    let program = program(run, source, snapshot)?;
    let mut child = program
        .spawn()
        .map_err(|err| client::not_run("dump", "pg_dump", err))?;
    let stdout = child
        .take_stdout()
        .and_then(|stdout| stdout.into_owned_fd().ok())
        .ok_or_else(|| Error::new(ErrorKind::Internal, "dump", "pg_dump has no output"))?;
    // A smaller pipe is slower, nothing else.
    let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE_BYTES);
    let (uploader, uploads) = upload(Arc::clone(&run.inner.repository.store), stall);
    let (reading, sealing) = start(run, stdout, Uploaders::new([uploader]))?;
    let work = async { tokio::join!(reading, sealing, child.wait(), uploads) };
    let (archive, objects, exit, ()) = tokio::select! {
        done = work => done,
        () = run.events.watch(Phase::Dump, expected, stall) => return Err(Error::new(
            ErrorKind::Timeout,
            "dump",
            format!("no byte moved for {} seconds", stall.as_secs()),
        )),
    };
    // The cause before its effects: a store that fails makes pg_dump die of a closed pipe,
    // and a pg_dump that dies leaves an archive that ends early.
    let objects = joined(objects)?;
    let exit = exit.map_err(|err| client::not_run("dump", "pg_dump", err))?;
    if !exit.success() {
        let kind = ErrorKind::ClientFailed;
        return Err(client::failure(kind, "dump", "pg_dump", &exit));
    }
    let (archive, bytes_in) = joined(archive)?;
    let dump = |stored: StoredObject| {
        let StoredObject {
            key,
            size_bytes,
            blake3,
        } = stored;
        ManifestObject::new(ObjectRole::Dump, key, size_bytes, blake3)
    };
    Ok(Streamed {
        archive,
        objects: objects.into_iter().map(dump).collect(),
        bytes_in,
    })
}

type Reading = JoinHandle<Result<(Archive, u64)>>;
type Sealing = JoinHandle<Result<Vec<StoredObject>>>;

/// Starts the threads between `pg_dump` and the store.
fn start(run: &Run<'_>, stdout: OwnedFd, uploaders: Uploaders) -> Result<(Reading, Sealing)> {
    let settings = &run.inner.settings;
    let compression = CompressorSettings {
        level: settings.level,
        workers: settings.workers,
        depth: settings.queue_depth,
    };
    let (compressors, frames) = Compressors::start(compression).map_err(|source| {
        Error::new(ErrorKind::Internal, "dump", "compression cannot start").with_source(source)
    })?;
    let identity = run.object_identity().cloned();
    let (layout, id) = (run.inner.repository.layout.clone(), run.id.clone());
    let encrypted = identity.is_some();
    let name = move |number| layout.object(&id, ObjectRole::Dump, number, encrypted);
    let sealer = Sealer::new(uploaders, identity, settings.max_object_bytes, name);
    let (counters, frame_bytes) = (Arc::clone(&run.events.counters), settings.frame_bytes);
    let reading =
        tokio::task::spawn_blocking(move || read(stdout, compressors, frame_bytes, &counters));
    let counters = Arc::clone(&run.events.counters);
    let sealing = tokio::task::spawn_blocking(move || seal(frames, sealer, &counters));
    Ok((reading, sealing))
}

fn program(run: &Run<'_>, source: &Source, snapshot: &str) -> Result<Program> {
    let settings = &run.inner.settings;
    Ok(run
        .clients
        .program("pg_dump", &source.connect_info)?
        .stdout(Io::Piped)
        .arg("--format=custom")
        .arg("--compress=0")
        .arg("--no-password")
        .arg(format!("--snapshot={snapshot}"))
        .arg(format!(
            "--lock-wait-timeout={}",
            settings.lock_wait_timeout.as_millis()
        ))
        .args(settings.selection.arguments()))
}

/// Reads the dump in blocks, follows it, and hands it to the compressors.
fn read(
    stdout: OwnedFd,
    mut compressors: Compressors<()>,
    frame_bytes: usize,
    counters: &Counters,
) -> Result<(Archive, u64)> {
    let mut stdout = File::from(stdout);
    let mut walker = Walker::new();
    let mut bytes_in = 0;
    let broken = |source: crate::archive::ArchiveError| {
        Error::new(
            ErrorKind::Archive,
            "dump",
            "what pg_dump wrote is not a complete archive",
        )
        .with_source(source)
    };
    loop {
        let mut bytes = Vec::with_capacity(frame_bytes);
        stdout
            .by_ref()
            .take(frame_bytes as u64)
            .read_to_end(&mut bytes)
            .map_err(|source| {
                Error::new(
                    ErrorKind::ClientFailed,
                    "dump",
                    "the output of pg_dump cannot be read",
                )
                .with_source(source)
            })?;
        if bytes.is_empty() {
            break;
        }
        walker.feed(&bytes).map_err(broken)?;
        bytes_in += bytes.len() as u64;
        counters.add_in(bytes.len() as u64);
        if !compressors.send(Block { bytes, tag: () }) {
            return Err(Error::new(
                ErrorKind::Internal,
                "dump",
                "compression ended early",
            ));
        }
    }
    drop(compressors);
    Ok((walker.finish().map_err(broken)?, bytes_in))
}

/// Takes frames in order, and stores them.
fn seal(
    mut frames: Frames<()>,
    mut sealer: Sealer,
    counters: &Counters,
) -> Result<Vec<StoredObject>> {
    while let Some(frame) = frames.recv() {
        let frame = frame.map_err(|source| {
            Error::new(ErrorKind::Internal, "dump", "compression failed").with_source(source)
        })?;
        sealer.write_frame(&frame.bytes)?;
        counters.add_stored(frame.bytes.len() as u64);
    }
    sealer.finish()
}

fn joined<T>(result: Result<Result<T>, JoinError>) -> Result<T> {
    result.unwrap_or_else(|source| {
        Err(Error::new(ErrorKind::Internal, "dump", "a thread ended early").with_source(source))
    })
}
