//! Restores from stores that fail, and restores that are stopped.

use std::path::Path;
use std::sync::Arc;

use ops_backup::{
    Backup, BaseBackupRequest, ErrorKind, Event, ObjectRole, Phase, PhysicalOptions, RestoreTarget,
    WalMethod,
};
use ops_core::ErrorKind as CoreKind;
use ops_core::memory::{FaultyObjectStore, Operation};
use ops_testkit::Pg;

use crate::judges::dump;
use crate::restore::{Place, booted, client, files_only, ledger, options, restored, source};
use crate::shared::Bench;
use crate::wal::scene::{Running, flushed, quick, write};

/// A backup in several packs, and its source.
async fn packed(bench: &Bench) -> Option<(Pg, Backup)> {
    let pg = source().start().await?;
    pg.client("postgres")
        .await
        .batch_execute(
            "CREATE TABLE noise AS SELECT i, (SELECT string_agg(sha256((i || '.' || k)::bytea), '') \
             FROM generate_series(1, 32) k) AS x FROM generate_series(1, 4000) i",
        )
        .await
        .unwrap();
    let backup = bench
        .builder(pg.connect_info("postgres"))
        .physical(PhysicalOptions::new().with_pack_bytes(1 << 20))
        .build()
        .unwrap();
    backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    let manifest = backup.latest().await.unwrap().unwrap().manifest;
    assert!(manifest.objects_of(ObjectRole::Data).count() > 2);
    Some((pg, backup))
}

/// The hash of everything that a restore wrote.
fn tree(folder: &Path) -> blake3::Hash {
    fn walk(folder: &Path, hasher: &mut blake3::Hasher) {
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            hasher.update(path.file_name().unwrap().as_encoded_bytes());
            if path.is_dir() {
                walk(&path, hasher);
            } else {
                hasher.update(&std::fs::read(&path).unwrap());
            }
        }
    }
    let mut hasher = blake3::Hasher::new();
    walk(folder, &mut hasher);
    hasher.finalize()
}

/// What one fault does to one call.
type Fault = fn(&FaultyObjectStore, u64);

