//! Promotions.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::{BaseBackupSpan, WalFile};
use ops_backup::wal::{Fetched, plan_windows};
use ops_backup::{Lsn, Timeline};
use ops_core::Timestamp;
use ops_pg::server::Shutdown;
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, Pg, wait_until};

use super::scene::{self, Running, SOON, keeping, quick};
use crate::shared::{self, Bench};
use crate::support::run;

fn second() -> Timeline {
    Timeline::new(2).unwrap()
}

async fn promote(pg: &Pg) {
    let client = pg.client("postgres").await;
    client.batch_execute("SELECT pg_promote()").await.unwrap();
    wait_until("the promotion", SOON, async || {
        let row = client
            .query_one("SELECT pg_is_in_recovery()", &[])
            .await
            .unwrap();
        !row.get::<_, bool>(0)
    })
    .await;
}

/// A standby that streams from a primary: a copy of it.
async fn standby_of(primary: &mut Pg) -> Pg {
    primary.stop(Shutdown::Fast).await;
    let host = primary.socket_dir().display().to_string();
    let user = primary.connect_info("postgres").user.unwrap();
    let conninfo = format!("host={host} port={} user={user}", primary.port());
    let mut standby = keeping()
        .major(primary.binaries().major().0)
        .tcp(true)
        .setting("primary_conninfo", &conninfo)
        .setting("wal_retrieve_retry_interval", "100ms")
        .create_empty()
        .await
        .unwrap();
    let data = standby.data_dir();
    run(scene::program("cp")
        .arg("-a")
        .arg(primary.data_dir().join("."))
        .arg(data));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(data, mode).unwrap();
    fs::write(data.join("standby.signal"), "").unwrap();
    standby.adopt_data_dir().await.unwrap();
    primary.start_again().await;
    standby.start_again().await;
    standby
}

/// Waits until a standby has replayed what its primary has written.
async fn caught_up(standby: &Pg, end: Lsn) {
    let client = standby.client("postgres").await;
    wait_until("the standby to catch up", SOON, async || {
        let row = client
            .query_one("SELECT pg_last_wal_replay_lsn()::text", &[])
            .await
            .unwrap();
        let replayed: Option<String> = row.get(0);
        replayed.is_some_and(|it| it.parse::<Lsn>().unwrap() >= end)
    })
    .await;
}

fn primary(major: u32) -> ops_testkit::PgBuilder {
    keeping()
        .major(major)
        .tcp(true)
        .with(|server| server.wal_segment_size_mb(1))
}

/// Sees to it that each segment of a timeline that the archive has whole is the server's own.
async fn assert_same(pg: &Pg, bench: &Bench, timeline: Timeline) -> usize {
    let archive = scene::open(bench, Arc::clone(&bench.store)).await;
    let end = archive.frontier(timeline).await.unwrap().unwrap().whole_end;
    let mut count = 0;
    for (name, path) in scene::own_segments(pg, end, &archive) {
        let file = WalFile::parse(&name, archive.segment_size()).unwrap();
        let WalFile::Segment(segment) = file else {
            unreachable!()
        };
        if segment.timeline() != timeline {
            continue;
        }
        let to = bench.folder.path().join("to");
        match scene::fetch(&archive, &name, &to).await {
            Ok(Fetched::Found { .. }) => {}
            // The archive began later.
            Err(_) if count == 0 => continue,
            other => panic!("{name}: {other:?}"),
        }
        assert!(fs::read(&to).unwrap() == fs::read(&path).unwrap(), "{name}");
        count += 1;
    }
    count
}

