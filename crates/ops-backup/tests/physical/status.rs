//! How things stand, from the objects alone and with an archiver.

use std::sync::Arc;
use std::time::Duration;

use ops_backup::{
    BackupKind, ClusterDrillOptions, DrillLevel, Encryption, Managed, PagePolicy, PhysicalOptions,
    RestoreTarget, Source, Unlock,
};
use ops_core::database::CreateBackupRequest;
use ops_core::memory::{FaultyObjectStore, MemoryDatabase, MemoryObjectStore, Operation};
use ops_core::{Database, ErrorKind};
use ops_testkit::fixture;

use crate::restore::{TABLES, source};
use crate::shared::Bench;
use crate::support::full;
use crate::wal::scene::{Running, flushed, quick, switch, write};

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_what_could_be_recovered_now() {
    let Some(pg) = source().start().await else {
        return;
    };
    let client = pg.client("postgres").await;
    client.batch_execute(TABLES).await.unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));

    let nothing = backup.status().await.unwrap();
    assert_eq!((nothing.newest_durable_commit, nothing.rpo), (None, None));
    assert!(
        nothing.archive.is_none() && nothing.windows.is_empty() && nothing.last_drill.is_none()
    );
    assert!(nothing.first_recoverable.is_none() && nothing.newest_full.is_none());

    let running = Running::start(&backup, quick());
    running.streaming().await;
    write(&pg, 1).await;
    running.durable(flushed(&pg).await).await;
    let unusable = backup.status().await.unwrap();
    assert!(unusable.archive.is_some(), "WAL is archived");
    assert_eq!(
        unusable.rpo, None,
        "and without a backup nothing can be recovered from it"
    );

    let taken = full(&backup).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    write(&pg, 1).await;
    switch(&pg).await;
    write(&pg, 1).await;
    let end = flushed(&pg).await;
    running.durable(end).await;
    let archiver = running.archiver.status();
    let status = backup.status().await.unwrap();
    let archive = status.archive.as_ref().unwrap();
    assert_eq!(status.system_id, Some(taken.physical.system_id));
    assert!(archive.end >= end, "{status:#?}");
    assert!(
        archive.archiver.is_some() && archive.lag_bytes.is_some(),
        "{status:#?}"
    );
    assert_eq!(
        status.newest_durable_commit, archiver.newest_durable_commit,
        "{status:#?}"
    );
    assert!(status.newest_durable_commit > Some(taken.completed_at));
    assert!(status.rpo.unwrap() < Duration::from_secs(60), "{status:#?}");
    let (first, last) = (
        status.first_recoverable.unwrap(),
        status.last_recoverable.unwrap(),
    );
    assert_eq!(first.lsn, taken.physical.end_lsn);
    assert_eq!(
        (last.lsn, Some(last.at)),
        (archive.end, status.newest_durable_commit)
    );
    assert_eq!(
        status.newest_full.as_ref().map(|it| &it.id),
        Some(&taken.id)
    );
    assert!(status.gaps.is_empty() && status.degraded.is_empty() && status.next_run.is_none());
    assert_eq!(status.windows, backup.recoverable_windows().await.unwrap());

    running.stop().await;
    let alone = backup.status().await.unwrap();
    let archive = alone.archive.as_ref().unwrap();
    assert!(
        archive.archiver.is_none() && archive.lag_bytes.is_none(),
        "{alone:#?}"
    );
    assert!(archive.lag.unwrap() < Duration::from_secs(60));
    assert_eq!(alone.newest_durable_commit, status.newest_durable_commit);
    // It is serializable as it is.
    let json = serde_json::to_value(&alone).unwrap();
    assert!(
        json["rpo"].as_f64().is_some() && json["next_run"].is_null(),
        "{json}"
    );

    if pg.binaries().has("pg_controldata") {
        let options = ClusterDrillOptions::new().with_folder(fixture::folder());
        let report = backup
            .drill_cluster(RestoreTarget::Latest, options)
            .finish()
            .await
            .unwrap();
        let status = backup.status().await.unwrap();
        let drill = status.last_drill.unwrap();
        assert_eq!(
            (drill.backup, drill.passed, drill.level),
            (taken.id, report.passed, report.level)
        );
        assert!(drill.level >= DrillLevel::Booted);
        assert_eq!(status.last_rto.is_some(), report.passed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_degraded_backup_is_listed_and_not_relied_upon() {
    use std::os::unix::fs::FileExt;
    let Some(mut pg) = source().start().await else {
        return;
    };
    let client = pg.client("postgres").await;
    client.batch_execute(TABLES).await.unwrap();
    client.batch_execute("CHECKPOINT").await.unwrap();
    let sql = "SELECT pg_relation_filepath('big')";
    let path: String = client.query_one(sql, &[]).await.unwrap().get(0);
    drop(client);
    pg.stop(ops_pg::server::Shutdown::Fast).await;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(pg.data_dir().join(path))
        .unwrap();
    file.write_all_at(b"damage", 5 * 8192 + 4000).unwrap();
    pg.start_again().await;
    let bench = Bench::new();
    let options = PhysicalOptions::new().with_page_policy(PagePolicy::Degrade);
    let backup = bench
        .builder(pg.connect_info("postgres"))
        .physical(options)
        .build()
        .unwrap();
    let taken = full(&backup).await;
    let status = backup.status().await.unwrap();
    assert_eq!(status.degraded, std::slice::from_ref(&taken.id));
    assert!(status.newest_full.unwrap().degraded);
    assert_eq!(status.rpo, None, "there is no sound backup");
    let listing = backup.list().await.unwrap();
    assert!(listing.backups[0].degraded && matches!(listing.managed, Managed::NotOffered));
    assert_eq!(listing.backups[0].kind, BackupKind::Full);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_costs_a_bounded_number_of_requests() {
    let Some(pg) = source().start().await else {
        return;
    };
    let bench = Bench::new();
    let store = Arc::new(FaultyObjectStore::new(Arc::new(MemoryObjectStore::new())));
    let shared = Arc::clone(&store);
    let backup = bench
        .builder_in(shared, pg.connect_info("postgres"))
        .build()
        .unwrap();
    let running = Running::start(&backup, quick());
    running.streaming().await;
    full(&backup).await;
    for _ in 0..5 {
        write(&pg, 1).await;
        switch(&pg).await;
    }
    running.durable(flushed(&pg).await).await;
    running.stop().await;
    let requests = || {
        let kinds = [Operation::Get, Operation::Head, Operation::List];
        kinds.into_iter().map(|kind| store.calls(kind)).sum::<u64>()
    };
    let cost = async || {
        let before = requests();
        backup.status().await.unwrap();
        requests() - before
    };
    cost().await;
    let few = cost().await;
    println!("{few} requests for one backup and its WAL");
    assert!(few <= 40, "{few}");
    for _ in 0..3 {
        full(&backup).await;
    }
    cost().await;
    let more = cost().await;
    assert!(
        more <= few + 3,
        "one for the drills of each backup: {more} after {few}"
    );

    store.fail(Operation::List, 1, ErrorKind::Unavailable);
    let err = backup.status().await.unwrap_err();
    assert_eq!(err.kind(), ops_backup::ErrorKind::Store, "no half answer");
}

#[tokio::test]
async fn backups_of_the_vendor_are_listed_beside_ours() {
    let bench = Bench::new();
    let database = Arc::new(MemoryDatabase::new());
    let native = database.as_native_backups().unwrap();
    let made = native
        .create_backup(CreateBackupRequest::default())
        .await
        .unwrap();
    let shared: Arc<dyn Database> = database;
    let backup = ops_backup::Backup::builder(shared, Arc::clone(&bench.store))
        .encryption(Encryption::recipients([&bench.keys.recipient]).unwrap())
        .unlock(Unlock::identity(bench.keys.identity.as_str()))
        .build()
        .unwrap();
    let listing = backup.list().await.unwrap();
    assert!(matches!(listing.managed, Managed::Listed));
    let [only] = &listing.backups[..] else {
        panic!("{listing:?}")
    };
    assert_eq!(
        (only.kind, only.name()),
        (BackupKind::Managed, made.id.as_str())
    );
    assert!(matches!(&only.source, Source::Managed(it) if it.created_at == only.snapshot_at));
}

/// The future of a status can be spawned.
#[expect(dead_code, reason = "it need only compile")]
fn status_is_send(backup: ops_backup::Backup) {
    fn is_send<T: Send>(_: T) {}
    is_send(async move { (backup.status().await, backup.list().await) });
}
