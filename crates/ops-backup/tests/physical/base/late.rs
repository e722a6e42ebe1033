//! Base backups whose WAL will never be archived.

use std::time::{Duration, Instant};

use ops_backup::wal::ArchiverOptions;
use ops_backup::{BaseBackupRequest, ErrorKind, Event, Phase, WalMethod};
use ops_testkit::Pg;
use tokio_util::sync::CancellationToken;

use crate::shared::Bench;

/// Writes some segments of WAL and has the server remove the old ones.
async fn forget(pg: &Pg) {
    let client = pg.client("postgres").await;
    for _ in 0..4 {
        let write = "CREATE TABLE IF NOT EXISTS w (x text); \
                     INSERT INTO w SELECT repeat(md5(i::text), 20) FROM generate_series(1, 6000) i";
        client.batch_execute(write).await.unwrap();
        client
            .batch_execute("SELECT pg_switch_wal()")
            .await
            .unwrap();
        client.batch_execute("CHECKPOINT").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_wal_the_archive_has_passed_over_fails_at_once_and_not_at_a_deadline() {
    let pg = Pg::builder()
        .with(|server| server.wal_segment_size_mb(1))
        .setting("min_wal_size", "2MB")
        .setting("max_wal_size", "8MB")
        .setting("wal_keep_size", "0")
        .start()
        .await;
    let Some(pg) = pg else { return };
    let bench = Bench::new();
    let stall = Duration::from_secs(300);
    let builder = bench.builder(pg.connect_info("postgres"));
    let backup = builder.stall_timeout(stall).build().unwrap();
    let run = || {
        let options = ArchiverOptions::new().with_part_interval(Duration::from_millis(200));
        let archiver = backup.archiver(options).unwrap();
        let (stop, running) = (CancellationToken::new(), archiver.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move { running.run(stopped).await });
        (archiver, stop, task)
    };
    let (archiver, stop, task) = run();
    ops_testkit::wait_until("the stream", Duration::from_secs(60), async || {
        archiver.status().durable.is_some()
    })
    .await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let client = pg.client("postgres").await;
    let drop_slot = "SELECT pg_drop_replication_slot('ops_backup')";
    client.batch_execute(drop_slot).await.unwrap();

    let request = BaseBackupRequest::full().with_wal(WalMethod::Archive);
    let mut job = backup.base_backup(request);
    while let Some(event) = job.next_event().await {
        if event == Event::Phase(Phase::Wal) {
            break;
        }
    }
    forget(&pg).await;
    let since = Instant::now();
    let (_archiver, stop, task) = run();
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::WalMissing, "{err:?}");
    assert!(err.to_string().contains("will never get"), "{err}");
    assert!(since.elapsed() < stall / 5, "{:?}", since.elapsed());
    assert!(backup.catalogue().await.unwrap().is_empty());
    stop.cancel();
    task.await.unwrap().unwrap();
}