async fn failover(major: u32) {
    let mut old = primary(major).start().await.unwrap();
    let new = standby_of(&mut old).await;
    let bench = Bench::new();
    let direct = old.connect_info("postgres");
    let proxy = FaultProxy::start(Backend::of(&direct).await).await;
    let running = Running::start(&bench.backup(proxy.connect_info(&direct)), quick());
    running.streaming().await;
    let begin = running.archiver.status().durable.unwrap();
    scene::write(&old, 3).await;
    let end = scene::flushed(&old).await;
    running.durable(end).await;
    caught_up(&new, end).await;
    old.kill9().await;
    promote(&new).await;
    scene::write(&new, 3).await;
    proxy.set_backend(Backend::of(&new.connect_info("postgres")).await);
    let end = scene::flushed(&new).await;
    wait_until("the new timeline", SOON, async || {
        running.archiver.status().timeline == Some(second())
    })
    .await;
    running.durable(end).await;
    assert_eq!(running.archiver.status().gaps, []);

    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    let history = archive.history(second()).await.unwrap().unwrap();
    let own = fs::read(new.data_dir().join("pg_wal/00000002.history")).unwrap();
    assert_eq!(history.raw(), &own[..]);
    let coverage = archive.coverage(None).await.unwrap();
    let id = "20260101T000000Z-00000000".parse().unwrap();
    let backup = BaseBackupSpan::new(id, Timeline::FIRST, begin, begin, Timestamp::UNIX_EPOCH)
        .with_wal_segment_size(archive.segment_size());
    let windows = plan_windows(&[backup], &coverage);
    assert_eq!(windows.len(), 1, "{windows:?} {coverage:?}");
    assert_eq!((windows[0].timeline, windows[0].from), (second(), begin));
    assert!(windows[0].to >= end, "{windows:?}");
    assert!(assert_same(&new, &bench, second()).await >= 2);
    assert!(assert_same(&new, &bench, Timeline::FIRST).await >= 2);

    // The old primary comes back and takes writes: nobody wants its WAL.
    old.start_again().await;
    scene::write(&old, 2).await;
    let before = shared::keys(&*bench.store).await;
    proxy.set_backend(Backend::of(&old.connect_info("postgres")).await);
    proxy.reset_connections().await;
    wait_until("the old primary to be refused", SOON, async || {
        let error = running.archiver.status().last_error;
        error.is_some_and(|error| error.contains("timeline 1, which the archive has seen"))
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shared::keys(&*bench.store).await, before);
    proxy.set_backend(Backend::of(&new.connect_info("postgres")).await);
    proxy.reset_connections().await;
    scene::write(&new, 1).await;
    running.durable(scene::flushed(&new).await).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_followed_without_a_gap_and_the_old_primary_is_refused() {
    for major in Pg::available_majors().await {
        failover(major.0).await;
        println!("PostgreSQL {major}: followed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_promotions_while_nobody_archived_are_made_up_for() {
    let Some(major) = Pg::available_majors().await.pop() else {
        return;
    };
    let mut pg = primary(major.0).start().await.unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    scene::write(&pg, 2).await;
    running.durable(scene::flushed(&pg).await).await;
    running.stop().await;
    for _ in 0..3 {
        scene::write(&pg, 2).await;
        pg.stop(Shutdown::Fast).await;
        fs::write(pg.data_dir().join("standby.signal"), "").unwrap();
        pg.start_again().await;
        promote(&pg).await;
    }
    scene::write(&pg, 2).await;
    let end = scene::flushed(&pg).await;
    let running = Running::start(&backup, quick());
    running.durable(end).await;
    let status = running.archiver.status();
    assert_eq!(
        (status.timeline, status.gaps.len()),
        (Timeline::new(4).ok(), 0)
    );
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    let histories = archive.histories().await.unwrap();
    assert_eq!(histories.len(), 3);
    for timeline in 1..=4 {
        assert!(assert_same(&pg, &bench, Timeline::new(timeline).unwrap()).await > 0);
    }
    let coverage = archive.coverage(None).await.unwrap();
    let begin = coverage.runs[0].start;
    let id = "20260101T000000Z-00000000".parse().unwrap();
    let backup = BaseBackupSpan::new(id, Timeline::FIRST, begin, begin, Timestamp::UNIX_EPOCH)
        .with_wal_segment_size(archive.segment_size());
    let windows = plan_windows(&[backup], &coverage);
    assert_eq!(windows.len(), 1, "{windows:?}");
    assert!(
        windows[0].to >= end && windows[0].timeline.get() == 4,
        "{windows:?}"
    );
}