const FAULTS: [(&str, Operation, Fault); 8] = [
    ("get is unavailable", Operation::Get, |store, nth| {
        store.fail(Operation::Get, nth, CoreKind::Unavailable);
    }),
    ("get is denied", Operation::Get, |store, nth| {
        store.fail(Operation::Get, nth, CoreKind::PermissionDenied);
    }),
    ("get finds nothing", Operation::Get, |store, nth| {
        store.fail(Operation::Get, nth, CoreKind::NotFound);
    }),
    ("a body breaks off", Operation::Get, |store, nth| {
        store.cut_body(nth, 300);
    }),
    ("a body is short", Operation::Get, |store, nth| {
        store.truncate_body(nth, 300);
    }),
    ("a body is altered", Operation::Get, |store, nth| {
        store.flip_bit(nth, 40);
    }),
    ("head times out", Operation::Head, |store, nth| {
        store.fail(Operation::Head, nth, CoreKind::Timeout);
    }),
    ("list is unavailable", Operation::List, |store, nth| {
        store.fail(Operation::List, nth, CoreKind::Unavailable);
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_gives_the_right_files_or_an_error_and_no_cluster() {
    let bench = Bench::new();
    let Some((pg, backup)) = packed(&bench).await else {
        return;
    };
    let place = Place::new();
    let folder = place.join("good");
    backup
        .restore_cluster(RestoreTarget::Latest, &folder, files_only())
        .finish()
        .await
        .unwrap();
    let good = tree(&folder);
    let (mut right, mut failed) = (0, 0);
    for (what, operation, fault) in FAULTS {
        for nth in 1.. {
            let store = FaultyObjectStore::new(Arc::clone(&bench.store));
            let faulty = bench
                .builder_in(Arc::new(store.clone()), pg.connect_info("postgres"))
                .build()
                .unwrap();
            fault(&store, nth);
            let folder = place.join("data");
            let job = faulty.restore_cluster(RestoreTarget::Latest, &folder, files_only());
            let outcome = job.finish().await;
            if store.pending_faults() > 0 {
                assert!(nth > 1, "{what}: no call was met");
                outcome.unwrap();
                place.clear("data");
                break;
            }
            match outcome {
                Ok(_) => {
                    assert_eq!(tree(&folder), good, "{what} {nth}");
                    right += 1;
                }
                Err(err) => {
                    let defects = [ErrorKind::Internal, ErrorKind::Canceled];
                    assert!(!defects.contains(&err.kind()), "{what} {nth}: {err:?}");
                    let control = folder.join("global/pg_control");
                    assert!(!control.exists(), "{what} {nth}: {err}");
                    failed += 1;
                }
            }
            if folder.exists() {
                place.clear("data");
            }
            let _ = operation;
        }
    }
    assert!(right > 0 && failed > 0);
    println!(
        "{} faults: {right} restores were right all the same, {failed} failed",
        right + failed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_stopped_leaves_nothing_that_starts_and_can_be_repeated() {
    let bench = Bench::new();
    let Some((pg, backup)) = packed(&bench).await else {
        return;
    };
    let expected = dump(&pg).await;
    let place = Place::new();
    let folder = place.join("data");
    let mut job = backup.restore_cluster(RestoreTarget::Latest, &folder, options());
    while let Some(event) = job.next_event().await {
        if event == Event::Phase(Phase::Restore) {
            break;
        }
    }
    job.cancel();
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Canceled);
    assert!(!folder.join("global/pg_control").exists());
    // What is there is the begin of this very cluster: a delta restore goes on from it.
    let again = options().with_delta(true);
    let copy = restored(&pg, &backup, RestoreTarget::Latest, &folder, again).await;
    assert_eq!(dump(&copy).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_its_wal_is_recovered_from_the_archive() {
    let Some(pg) = source().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    let work = pg.client("postgres").await;
    work.batch_execute("CREATE TABLE ledger AS SELECT i FROM generate_series(1, 5) i")
        .await
        .unwrap();
    running.durable(flushed(&pg).await).await;
    let request = BaseBackupRequest::full().with_wal(WalMethod::Archive);
    let report = backup.base_backup(request).finish().await.unwrap();
    write(&pg, 20).await;
    work.batch_execute("INSERT INTO ledger VALUES (6)")
        .await
        .unwrap();
    running.durable(flushed(&pg).await).await;
    running.stop().await;
    let place = Place::new();
    let target = RestoreTarget::Immediate { backup: report.id };
    let copy = restored(&pg, &backup, target, &place.join("end"), options()).await;
    assert_eq!(ledger(&client(&copy).await).await, [1, 2, 3, 4, 5]);
    drop(copy);
    let copy = restored(
        &pg,
        &backup,
        RestoreTarget::Latest,
        &place.join("latest"),
        options(),
    )
    .await;
    assert_eq!(ledger(&client(&copy).await).await, [1, 2, 3, 4, 5, 6]);
    drop(copy);
    // Without the archive it is not even begun.
    let archive = bench.folder.path().join("store/wal");
    std::fs::rename(&archive, bench.folder.path().join("gone")).unwrap();
    let job = backup.restore_cluster(RestoreTarget::Latest, place.join("none"), options());
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotRecoverable, "{err}");
    assert!(!place.join("none").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_does_not_archive_for_its_source() {
    let Some(pg) = source()
        .setting("archive_mode", "on")
        .setting("archive_command", "false")
        .start()
        .await
    else {
        return;
    };
    let work = pg.client("postgres").await;
    for sql in [
        "ALTER SYSTEM SET archive_command = 'cp %p /nowhere/%f'",
        "ALTER SYSTEM SET primary_conninfo = 'host=elsewhere password=hunter2'",
        "ALTER SYSTEM SET work_mem = '12MB'",
    ] {
        work.batch_execute(sql).await.unwrap();
    }
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    let place = Place::new();
    let folder = place.join("data");
    let report = backup
        .restore_cluster(RestoreTarget::Latest, &folder, options())
        .finish()
        .await
        .unwrap();
    assert!(
        report
            .warnings
            .iter()
            .any(|it| it.contains("archive_command, primary_conninfo")),
        "{report:?}"
    );
    let conf = std::fs::read_to_string(folder.join("postgresql.auto.conf")).unwrap();
    assert!(
        !conf.contains("hunter2") && !conf.contains("/nowhere"),
        "{conf}"
    );
    let copy = booted(&pg, &folder).await;
    let shown = client(&copy).await;
    for (name, expected) in [
        ("archive_mode", "off"),
        ("primary_conninfo", ""),
        ("work_mem", "12MB"),
    ] {
        let row = shown.query_one(&format!("SHOW {name}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), expected, "{name}");
    }
}
