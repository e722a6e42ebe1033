//! The archiver on one server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ops_backup::wal::{ArchiverState, CommitMode};
use ops_backup::{Backup, Encryption, ErrorKind, Lsn, Timeline};
use ops_testkit::pg::PgBuilder;
use ops_testkit::{Pg, wait_until};

use super::scene::{self, Running, SOON, assert_complete, keeping, quick, small};
use crate::shared::{self, Bench};

async fn archived(builder: PgBuilder, megabytes: u32) -> Option<usize> {
    let pg = builder.start().await?;
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    scene::write(&pg, megabytes).await;
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    let status = running.archiver.status();
    assert!(status.segments > 0 && status.parts > 0, "{status:?}");
    assert_eq!(
        (status.unreadable, status.retried_uploads),
        (0, 0),
        "{status:?}"
    );
    assert!(status.newest_durable_commit.is_some(), "{status:?}");
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    let count = assert_complete(&pg, &archive, end, bench.folder.path()).await;
    let frontier = archive.frontier(Timeline::FIRST).await.unwrap().unwrap();
    assert!(frontier.end >= end);
    assert!(frontier.newest_commit >= status.newest_durable_commit);
    Some(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_segment_is_archived_as_the_server_has_it() {
    if let Some(count) = archived(keeping(), 60).await {
        assert!(count >= 3, "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_installed_major_is_archived() {
    for major in Pg::available_majors().await {
        let count = archived(small().major(major.0), 6).await.unwrap();
        assert!(count >= 4, "PostgreSQL {major}: {count}");
        println!("PostgreSQL {major}: {count} segments, each the server's own");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_commit_is_the_one_that_the_server_reports() {
    let Some(pg) = small()
        .setting("track_commit_timestamp", "on")
        .start()
        .await
    else {
        return;
    };
    let bench = Bench::new();
    let running = Running::start(&bench.backup(pg.connect_info("postgres")), quick());
    running.streaming().await;
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    running.durable(scene::flushed(&pg).await).await;
    let row = client
        .query_one(
            "SELECT pg_xact_commit_timestamp(xmin)::text::timestamptz::text FROM t",
            &[],
        )
        .await
        .unwrap();
    let committed: String = row.get(0);
    let found = running.archiver.status().newest_durable_commit.unwrap();
    let row = client
        .query_one(
            &format!("SELECT '{found}'::timestamptz = '{committed}'::timestamptz"),
            &[],
        )
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0), "{found} is not {committed}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_archiver_goes_on_where_the_archive_ends() {
    let Some(pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    for round in 0..4 {
        let running = Running::start(&backup, quick());
        running.streaming().await;
        scene::write(&pg, 2).await;
        // Some rounds end with a part, others in the middle of an upload.
        if round % 2 == 0 {
            running.durable(scene::flushed(&pg).await).await;
            running.stop().await;
        } else {
            running.abort().await;
        }
        scene::write(&pg, 1).await;
    }
    let running = Running::start(&backup, quick());
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    assert_eq!(running.archiver.status().gaps, []);
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert!(assert_complete(&pg, &archive, end, bench.folder.path()).await >= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_or_crashes_is_followed() {
    let Some(mut pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let running = Running::start(&bench.backup(pg.connect_info("postgres")), quick());
    running.streaming().await;
    for crash in [false, true, false] {
        scene::write(&pg, 2).await;
        if crash {
            pg.kill9().await;
        } else {
            pg.stop(ops_pg::server::Shutdown::Fast).await;
        }
        wait_until("the archiver to notice", SOON, async || {
            running.archiver.status().state != ArchiverState::Streaming
        })
        .await;
        pg.start_again().await;
        running.streaming().await;
    }
    scene::write(&pg, 1).await;
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    let status = running.archiver.status();
    assert!(status.connections >= 4, "{status:?}");
    assert_eq!((status.gaps.len(), status.last_error), (0, None));
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert_complete(&pg, &archive, end, bench.folder.path()).await;
}

/// Commits each by itself, as fast as they come, until it is dropped.
struct Commits(tokio::task::JoinHandle<()>);

impl Commits {
    async fn start(pg: &Pg) -> Self {
        let client = pg.client("postgres").await;
        client
            .batch_execute("CREATE TABLE t (i int)")
            .await
            .unwrap();
        Self(tokio::spawn(async move {
            // The server that shuts down ends it.
            while client
                .batch_execute("INSERT INTO t VALUES (1)")
                .await
                .is_ok()
            {}
        }))
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shuts_down_waits_for_no_interval_and_loses_nothing() {
    let Some(mut pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let options = quick().with_part_interval(Duration::from_secs(3600));
    let running = Running::start(&bench.backup(pg.connect_info("postgres")), options);
    running.streaming().await;
    let commits = Commits::start(&pg).await;
    let first = scene::flushed(&pg).await;
    wait_until("commits", SOON, async || {
        scene::flushed(&pg).await > first.saturating_add(20_000)
    })
    .await;
    let begun = Instant::now();
    pg.stop(ops_pg::server::Shutdown::Fast).await;
    let took = begun.elapsed();
    // Without an archiver it takes a tenth of a second; the machine may be busy.
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(commits);
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    let end = archive
        .frontier(Timeline::FIRST)
        .await
        .unwrap()
        .unwrap()
        .end;
    running.stop().await;
    pg.start_again().await;
    let sql = "SELECT checkpoint_lsn::text FROM pg_control_checkpoint()";
    let row = pg.client("postgres").await.query_one(sql, &[]).await;
    let shutdown: Lsn = row.unwrap().get::<_, String>(0).parse().unwrap();
    assert!(
        end > shutdown,
        "{end} has no checkpoint of the shutdown at {shutdown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_little_patience_keeps_an_archiver_that_rests() {
    let builder = small().setting("wal_sender_timeout", "300ms");
    let Some(pg) = builder.start().await else {
        return;
    };
    let bench = Bench::new();
    let options = quick().with_part_interval(Duration::from_secs(1));
    let running = Running::start(&bench.backup(pg.connect_info("postgres")), options);
    running.streaming().await;
    let commits = Commits::start(&pg).await;
    let parts = running.archiver.status().parts;
    wait_until("parts", SOON, async || {
        running.archiver.status().parts > parts + 3
    })
    .await;
    drop(commits);
    let status = running.archiver.status();
    assert_eq!((status.connections, &status.last_error), (1, &None));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_database_makes_no_lag_and_next_to_no_objects() {
    let Some(pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let running = Running::start(&bench.backup(pg.connect_info("postgres")), quick());
    running.streaming().await;
    scene::write(&pg, 1).await;
    running.durable(scene::flushed(&pg).await).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = running.archiver.status();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = running.archiver.status();
    assert_eq!(
        (status.lag, status.lag_bytes),
        (Duration::ZERO, 0),
        "{status:?}"
    );
    // A checkpoint may write a little; the interval alone would make ten.
    assert!(status.parts - before.parts <= 1, "{before:?} {status:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wal_of_another_cluster_is_refused_by_name() {
    // Servers of one kind are copies of one another, with one system identifier.
    let other = small().with(|server| server.data_checksums(true));
    let (Some(first), Some(second)) = (small().start().await, other.start().await) else {
        return;
    };
    let bench = Bench::new();
    let running = Running::start(&bench.backup(first.connect_info("postgres")), quick());
    running.streaming().await;
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    let before = shared::keys(&*bench.store).await;
    let other = bench.backup(second.connect_info("postgres"));
    let err = Running::start(&other, quick()).failure().await;
    assert_eq!(err.kind(), ErrorKind::WrongSystem, "{err:?}");
    assert!(
        err.to_string().contains(&archive.system_id().to_string()),
        "{err}"
    );
    assert_eq!(shared::keys(&*bench.store).await, before);
    // Where that is wanted, the new cluster begins an archive of its own beside the old one.
    let running = Running::start(&other, quick().with_take_over(true));
    running.streaming().await;
    running.stop().await;
    let now = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert_ne!(now.system_id(), archive.system_id());
    assert!(archive.coverage(None).await.unwrap().histories.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_archiver_waits_and_takes_over_when_the_first_is_gone() {
    let Some(pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let first = Running::start(&backup, quick());
    first.streaming().await;
    let second = Running::start(&backup, quick());
    wait_until("the second to wait", SOON, async || {
        second.archiver.status().state == ArchiverState::WaitingForLease
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        second.archiver.status().state,
        ArchiverState::WaitingForLease
    );
    assert_eq!(first.archiver.status().state, ArchiverState::Streaming);
    first.stop().await;
    scene::write(&pg, 2).await;
    let end = scene::flushed(&pg).await;
    second.durable(end).await;
    second.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert_complete(&pg, &archive, end, bench.folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_commit_returns_only_when_the_store_has_it() {
    let Some(pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let spool = bench.folder.path().join("spool");
    let options = || {
        quick()
            .with_commits(CommitMode::Synchronous)
            .with_spool(spool.clone())
            .with_application_name("archive")
            // Nothing but the commit itself makes it store anything.
            .with_part_interval(Duration::from_secs(600))
    };
    let running = Running::start(&backup, options());
    running.streaming().await;
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE TABLE t (i int)")
        .await
        .unwrap();
    client
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'archive'")
        .await
        .unwrap();
    client
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    wait_until("the server to wait for the archive", SOON, async || {
        let row = client
            .query_one(
                "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'",
                &[],
            )
            .await
            .unwrap();
        row.get::<_, i64>(0) == 1
    })
    .await;
    for i in 0..50 {
        client
            .execute("INSERT INTO t VALUES ($1)", &[&i])
            .await
            .unwrap();
        let row = client
            .query_one("SELECT pg_current_wal_insert_lsn()::text", &[])
            .await
            .unwrap();
        let end: Lsn = row.get::<_, String>(0).parse().unwrap();
        let durable = running.archiver.status().durable.unwrap();
        // Whatever else was written after the commit is of no account.
        assert!(
            end.saturating_distance_from(durable) < 256,
            "{durable} is far from {end}"
        );
    }
    running.stop().await;
    let begun = Instant::now();
    let blocked = client.execute("INSERT INTO t VALUES (-1)", &[]);
    tokio::pin!(blocked);
    let early = tokio::time::timeout(Duration::from_millis(700), &mut blocked).await;
    assert!(early.is_err(), "it returned after {:?}", begun.elapsed());
    let running = Running::start(&backup, options());
    tokio::time::timeout(SOON, blocked).await.unwrap().unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_encryption_the_archive_is_plain_zstd_and_never_mixed() {
    let Some(pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let database = shared::database(pg.connect_info("postgres"));
    let plain = Backup::builder(Arc::clone(&database), Arc::clone(&bench.store))
        .encryption(Encryption::none())
        .build()
        .unwrap();
    let running = Running::start(&plain, quick());
    running.streaming().await;
    scene::write(&pg, 3).await;
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert_complete(&pg, &archive, end, bench.folder.path()).await;
    let err = Running::start(&bench.backup(pg.connect_info("postgres")), quick())
        .failure()
        .await;
    assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_set_up_for_replication_is_refused_at_once() {
    let minimal = Pg::builder()
        .setting("wal_level", "minimal")
        .setting("max_wal_senders", "0");
    let Some(pg) = minimal.start().await else {
        return;
    };
    let bench = Bench::new();
    let err = Running::start(&bench.backup(pg.connect_info("postgres")), quick())
        .failure()
        .await;
    assert_eq!(err.kind(), ErrorKind::SourceSettings, "{err:?}");
    let Some(pg) = small().start().await else {
        return;
    };
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE ROLE weak LOGIN")
        .await
        .unwrap();
    let weak = pg.connect_info("postgres").with_user("weak");
    let err = Running::start(&bench.backup(weak), quick()).failure().await;
    assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err:?}");
}
