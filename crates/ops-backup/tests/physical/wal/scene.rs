//! A server that writes WAL, and what archives it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::{
    Archiver, ArchiverOptions, ArchiverState, FetchOptions, Fetched, WalArchive, WalFile,
};
use ops_backup::{Backup, ErrorKind, Lsn, Result};
use ops_core::ObjectStore;
use ops_testkit::pg::PgBuilder;
use ops_testkit::{Pg, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::shared::Bench;
use crate::support::run;

/// How long anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A server that keeps its own segments, to compare with.
pub(crate) fn keeping() -> PgBuilder {
    Pg::builder()
        .setting("wal_keep_size", "4GB")
        .setting("max_wal_size", "8GB")
        .setting("checkpoint_timeout", "1h")
        .setting("wal_level", "replica")
}

/// Segments of 1 MB: there are many of them soon.
pub(crate) fn small() -> PgBuilder {
    keeping().with(|server| server.wal_segment_size_mb(1))
}

/// Options with which tests need not wait long.
pub(crate) fn quick() -> ArchiverOptions {
    ArchiverOptions::new()
        .with_part_interval(Duration::from_millis(200))
        .with_max_backoff(Duration::from_millis(500))
        .with_guard_interval(Duration::from_millis(200))
        .with_lease_lifetime(Duration::from_secs(1))
}

/// An archiver that runs.
pub(crate) struct Running {
    pub(crate) archiver: Archiver,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl Running {
    pub(crate) fn start(backup: &Backup, options: ArchiverOptions) -> Self {
        let archiver = backup.archiver(options).unwrap();
        let stop = CancellationToken::new();
        let (running, stopped) = (archiver.clone(), stop.clone());
        let task = tokio::spawn(async move { running.run(stopped).await });
        Self {
            archiver,
            stop,
            task,
        }
    }

    /// Stops it in good order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Stops it; gives what had ended a part of it before.
    pub(crate) async fn stop_with_error(self) -> ops_backup::Error {
        self.stop.cancel();
        self.task.await.unwrap().unwrap_err()
    }

    /// Stops it as if the process had been killed.
    pub(crate) async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Waits until it streams.
    pub(crate) async fn streaming(&self) {
        wait_until("the stream", SOON, async || {
            assert!(
                !self.task.is_finished(),
                "it has ended: {:?}",
                self.archiver.status()
            );
            self.archiver.status().state == ArchiverState::Streaming
        })
        .await;
    }

    /// Waits for the error that ends it.
    pub(crate) async fn failure(self) -> ops_backup::Error {
        tokio::time::timeout(SOON, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap_err()
    }

    /// Waits until WAL is durable up to a position.
    pub(crate) async fn durable(&self, end: Lsn) {
        let what = format!(
            "WAL up to {end} to be durable, {:?}",
            self.archiver.status()
        );
        wait_until(&what, SOON, async || {
            assert!(!self.task.is_finished(), "it has ended");
            self.archiver.status().durable.is_some_and(|it| it >= end)
        })
        .await;
    }
}

/// Where the server's WAL ends now, flushed.
pub(crate) async fn flushed(pg: &Pg) -> Lsn {
    let client = pg.client("postgres").await;
    let row = client
        .query_one("SELECT pg_current_wal_flush_lsn()::text", &[])
        .await
        .unwrap();
    row.get::<_, String>(0).parse().unwrap()
}

/// Writes about so many megabytes of WAL, in many transactions.
pub(crate) async fn write(pg: &Pg, megabytes: u32) {
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE TABLE IF NOT EXISTS filler (i bigserial, x text)")
        .await
        .unwrap();
    for _ in 0..megabytes * 4 {
        client
            .batch_execute(
                "INSERT INTO filler (x) SELECT md5(random()::text) || repeat(md5(i::text), 6) \
                 FROM generate_series(1, 800) i",
            )
            .await
            .unwrap();
    }
}

pub(crate) async fn switch(pg: &Pg) {
    let client = pg.client("postgres").await;
    client
        .batch_execute("SELECT pg_switch_wal()")
        .await
        .unwrap();
}

/// Opens the archive of a bench with its key.
pub(crate) async fn open(bench: &Bench, store: Arc<dyn ObjectStore>) -> WalArchive {
    let key = ops_backup::Unlock::identity(bench.keys.identity.as_str());
    WalArchive::open(store, "", None, vec![key])
        .await
        .unwrap()
        .unwrap()
}

/// The segments of a server that are complete, with where they lie.
pub(crate) fn own_segments(pg: &Pg, end: Lsn, archive: &WalArchive) -> BTreeMap<String, PathBuf> {
    let size = archive.segment_size();
    fs::read_dir(pg.data_dir().join("pg_wal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match WalFile::parse(&name, size) {
                Ok(WalFile::Segment(segment)) if segment.end(size) <= end => Some((name, path)),
                _ => None,
            }
        })
        .collect()
}

/// Gets a file out of the archive.
pub(crate) async fn fetch(archive: &WalArchive, name: &str, to: &Path) -> Result<Fetched> {
    let file = WalFile::parse(name, archive.segment_size()).unwrap();
    archive.fetch(&file, to, FetchOptions::default()).await
}

/// Sees to it that everything from the archive's first segment up to a position is archived,
/// that each segment is the server's own, byte for byte, and that `pg_waldump` reads all of
/// it in one go. Gives how many segments there were.
pub(crate) async fn assert_complete(
    pg: &Pg,
    archive: &WalArchive,
    end: Lsn,
    folder: &Path,
) -> usize {
    let coverage = archive.coverage(None).await.unwrap();
    assert_eq!(coverage.runs.len(), 1, "{:?}", coverage.runs);
    let run_ = &coverage.runs[0];
    assert!(run_.end >= end, "{} is not {end}", run_.end);
    let size = archive.segment_size();
    let folder = folder.join("fetched");
    fs::create_dir_all(&folder).unwrap();
    let mut count = 0;
    for (name, path) in own_segments(pg, run_.end, archive) {
        let file = WalFile::parse(&name, size).unwrap();
        let WalFile::Segment(segment) = file else {
            unreachable!()
        };
        if segment.start(size) < run_.start {
            continue;
        }
        let to = folder.join(&name);
        let got = fetch(archive, &name, &to).await.unwrap();
        assert!(matches!(got, Fetched::Found { .. }), "{name}: {got:?}");
        let same = fs::read(&to).unwrap() == fs::read(&path).unwrap();
        assert!(same, "{name} is not the server's own");
        count += 1;
    }
    if count > 0 && pg.binaries().has("pg_waldump") {
        dump(pg, &folder);
    }
    count
}

/// A program that runs to its end at once.
#[expect(
    clippy::disallowed_methods,
    reason = "it needs no supervision: the test waits for its end"
)]
pub(crate) fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(path)
}

/// Reads all segments of a folder by `pg_waldump`, from the first to the last record; what
/// follows on the last segment is missing, which it says.
pub(crate) fn dump(pg: &Pg, folder: &Path) -> String {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut text = String::new();
    for name in names {
        text.push_str(&run(program(pg.bin("pg_waldump"))
            .arg("--path")
            .arg(folder)
            .arg(&name)));
    }
    text
}

/// The kind of an error, for one that must be there.
pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}
