//! Recovery to a point in time, from archived WAL.

use std::time::Duration;

use ops_backup::{
    Assertion, Backup, BackupId, BaseBackupRequest, CheckOutcome, ClusterDrillOptions, ErrorKind,
    Lsn, RestoreTarget, Timeline,
};
use ops_core::Timestamp;
use ops_pg::server::{Shutdown, ThrowawayServer};
use ops_testkit::{Pg, fixture};
use tokio_postgres::Client;

use crate::judges::{self, dump};
use crate::majors::{self, on_each_major};
use crate::restore::{Place, booted, client, ledger, options, restored, source};
use crate::shared::Bench;
use crate::wal::scene::{Running, flushed, quick, switch, write};

/// A moment of a cluster's life, seen from outside.
struct Moment {
    /// What was in the ledger.
    rows: Vec<i32>,
    /// A time, by the server's clock, between the commits before and after.
    at: Timestamp,
    /// Where the WAL was.
    lsn: Lsn,
    /// The transaction that wrote the last row.
    xid: u32,
    /// A restore point that was made then.
    name: String,
}

/// A cluster whose WAL is archived while it works.
struct Scene {
    pg: Pg,
    bench: Bench,
    backup: Backup,
    running: Option<Running>,
    place: Place,
    last: i32,
}

impl Scene {
    async fn start(pg: Pg) -> Self {
        let bench = Bench::new();
        let backup = bench.backup(pg.connect_info("postgres"));
        let client = pg.client("postgres").await;
        client
            .batch_execute("CREATE TABLE ledger (i int PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())")
            .await
            .unwrap();
        let running = Some(Running::start(&backup, quick()));
        Self {
            pg,
            bench,
            backup,
            running,
            place: Place::new(),
            last: 0,
        }
    }

    async fn base(&self) -> BackupId {
        let report = self
            .backup
            .base_backup(BaseBackupRequest::full())
            .finish()
            .await;
        report.unwrap().id
    }

    /// Writes a row, and remembers what there is then.
    async fn moment(&mut self) -> Moment {
        let client = self.pg.client("postgres").await;
        self.last += 1;
        let name = format!("point {}", self.last);
        let row = client
            .query_one(
                "INSERT INTO ledger (i) VALUES ($1) RETURNING xmin::text",
                &[&self.last],
            )
            .await
            .unwrap();
        let xid: String = row.get(0);
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, \
                   pg_create_restore_point($1)::text";
        // Between two commits lies more than the millisecond that a time here has.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let row = client.query_one(sql, &[&name]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        Moment {
            rows: (1..=self.last).collect(),
            at: Timestamp::from_unix_millis(row.get(0)).unwrap(),
            lsn: row.get::<_, String>(1).parse().unwrap(),
            xid: xid.parse().unwrap(),
            name,
        }
    }

    /// Waits until everything is archived.
    async fn archived(&self) {
        let end = flushed(&self.pg).await;
        if let Some(running) = &self.running {
            running.durable(end).await;
        }
    }

    async fn stop_archiving(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    async fn restore(&self, name: &str, target: RestoreTarget) -> ThrowawayServer {
        let folder = self.place.join(name);
        restored(&self.pg, &self.backup, target, &folder, options()).await
    }

    /// The error of a restore that must fail before it writes anything.
    async fn refused(&self, target: RestoreTarget) -> ops_backup::Error {
        let folder = self.place.join("refused");
        let job = self
            .backup
            .restore_cluster(target.clone(), &folder, options());
        let err = match job.finish().await {
            Ok(report) => panic!("{target}: {report:?}"),
            Err(err) => err,
        };
        assert!(!folder.exists(), "{target}: {err}");
        err
    }
}

async fn rows(server: &ThrowawayServer) -> Vec<i32> {
    let client: Client = client(server).await;
    ledger(&client).await
}

on_each_major!(every_kind_of_target_has_each_commit_before_it_and_none_after);

