//! Restoring clusters: from backups alone.

mod left;
mod pins;
mod places;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ops_backup::{Backup, ClusterRestoreOptions, ErrorKind, Recovery, RestoreTarget};
use ops_pg::server::{Shutdown, ThrowawayServer};
use ops_testkit::pg::PgBuilder;
use ops_testkit::{Pg, fixture};

use crate::judges::{self, dump};
use crate::majors::on_each_major;
use crate::shared::Bench;
use crate::support::{backed_up, execute, full};

/// A server whose pages have checksums.
pub(crate) fn source() -> PgBuilder {
    Pg::builder().with(|server| server.data_checksums(true))
}

pub(crate) const TABLES: &str = "
CREATE TABLE big AS SELECT i, md5(i::text) || repeat('x', 200) AS x FROM generate_series(1, 20000) i;
CREATE INDEX ON big (x);
CREATE TABLE ledger (i int PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE empty (i int);
CREATE UNLOGGED TABLE scratch AS SELECT i FROM generate_series(1, 1000) i;
CREATE SEQUENCE numbers;
INSERT INTO ledger (i) SELECT generate_series(1, 10);
";

/// A folder that the server's user can reach, and that is gone when this is dropped.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        // Where the servers are: a restore ends with `syncfs`, which on a file system that
        // others write to takes as long as they please.
        fs::create_dir_all(fixture::folder()).unwrap();
        let folder = tempfile::tempdir_in(fixture::folder()).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn clear(&self, name: &str) {
        fs::remove_dir_all(self.join(name)).unwrap();
    }
}

pub(crate) fn options() -> ClusterRestoreOptions {
    ClusterRestoreOptions::new().with_server_folder(fixture::folder())
}

/// Restores the files alone, for a server that somebody else starts.
pub(crate) fn files_only() -> ClusterRestoreOptions {
    let restore_command = "false".to_owned();
    options().with_recovery(Recovery::Prepare { restore_command })
}

/// Restores the files alone, and lets the server's own tool judge them.
pub(crate) async fn files_verify(pg: &Pg, backup: &Backup, target: RestoreTarget, folder: &Path) {
    let job = backup.restore_cluster(target, folder, files_only());
    job.finish().await.unwrap();
    judges::verify(pg, folder).await;
}

/// Restores into a new folder, starts a server over it, and looks at every table and index.
pub(crate) async fn restored(
    pg: &Pg,
    backup: &Backup,
    target: RestoreTarget,
    folder: &Path,
    options: ClusterRestoreOptions,
) -> ThrowawayServer {
    let report = backup
        .restore_cluster(target, folder, options)
        .finish()
        .await;
    let report = report.unwrap_or_else(|err| panic!("{err:?}"));
    assert!(report.reached.is_some(), "{report:?}");
    let copy = booted(pg, folder).await;
    judges::amcheck(&copy).await;
    copy
}

/// A server over a restored folder.
pub(crate) async fn booted(pg: &Pg, folder: &Path) -> ThrowawayServer {
    let binaries = pg.binaries().clone();
    let mut server = ThrowawayServer::builder(binaries, fixture::folder())
        .data_dir(folder)
        .create_empty()
        .await
        .unwrap();
    server.start().await.unwrap();
    server
}

pub(crate) async fn client(server: &ThrowawayServer) -> tokio_postgres::Client {
    let options = ops_pg::connect::ConnectOptions::default();
    ops_pg::connect::connect(&server.connect_info("postgres"), &options)
        .await
        .unwrap()
}

