//! Incremental backups.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::{
    Backup, BaseBackupReport, BaseBackupRequest, FullReason, Manifest, PageChecks, PhysicalKind,
    PhysicalOptions, RestoreTarget,
};
use ops_testkit::pg::PgBuilder;
use ops_testkit::{ManualClock, Pg, fixture};

use super::quiet;
use crate::shared::Bench;
use crate::support::{call, unpack, verify};

/// The newest server whose incremental backups can be relied upon.
async fn incremental_server(change: impl Fn(PgBuilder) -> PgBuilder) -> Option<Pg> {
    for major in Pg::available_majors().await.into_iter().rev() {
        if major.0 < 17 {
            break;
        }
        let pg = quiet()
            .major(major.0)
            .setting("summarize_wal", "on")
            .with(|server| server.wal_segment_size_mb(1));
        let pg = change(pg).start().await?;
        let client = pg.client("postgres").await;
        let row = client.query_one("SELECT current_setting('server_version_num')::int", &[]);
        let version: i32 = row.await.unwrap().get(0);
        if version >= 180_006 || (170_011..180_000).contains(&version) {
            return Some(pg);
        }
    }
    fixture::inapplicable("no server with incremental backups is installed");
    None
}

async fn take(backup: &Backup) -> BaseBackupReport {
    let job = backup.base_backup(BaseBackupRequest::incremental());
    job.finish().await.unwrap()
}

