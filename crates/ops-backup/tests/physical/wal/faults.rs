//! Stores that fail.

use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::ArchiverState;
use ops_core::ErrorKind as CoreKind;
use ops_core::memory::{FaultyObjectStore, Operation};
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, Pg};

use super::scene::{self, Running, assert_complete, keeping, quick};
use crate::shared::Bench;

const KINDS: [CoreKind; 4] = [
    CoreKind::Unavailable,
    CoreKind::Timeout,
    CoreKind::RateLimited,
    CoreKind::Internal,
];

/// Faults at every tenth call or so, of every kind of call that the archiver makes.
fn plan(store: &FaultyObjectStore, seed: u64) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for operation in [
        Operation::Put,
        Operation::Get,
        Operation::Head,
        Operation::List,
        Operation::DeleteMany,
    ] {
        let mut nth = 0;
        while nth < 400 {
            nth += 1 + random(20);
            let kind = KINDS[usize::try_from(random(4)).unwrap()];
            // Half of the writes are done, and the answer is lost.
            if operation == Operation::Put && random(2) == 0 {
                store.fail_after(operation, nth, kind);
            } else {
                store.fail(operation, nth, kind);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_store_does_nothing_is_lost_and_nothing_is_wrong() {
    let mut retried = 0;
    for seed in 1..=4 {
        let builder = keeping().with(|server| server.wal_segment_size_mb(1));
        let Some(pg) = builder.start().await else {
            return;
        };
        let bench = Bench::new();
        let store = FaultyObjectStore::new(Arc::clone(&bench.store));
        plan(&store, seed);
        let backup = bench
            .builder_in(Arc::new(store.clone()), pg.connect_info("postgres"))
            .build()
            .unwrap();
        let running = Running::start(&backup, quick());
        running.streaming().await;
        scene::write(&pg, 8).await;
        let end = scene::flushed(&pg).await;
        running.durable(end).await;
        let status = running.archiver.status();
        retried += status.retried_uploads;
        assert_eq!(status.gaps, [], "seed {seed}");
        running.stop().await;
        let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
        assert_complete(&pg, &archive, end, bench.folder.path()).await;
    }
    assert!(retried > 0, "no fault came");
}

/// What the server was told to be durable.
async fn acknowledged(pg: &Pg) -> ops_backup::Lsn {
    let client = pg.client("postgres").await;
    let row = client
        .query_one("SELECT restart_lsn::text FROM pg_replication_slots", &[])
        .await
        .unwrap();
    row.get::<_, String>(0).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_that_the_store_has_not_acknowledged() {
    let builder = keeping().with(|server| server.wal_segment_size_mb(1));
    let Some(pg) = builder.start().await else {
        return;
    };
    let bench = Bench::new();
    let store = FaultyObjectStore::new(Arc::clone(&bench.store));
    let backup = bench
        .builder_in(Arc::new(store.clone()), pg.connect_info("postgres"))
        .build()
        .unwrap();
    let running = Running::start(&backup, quick());
    running.streaming().await;
    scene::write(&pg, 2).await;
    running.durable(scene::flushed(&pg).await).await;
    for nth in 1..=200 {
        store.fail(Operation::Put, nth, CoreKind::Unavailable);
    }
    let durable = running.archiver.status().durable.unwrap();
    scene::write(&pg, 4).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = running.archiver.status();
    assert!(status.lag > Duration::from_secs(1), "{status:?}");
    assert!(status.lag_bytes > 1 << 20, "{status:?}");
    assert!(status.last_error.is_some(), "{status:?}");
    let reported = acknowledged(&pg).await;
    assert!(reported <= status.durable.unwrap(), "{reported} {status:?}");
    assert!(
        status.durable.unwrap().saturating_distance_from(durable) < 1 << 20,
        "{status:?}"
    );
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert_complete(&pg, &archive, end, bench.folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_or_frozen_is_replaced() {
    let builder = keeping()
        .tcp(true)
        .with(|server| server.wal_segment_size_mb(1));
    let Some(pg) = builder.start().await else {
        return;
    };
    let bench = Bench::new();
    let direct = pg.connect_info("postgres");
    let proxy = FaultProxy::start(Backend::of(&direct).await).await;
    let backup = bench.backup(proxy.connect_info(&direct));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    for _ in 0..5 {
        scene::write(&pg, 2).await;
        proxy.reset_connections().await;
        running.streaming().await;
    }
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    assert!(
        running.archiver.status().connections >= 3,
        "{:?}",
        running.archiver.status()
    );
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert_complete(&pg, &archive, end, bench.folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_falls_silent_is_noticed_by_a_deadline_and_nothing_is_lost() {
    let builder = keeping()
        .tcp(true)
        .with(|server| server.wal_segment_size_mb(1));
    let Some(pg) = builder.start().await else {
        return;
    };
    let bench = Bench::new();
    let direct = pg.connect_info("postgres");
    let proxy = FaultProxy::start(Backend::of(&direct).await).await;
    let backup = bench.backup(proxy.connect_info(&direct));
    let silence = Duration::from_secs(2);
    let running = Running::start(&backup, quick().with_silence_timeout(silence));
    running.streaming().await;
    scene::write(&pg, 1).await;
    running.durable(scene::flushed(&pg).await).await;
    let before = running.archiver.status().connections;

    // Nothing is closed: no packet says that anything is wrong.
    proxy.set_frozen(true);
    let since = std::time::Instant::now();
    scene::write(&pg, 3).await;
    let end = scene::flushed(&pg).await;
    ops_testkit::wait_until("the archiver to notice", scene::SOON, async || {
        running.archiver.status().state != ArchiverState::Streaming
    })
    .await;
    assert!(since.elapsed() < silence * 4, "{:?}", since.elapsed());
    proxy.set_frozen(false);
    proxy.reset_connections().await;
    running.durable(end).await;
    let status = running.archiver.status();
    assert!(status.connections > before, "{status:?}");
    assert_eq!(status.gaps, []);
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert_complete(&pg, &archive, end, bench.folder.path()).await;
}

/// Each report wakes the server's sender, and takes its time from those who commit.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_not_told_of_every_commit_that_has_come() {
    const COMMITS: u64 = 400;
    let Some(pg) = keeping().tcp(true).start().await else {
        return;
    };
    let bench = Bench::new();
    let direct = pg.connect_info("postgres");
    let proxy = FaultProxy::start(Backend::of(&direct).await).await;
    let backup = bench.backup(proxy.connect_info(&direct));
    let seldom = Duration::from_mins(1);
    let options = quick()
        .with_part_interval(seldom)
        .with_guard_interval(seldom);
    let running = Running::start(&backup, options);
    running.streaming().await;
    let client = pg.client("postgres").await;
    client.batch_execute("CREATE TABLE t ()").await.unwrap();
    let before = proxy.stats().bytes_up;
    for _ in 0..COMMITS {
        let insert = "INSERT INTO t DEFAULT VALUES";
        client.batch_execute(insert).await.unwrap();
    }
    let end = scene::flushed(&pg).await;
    ops_testkit::wait_until("the WAL to come", scene::SOON, async || {
        running
            .archiver
            .status()
            .received
            .is_some_and(|it| it >= end)
    })
    .await;
    // A report has 39 bytes.
    let said = proxy.stats().bytes_up - before;
    assert!(said < COMMITS * 39 / 10, "{said} bytes");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walsender_that_is_stopped_is_given_up_and_another_one_goes_on() {
    let Some(pg) = keeping()
        .with(|server| server.wal_segment_size_mb(1))
        .start()
        .await
    else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let options = quick().with_silence_timeout(Duration::from_secs(2));
    let running = Running::start(&backup, options);
    running.streaming().await;
    let client = pg.client("postgres").await;
    let sql = "SELECT active_pid FROM pg_replication_slots";
    let pid: i32 = client.query_one(sql, &[]).await.unwrap().get(0);
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    scene::write(&pg, 2).await;
    let end = scene::flushed(&pg).await;
    ops_testkit::wait_until("the archiver to notice", scene::SOON, async || {
        let status = running.archiver.status();
        status.state != ArchiverState::Streaming || status.connections > 1
    })
    .await;
    // It holds the slot until it is gone.
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    running.durable(end).await;
    assert_eq!(running.archiver.status().gaps, []);
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert_complete(&pg, &archive, end, bench.folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_replication_is_the_one_that_archives() {
    let Some(pg) = keeping().start().await else {
        return;
    };
    let client = pg.client("postgres").await;
    let sql = "CREATE ROLE replicator LOGIN REPLICATION; CREATE ROLE reader LOGIN";
    client.batch_execute(sql).await.unwrap();
    let bench = Bench::new();
    let info = pg.connect_info("postgres");
    let replicator = crate::shared::database(info.clone().with_user("replicator"));
    let builder = bench.builder(info.with_user("reader"));
    let backup = builder.replication(replicator).build().unwrap();
    let running = Running::start(&backup, quick());
    running.streaming().await;
    running.stop().await;
}