/// The rows of the ledger.
pub(crate) async fn ledger(client: &tokio_postgres::Client) -> Vec<i32> {
    let rows = client
        .query("SELECT i FROM ledger ORDER BY i", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

on_each_major!(a_backup_alone_is_restored_and_equals_its_source);

async fn a_backup_alone_is_restored_and_equals_its_source(major: u32) {
    let pg = source().major(major).start().await;
    let pg = pg.expect("it is installed");
    if !judges::are_there(pg.binaries()).await {
        return;
    }
    let source = pg.client("postgres").await;
    source.batch_execute(TABLES).await.unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let report = full(&backup).await;
    let expected = dump(&pg).await;
    source
        .batch_execute("INSERT INTO ledger (i) VALUES (11)")
        .await
        .unwrap();

    let place = Place::new();
    let target = RestoreTarget::Immediate {
        backup: report.id.clone(),
    };
    files_verify(&pg, &backup, target.clone(), &place.join("files")).await;
    let folder = place.join("data");
    let copy = restored(&pg, &backup, target, &folder, options()).await;
    let found = client(&copy).await;
    assert_eq!(ledger(&found).await, (1..=10).collect::<Vec<_>>());
    assert_eq!(dump(&copy).await, expected);
    let scratch = found
        .query_one("SELECT count(*) FROM scratch", &[])
        .await
        .unwrap();
    assert_eq!(
        scratch.get::<_, i64>(0),
        0,
        "unlogged tables come back empty"
    );
    assert!(!folder.join("pg_wal/ops-spool").exists());
    drop((found, copy));

    // Without an archive the end of the backup is also the latest that there is.
    let folder = place.join("latest");
    let copy = restored(&pg, &backup, RestoreTarget::Latest, &folder, options()).await;
    assert_eq!(dump(&copy).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recovered_is_refused_before_anything_is_written() {
    let Some(pg) = source().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let place = Place::new();
    let folder = place.join("data");
    let refused = async |target: RestoreTarget| {
        let outcome = backup
            .restore_cluster(target, &folder, options())
            .finish()
            .await;
        let err = outcome.unwrap_err();
        assert!(!folder.exists(), "{err}");
        err
    };
    assert_eq!(
        refused(RestoreTarget::Latest).await.kind(),
        ErrorKind::NotFound
    );
    let report = full(&backup).await;
    let end = report.physical.end_lsn;
    let now = report.completed_at;
    let later = now.saturating_add(std::time::Duration::from_secs(3600));
    let before = now.saturating_sub(std::time::Duration::from_secs(3600));
    for target in [
        RestoreTarget::Time(later),
        RestoreTarget::Time(before),
        RestoreTarget::Lsn(ops_backup::Lsn::new(end.as_u64() - 1)),
        RestoreTarget::Lsn(end.saturating_add(1 << 30)),
        RestoreTarget::Name("never made".to_owned()),
    ] {
        let err = refused(target.clone()).await;
        assert_eq!(err.kind(), ErrorKind::NotRecoverable, "{target}: {err}");
        assert!(
            err.to_string().contains(&report.id.to_string()),
            "it says what can be had: {err}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_in_use_is_left_alone() {
    let Some(pg) = source().start().await else {
        return;
    };
    let (_bench, backup) = backed_up(&pg).await;
    for delta in [false, true] {
        let options = options().with_delta(delta);
        let job = backup.restore_cluster(RestoreTarget::Latest, pg.data_dir(), options);
        let err = job.finish().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::TargetNotEmpty);
        assert!(err.to_string().contains("running server"), "{err}");
    }
    pg.client("postgres")
        .await
        .batch_execute("SELECT 1")
        .await
        .unwrap();
    let place = Place::new();
    fs::create_dir(place.join("data")).unwrap();
    fs::write(place.join("data/mine"), "precious").unwrap();
    let job = backup.restore_cluster(RestoreTarget::Latest, place.join("data"), options());
    assert_eq!(
        job.finish().await.unwrap_err().kind(),
        ErrorKind::TargetNotEmpty
    );
    assert_eq!(fs::read(place.join("data/mine")).unwrap(), b"precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_restore_keeps_what_is_right_and_removes_what_does_not_belong() {
    let Some(pg) = source().start().await else {
        return;
    };
    let source = pg.client("postgres").await;
    source.batch_execute(TABLES).await.unwrap();
    let (_bench, backup) = backed_up(&pg).await;
    let expected = dump(&pg).await;
    let place = Place::new();
    let folder = place.join("data");
    let mut copy = restored(&pg, &backup, RestoreTarget::Latest, &folder, options()).await;
    let changed = client(&copy).await;
    changed
        .batch_execute("CREATE TABLE extra AS SELECT 1; DELETE FROM ledger; TRUNCATE big")
        .await
        .unwrap();
    drop(changed);
    copy.stop(Shutdown::Fast).await.unwrap();
    drop(copy);
    fs::write(folder.join("base/stray"), "stray").unwrap();

    let job = backup.restore_cluster(RestoreTarget::Latest, &folder, options().with_delta(true));
    let report = job.finish().await.unwrap();
    assert!(report.files_kept > report.files_written, "{report:?}");
    assert!(report.removed > 0);
    assert!(!folder.join("base/stray").exists());
    let copy = booted(&pg, &folder).await;
    assert_eq!(dump(&copy).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn tablespaces_go_where_they_are_told_to() {
    let Some(pg) = source().start().await else {
        return;
    };
    let place = Place::new();
    let (there, here) = (place.join("there"), place.join("here"));
    crate::support::folder_for(&pg, &there);
    let source = pg.client("postgres").await;
    source
        .batch_execute(&format!(
            "CREATE TABLESPACE fast LOCATION '{}'",
            there.display()
        ))
        .await
        .unwrap();
    source
        .batch_execute("CREATE TABLE moved TABLESPACE fast AS SELECT generate_series(1, 5000) i")
        .await
        .unwrap();
    source.batch_execute(TABLES).await.unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let report = full(&backup).await;
    let expected = dump(&pg).await;
    let oid = report.physical.tablespaces[0].oid;

    // Where it was is not empty: the source is there.
    let folder = place.join("data");
    let job = backup.restore_cluster(RestoreTarget::Latest, &folder, options());
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TargetNotEmpty, "{err}");
    let options = options().with_tablespace(oid, &here);
    let copy = restored(&pg, &backup, RestoreTarget::Latest, &folder, options).await;
    let link = fs::read_link(folder.join(format!("pg_tblspc/{oid}"))).unwrap();
    assert_eq!(link, here);
    assert_eq!(dump(&copy).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_later_timeline_stands_by_itself() {
    let Some(pg) = source().start().await else {
        return;
    };
    execute(&pg, TABLES).await;
    let (bench, place) = (Bench::new(), Place::new());
    let backup = bench.backup(pg.connect_info("postgres"));
    full(&backup).await;
    let folder = place.join("second");
    let second = restored(&pg, &backup, RestoreTarget::Latest, &folder, options()).await;
    let bench = Bench::new();
    let backup = bench.backup(second.connect_info("postgres"));
    let report = full(&backup).await;
    assert_eq!(report.physical.timeline.get(), 2);
    let expected = dump(&second).await;
    let folder = place.join("third");
    let job = backup.restore_cluster(RestoreTarget::Latest, &folder, options());
    let report = job.finish().await.unwrap();
    assert_eq!(report.reached.unwrap().timeline.get(), 3);
    let third = booted(&pg, &folder).await;
    assert_eq!(dump(&third).await, expected);
}
