//! WAL in two stores.

use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::ArchiverState;
use ops_backup::{Backup, BaseBackupRequest, ErrorKind, Lsn, WalMethod};
use ops_core::memory::{FaultyObjectStore, Operation};
use ops_core::{ErrorKind as CoreKind, ObjectStore};
use ops_testkit::{Pg, wait_until};

use super::scene::{self, Running, SOON, assert_complete, quick, small};
use crate::shared::Bench;

fn engine(pg: &Pg, bench: &Bench, second: Arc<dyn ObjectStore>) -> Backup {
    let builder = bench.builder(pg.connect_info("postgres"));
    builder.second_store(second).build().unwrap()
}

async fn everywhere(running: &Running, end: Lsn) {
    wait_until("WAL to be durable in both stores", SOON, async || {
        let status = running.archiver.status();
        status.durable_everywhere().is_some_and(|it| it >= end)
    })
    .await;
}

/// What the server may let go of: the slot that keeps most.
async fn kept_from(pg: &Pg) -> Lsn {
    let client = pg.client("postgres").await;
    let sql = "SELECT min(restart_lsn)::text, count(*) FROM pg_replication_slots";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(1), 2);
    row.get::<_, String>(0).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_store_that_fails_is_caught_up_with_and_does_not_keep_the_other_from_going_on() {
    let Some(pg) = small().start().await else {
        return;
    };
    let (bench, other) = (Bench::new(), Bench::new());
    let faulty = FaultyObjectStore::new(Arc::clone(&other.store));
    let backup = engine(&pg, &bench, Arc::new(faulty.clone()));
    let running = Running::start(&backup, quick());
    scene::write(&pg, 2).await;
    everywhere(&running, scene::flushed(&pg).await).await;
    let before = running.archiver.status().second.unwrap().durable.unwrap();

    for nth in 1..=40 {
        faulty.fail(Operation::Put, nth, CoreKind::Unavailable);
    }
    scene::write(&pg, 6).await;
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    let status = running.archiver.status();
    let second = status.second.clone().unwrap();
    assert!(second.durable.unwrap() < end, "{status:?}");
    assert!(second.last_error.is_some(), "{status:?}");
    assert!(status.last_error.is_none(), "{status:?}");
    assert_eq!(status.durable_everywhere(), second.durable);
    // The server keeps what only one store has.
    assert!(kept_from(&pg).await <= second.durable.unwrap());
    assert!(before <= second.durable.unwrap());

    everywhere(&running, end).await;
    let status = running.archiver.status();
    let second = status.second.unwrap();
    assert_eq!((status.gaps, second.gaps), (vec![], vec![]));
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert_complete(&pg, &archive, end, bench.folder.path()).await;
    let archive = scene::open(&bench, Arc::clone(&other.store)).await;
    assert_complete(&pg, &archive, end, other.folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_the_archiving_into_one_store_does_not_end_it_into_the_other() {
    let other = small().with(|server| server.data_checksums(true));
    let (Some(pg), Some(foreign)) = (small().start().await, other.start().await) else {
        return;
    };
    let (bench, other) = (Bench::new(), Bench::new());
    // The second store is that of another cluster.
    let running = Running::start(
        &bench
            .builder_in(Arc::clone(&other.store), foreign.connect_info("postgres"))
            .build()
            .unwrap(),
        quick(),
    );
    running.streaming().await;
    running.stop().await;
    let backup = engine(&pg, &bench, Arc::clone(&other.store));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    wait_until("the second to end", SOON, async || {
        let second = running.archiver.status().second.unwrap();
        second.state == ArchiverState::Failed
    })
    .await;
    scene::write(&pg, 2).await;
    running.durable(scene::flushed(&pg).await).await;
    let second = running.archiver.status().second.unwrap();
    let problem = second.last_error.unwrap();
    assert!(problem.contains("another prefix"), "{problem}");
    let err = running.stop_with_error().await;
    assert_eq!(err.kind(), ErrorKind::WrongSystem, "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_its_wal_is_committed_only_where_its_wal_is_archived() {
    let Some(pg) = small().start().await else {
        return;
    };
    let (bench, other) = (Bench::new(), Bench::new());
    let builder = bench.builder(pg.connect_info("postgres"));
    let builder = builder.stall_timeout(Duration::from_secs(20));
    let backup = builder
        .second_store(Arc::clone(&other.store))
        .build()
        .unwrap();
    // WAL goes into the first store only.
    let alone = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&alone, quick());
    running.streaming().await;
    scene::write(&pg, 1).await;
    running.durable(scene::flushed(&pg).await).await;
    let request = BaseBackupRequest::full().with_wal(WalMethod::Archive);
    let report = backup.base_backup(request.clone()).finish().await.unwrap();
    let committed: Vec<_> = report
        .stores
        .iter()
        .map(|it| (it.store, it.committed))
        .collect();
    assert_eq!(committed, [("first", true), ("second", false)]);
    running.stop().await;
    let running = Running::start(&backup, quick());
    everywhere(&running, scene::flushed(&pg).await).await;
    let report = backup.base_backup(request).finish().await.unwrap();
    assert!(report.is_everywhere(), "{:?}", report.stores);
    running.stop().await;
}