async fn manifest_of(backup: &Backup, report: &BaseBackupReport) -> Manifest {
    let entries = backup.catalogue().await.unwrap();
    let entry = entries.into_iter().find(|it| it.manifest.id == report.id);
    entry.unwrap().manifest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_combined_by_pg_combinebackup_to_a_backup_that_verifies() {
    let Some(pg) = incremental_server(|pg| pg).await else {
        return;
    };
    let client = pg.client("postgres").await;
    let sql =
        "CREATE TABLE t AS SELECT i, 0 AS n, repeat('x', 300) FROM generate_series(1, 50000) i";
    client.batch_execute(sql).await.unwrap();
    // Else the first to look at a row changes its page.
    client.batch_execute("VACUUM (FREEZE) t").await.unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let full = take(&backup).await;
    assert_eq!(full.physical.kind, PhysicalKind::Full);
    assert_eq!(full.full_because, Some(FullReason::NoParent));

    let mut chain = vec![full];
    for round in 1..=2 {
        let sql = format!("UPDATE t SET n = {round} WHERE i % 5000 = {round}; CHECKPOINT");
        client.batch_execute(&sql).await.unwrap();
        let sql = format!("CREATE TABLE round_{round} AS SELECT 1");
        client.batch_execute(&sql).await.unwrap();
        let report = take(&backup).await;
        let parent = chain.last().unwrap();
        let expected = PhysicalKind::Incremental {
            parent: parent.id.clone(),
            full: chain[0].id.clone(),
        };
        assert_eq!(report.physical.kind, expected, "{:?}", report.full_because);
        let (bytes, whole) = (report.bytes_in, chain[0].bytes_in);
        assert!(bytes * 2 < whole, "{bytes} of {whole}");
        let PageChecks::Checked {
            good, recent, bad, ..
        } = report.physical.pages
        else {
            panic!("{:?}", report.physical.pages)
        };
        assert!(
            good + recent > 20 && bad == 0,
            "{:?}",
            report.physical.pages
        );
        chain.push(report);
    }
    let mut folders = Vec::new();
    for (number, report) in chain.iter().enumerate() {
        let manifest = manifest_of(&backup, report).await;
        folders.push(unpack(&bench, &manifest, &format!("level-{number}")).folder);
        verify(&pg, &folders[number]).await;
    }
    let combined = bench.folder.path().join("combined");
    let Ok(program) = pg.binaries().program("pg_combinebackup") else {
        println!("no pg_combinebackup is installed");
        return;
    };
    let mut arguments = vec!["--no-sync".into(), "-o".into(), combined.clone()];
    arguments.extend(folders);
    call(program, arguments);
    verify(&pg, &combined).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_blocks_of_an_incremental_file_are_found_under_their_own_numbers() {
    let Some(mut pg) = incremental_server(|pg| pg).await else {
        return;
    };
    let client = pg.client("postgres").await;
    let sql =
        "CREATE TABLE t AS SELECT i, 0 AS n, repeat('x', 300) FROM generate_series(1, 50000) i";
    client.batch_execute(sql).await.unwrap();
    let row = client
        .query_one("SELECT pg_relation_filepath('t')", &[])
        .await
        .unwrap();
    let file: String = row.get(0);
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let full = take(&backup).await;
    let sql = "UPDATE t SET n = 1 WHERE ctid IN ('(700,1)', '(1234,2)'); CHECKPOINT";
    client.batch_execute(sql).await.unwrap();
    drop(client);
    pg.stop(ops_pg::server::Shutdown::Fast).await;
    let path = pg.data_dir().join(&file);
    let mut content = fs::read(&path).unwrap();
    content[1234 * 8192 + 8000] ^= 1;
    fs::write(&path, content).unwrap();
    pg.start_again().await;
    let request = BaseBackupRequest::incremental();
    let request = request.with_page_policy(ops_backup::PagePolicy::Degrade);
    let report = backup.base_backup(request).finish().await.unwrap();
    assert!(
        report.physical.kind.parent().is_some(),
        "{:?}",
        report.full_because
    );
    let PageChecks::Checked { bad, bad_pages, .. } = &report.physical.pages else {
        panic!("{:?}", report.physical.pages)
    };
    assert_eq!((*bad, bad_pages[0].block), (1, 1234));
    assert!(bad_pages[0].path.contains("/INCREMENTAL."), "{bad_pages:?}");
    // Nothing builds upon a degraded backup.
    let next = take_degraded(&backup).await;
    assert_eq!(next.physical.kind.parent(), Some(&full.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parent_is_the_backup_that_is_furthest_in_the_log_also_when_the_clock_was_set_back() {
    let Some(pg) = incremental_server(|pg| pg).await else {
        return;
    };
    let bench = Bench::new();
    let clock = ManualClock::at("2026-11-20T12:00:00Z");
    let builder = bench.builder(pg.connect_info("postgres"));
    let backup = builder.clock(Arc::new(clock.clone())).build().unwrap();
    let mut chain = vec![take(&backup).await];
    let hour = Duration::from_secs(60 * 60);
    clock.advance(hour * 2);
    chain.push(take(&backup).await);
    clock.step_back(hour);
    chain.push(take(&backup).await);
    clock.step_back(hour / 2);
    chain.push(take(&backup).await);
    for pair in chain.windows(2) {
        let parent = pair[1].physical.kind.parent();
        assert_eq!(parent, Some(&pair[0].id), "{:?}", pair[1].full_because);
    }
    // It restores, and the next one is full once the clock is before the last full one.
    let options = ops_backup::ClusterDrillOptions::new().with_folder(fixture::folder());
    let drill = backup.drill_cluster(RestoreTarget::Latest, options);
    let report = drill.finish().await.unwrap();
    assert!(report.passed, "{report:#?}");
    assert_eq!((report.id, report.chain), (chain[3].id.clone(), 4));
    clock.step_back(hour);
    assert_eq!(take(&backup).await.full_because, Some(FullReason::Due));
}

async fn take_degraded(backup: &Backup) -> BaseBackupReport {
    let request = BaseBackupRequest::incremental();
    let request = request.with_page_policy(ops_backup::PagePolicy::Degrade);
    backup.base_backup(request).finish().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_incremental_can_be_had_a_full_backup_is_taken_and_says_why() {
    let Some(pg) = incremental_server(|pg| pg).await else {
        return;
    };
    let bench = Bench::new();
    let info = pg.connect_info("postgres");
    let backup = bench.backup(info.clone());
    take(&backup).await;

    // Without a key nobody can read the parent's manifest.
    let locked = Backup::builder(
        crate::shared::database(info.clone()),
        Arc::clone(&bench.store),
    )
    .encryption(ops_backup::Encryption::recipients([&bench.keys.recipient]).unwrap());
    let report = take(&locked.build().unwrap()).await;
    assert_eq!(report.full_because, Some(FullReason::ParentLocked));

    let policy = PhysicalOptions::new().with_full_every(Duration::ZERO);
    let due = bench
        .builder(info.clone())
        .physical(policy)
        .build()
        .unwrap();
    assert_eq!(take(&due).await.full_because, Some(FullReason::Due));

    let second = Bench::new();
    let two = bench
        .builder(info.clone())
        .second_store(Arc::clone(&second.store));
    let two = two.build().unwrap();
    let report = take(&two).await;
    assert_eq!(report.full_because, Some(FullReason::ParentNotEverywhere));
    // Now it is.
    assert_eq!(take(&two).await.full_because, None);

    let client = pg.client("postgres").await;
    let sql = "CREATE TABLE t AS SELECT 1; CHECKPOINT; SELECT pg_switch_wal()";
    client.batch_execute(sql).await.unwrap();
    client
        .batch_execute("ALTER SYSTEM SET summarize_wal = off")
        .await
        .unwrap();
    client
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    let off = async || {
        let row = client.query_one("SHOW summarize_wal", &[]).await.unwrap();
        row.get::<_, String>(0) == "off"
    };
    ops_testkit::wait_until("summaries are off", Duration::from_secs(10), off).await;
    assert_eq!(
        take(&backup).await.full_because,
        Some(FullReason::SummariesOff)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_summaries_and_a_damaged_parent_lead_to_a_full_backup() {
    let Some(pg) = incremental_server(|pg| pg).await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let full = take(&backup).await;
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE TABLE t AS SELECT 1; CHECKPOINT")
        .await
        .unwrap();
    // An incremental backup sees to it that everything so far is summarized.
    let second = take(&backup).await;
    assert!(second.physical.kind.parent().is_some());
    // The next one needs more, which must not be there.
    client
        .batch_execute("CREATE TABLE u AS SELECT 1; CHECKPOINT")
        .await
        .unwrap();
    let sql = format!(
        "SELECT count(*) FROM pg_available_wal_summaries() WHERE end_lsn > '{}'",
        second.physical.start_lsn
    );
    let summarized = async || {
        let row = client.query_one(&sql, &[]).await.unwrap();
        row.get::<_, i64>(0) > 0
    };
    ops_testkit::wait_until("it is summarized", Duration::from_secs(60), summarized).await;
    for entry in fs::read_dir(pg.data_dir().join("pg_wal/summaries")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let report = take(&backup).await;
    let Some(FullReason::SummariesMissing { message }) = &report.full_because else {
        panic!("{:?}", report.full_because)
    };
    assert!(message.contains("summar"), "{message}");
    assert_ne!(report.id, full.id);

    let manifest = manifest_of(&backup, &report).await;
    let object = manifest
        .objects_of(ops_backup::ObjectRole::BackupManifest)
        .next()
        .unwrap();
    let path = bench.folder.path().join("store").join(object.key.as_str());
    let mut content = fs::read(&path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&path, content).unwrap();
    let report = take(&backup).await;
    let reason = report.full_because;
    assert!(
        matches!(reason, Some(FullReason::ParentUnreadable { .. })),
        "{reason:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_before_17_are_too_old() {
    for major in Pg::available_majors().await {
        if major.0 >= 17 {
            continue;
        }
        let pg = quiet().major(major.0).start().await.unwrap();
        let bench = Bench::new();
        let report = take(&bench.backup(pg.connect_info("postgres"))).await;
        let reason = report.full_because;
        let Some(FullReason::ServerTooOld { server_version_num }) = reason else {
            panic!("{reason:?}")
        };
        assert_eq!(server_version_num / 10_000, major.0);
    }
}