async fn every_kind_of_target_has_each_commit_before_it_and_none_after(major: u32) {
    let pg = source().major(major).start().await;
    let pg = pg.expect("it is installed");
    if !judges::are_there(pg.binaries()).await {
        return;
    }
    let mut scene = Scene::start(pg).await;
    let base = scene.base().await;
    let first = scene.moment().await;
    write(&scene.pg, 20).await;
    switch(&scene.pg).await;
    let second = scene.moment().await;
    write(&scene.pg, 3).await;
    let newer = scene.base().await;
    let third = scene.moment().await;
    scene.moment().await;
    scene.archived().await;
    let expected = dump(&scene.pg).await;
    scene.stop_archiving().await;

    // Everything that was acknowledged as durable, of an open segment, too.
    let copy = scene.restore("latest", RestoreTarget::Latest).await;
    assert_eq!(dump(&copy).await, expected, "latest");
    drop(copy);
    let backup = |backup| RestoreTarget::Immediate { backup };
    let name = |moment: &Moment| RestoreTarget::Name(moment.name.clone());
    let mut targets = vec![
        ("time 2", RestoreTarget::Time(second.at), &second.rows),
        ("name 2", name(&second), &second.rows),
        ("lsn 1", RestoreTarget::Lsn(first.lsn), &first.rows),
        ("xid", RestoreTarget::Xid(third.xid), &third.rows),
    ];
    let none = Vec::new();
    if majors::is_default(major).await {
        targets.extend([
            ("immediate", backup(base), &none),
            ("newer", backup(newer), &second.rows),
            ("time 1", RestoreTarget::Time(first.at), &first.rows),
            ("name 1", name(&first), &first.rows),
            ("time 3", RestoreTarget::Time(third.at), &third.rows),
        ]);
    }
    for (name, target, expected) in targets {
        let copy = scene.restore(name, target).await;
        assert_eq!(rows(&copy).await, *expected, "{name}");
        drop(copy);
        scene.place.clear(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_reached_is_refused_with_what_can() {
    let Some(pg) = source().start().await else {
        return;
    };
    let mut scene = Scene::start(pg).await;
    let before = scene.moment().await;
    scene.archived().await;
    let base = scene.base().await;
    let after = scene.moment().await;
    scene.archived().await;
    scene.stop_archiving().await;
    let later = |seconds| after.at.saturating_add(Duration::from_secs(seconds));
    let targets = [
        ("before the backup's end", RestoreTarget::Time(before.at)),
        ("in the future", RestoreTarget::Time(later(3600))),
        ("before the backup's end", RestoreTarget::Lsn(before.lsn)),
        (
            "beyond the archive",
            RestoreTarget::Lsn(after.lsn.saturating_add(1 << 30)),
        ),
        (
            "before the backup's end",
            RestoreTarget::Name(before.name.clone()),
        ),
    ];
    for (what, target) in targets {
        let err = scene.refused(target).await;
        assert_eq!(err.kind(), ErrorKind::NotRecoverable, "{what}: {err}");
        assert!(err.to_string().contains(base.as_str()), "{what}: {err}");
    }
    // A transaction that never was is not known before: the server says so, and is no primary.
    let folder = scene.place.join("short");
    let job = scene
        .backup
        .restore_cluster(RestoreTarget::Xid(4_000_000), &folder, options());
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::RecoveryShort, "{err:?}");
    assert!(
        folder.join("recovery.signal").exists(),
        "it was not promoted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_missing_is_no_end_of_the_archive() {
    let Some(pg) = source().start().await else {
        return;
    };
    let mut scene = Scene::start(pg).await;
    scene.base().await;
    let first = scene.moment().await;
    write(&scene.pg, 1).await;
    switch(&scene.pg).await;
    write(&scene.pg, 40).await;
    let second = scene.moment().await;
    write(&scene.pg, 1).await;
    scene.archived().await;
    scene.stop_archiving().await;
    // One of the segments in between is lost.
    let prefix = "wal/";
    let keys = crate::shared::keys(&*scene.bench.store).await;
    let mut segments: Vec<_> = keys
        .iter()
        .filter(|key| key.starts_with(prefix) && key.contains("/segments/"))
        .collect();
    segments.sort();
    assert!(segments.len() >= 3, "{segments:?}");
    let lost = segments[segments.len() - 1];
    let path = scene.bench.folder.path().join("store").join(lost);
    let content = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    for target in [
        RestoreTarget::Time(second.at),
        RestoreTarget::Lsn(second.lsn),
        RestoreTarget::Name(second.name.clone()),
    ] {
        let err = scene.refused(target).await;
        assert_eq!(err.kind(), ErrorKind::NotRecoverable, "{err}");
    }
    let copy = scene.restore("before", RestoreTarget::Time(first.at)).await;
    assert_eq!(rows(&copy).await, first.rows);
    drop(copy);
    // One that is there and damaged ends recovery, too, and not as if it were the last.
    let mut damaged = content.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    for (name, target) in [
        ("damaged", RestoreTarget::Time(second.at)),
        ("damaged latest", RestoreTarget::Latest),
    ] {
        let folder = scene.place.join(name);
        let job = scene.backup.restore_cluster(target, &folder, options());
        let err = job.finish().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Integrity, "{name}: {err:?}");
    }
    std::fs::write(&path, content).unwrap();
    let copy = scene.restore("whole", RestoreTarget::Time(second.at)).await;
    assert_eq!(rows(&copy).await, second.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_follows_a_promotion_and_leaves_what_was_abandoned() {
    let Some(pg) = source().start().await else {
        return;
    };
    let mut scene = Scene::start(pg).await;
    let base = scene.base().await;
    let shared = scene.moment().await;
    write(&scene.pg, 20).await;
    let abandoned = scene.moment().await;
    let end = "INSERT INTO ledger (i) VALUES (-1)";
    scene
        .pg
        .client("postgres")
        .await
        .batch_execute(end)
        .await
        .unwrap();
    scene.archived().await;
    scene.stop_archiving().await;
    // The cluster goes back to an earlier moment, and on from there.
    scene.pg.stop(Shutdown::Fast).await;
    let folder = scene.place.join("second life");
    let target = RestoreTarget::Time(shared.at);
    let job = scene.backup.restore_cluster(target, &folder, options());
    let report = job.finish().await.unwrap();
    let reached = report.reached.unwrap();
    assert_eq!(reached.timeline, Timeline::new(2).unwrap());
    let copy = booted(&scene.pg, &folder).await;
    let old_backup = scene.backup.clone();
    scene.backup = scene.bench.backup(copy.connect_info("postgres"));
    let running = Running::start(&scene.backup, quick());
    let after = client(&copy).await;
    after
        .batch_execute("INSERT INTO ledger (i) VALUES (100)")
        .await
        .unwrap();
    after.batch_execute("SELECT pg_switch_wal()").await.unwrap();
    after
        .batch_execute("INSERT INTO ledger (i) VALUES (101)")
        .await
        .unwrap();
    let sql = "SELECT pg_current_wal_flush_lsn()::text, (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let row = after.query_one(sql, &[]).await.unwrap();
    let end: Lsn = row.get::<_, String>(0).parse().unwrap();
    running.durable(end).await;
    running.stop().await;
    drop((after, copy));

    let both = [shared.rows.clone(), vec![100, 101]].concat();
    let latest = scene.restore("newest line", RestoreTarget::Latest).await;
    assert_eq!(rows(&latest).await, both);
    drop(latest);
    // The abandoned line is there for who asks for it by name.
    let first = options().with_timeline(Timeline::FIRST);
    let folder = scene.place.join("abandoned");
    let target = RestoreTarget::Time(abandoned.at);
    let copy = restored(&scene.pg, &old_backup, target, &folder, first.clone()).await;
    assert_eq!(rows(&copy).await, abandoned.rows);
    drop(copy);
    let folder = scene.place.join("abandoned latest");
    let copy = restored(
        &scene.pg,
        &old_backup,
        RestoreTarget::Latest,
        &folder,
        first,
    )
    .await;
    assert_eq!(
        rows(&copy).await,
        [vec![-1], abandoned.rows.clone()].concat()
    );
    drop(copy);
    // A restore point of the abandoned line is not on the newest.
    let err = scene
        .refused(RestoreTarget::Name(abandoned.name.clone()))
        .await;
    assert_eq!(err.kind(), ErrorKind::NotRecoverable, "{err}");
    assert!(err.to_string().contains(base.as_str()), "{err}");
    let _ = abandoned.lsn;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_goes_as_far_as_the_archive() {
    let Some(pg) = source().start().await else {
        return;
    };
    let mut scene = Scene::start(pg).await;
    scene.base().await;
    write(&scene.pg, 20).await;
    let last = scene.moment().await;
    scene.archived().await;
    let count = format!("SELECT count(*) = {} FROM ledger", last.rows.len());
    let options = ClusterDrillOptions::new()
        .with_folder(fixture::folder())
        .with_assertion("postgres", Assertion::new("all rows", count));
    let report = scene
        .backup
        .drill_cluster(RestoreTarget::Latest, options)
        .finish()
        .await
        .unwrap();
    scene.stop_archiving().await;
    assert!(report.passed, "{report:#?}");
    assert!(
        report
            .checks
            .iter()
            .all(|check| check.outcome == CheckOutcome::Passed)
    );
    let reached = report.reached.unwrap();
    assert!(reached.segments >= 1 && reached.last_commit.is_some());
    assert!(reached.lsn >= last.lsn, "{reached:?}");
}
