//! What goes wrong around a backup: each has a typed error, and nothing is listed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::processes;
use crate::support::{self, Bench, Tmpfs, small_database};
use ops_backup::{Backup, DrillLevel, Encryption, Error, ErrorKind, Event, Phase};
use ops_core::ObjectStore;
use ops_core::database::{ConnectInfo, Host};
use ops_local::Local;
use ops_pg::binaries::Finder;
use ops_testkit::proxy::{Backend, Close, Cut, Direction};
use ops_testkit::{FaultProxy, Pg, RefusedPort, wait_until};

/// Runs a backup that must fail, and sees to it that nothing is left in the store.
async fn fails(backup: &Backup, store: &dyn ObjectStore) -> Error {
    let err = backup
        .dump()
        .finish()
        .await
        .expect_err("the backup must fail");
    assert!(
        backup.catalogue().await.unwrap().is_empty(),
        "a failed backup is listed"
    );
    assert_eq!(support::keys(store).await, Vec::<String>::new(), "{err}");
    err
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_and_never_shown() {
    let started = Pg::builder()
        .with(|server| server.password("right"))
        .tcp(true)
        .start()
        .await;
    let Some(pg) = started else { return };
    let bench = Bench::new();
    let info = pg
        .connect_info("postgres")
        .with_password("wrong-canary-7f3a");
    let err = fails(&bench.backup(info), &*bench.store).await;
    assert_eq!(err.kind(), ErrorKind::Unauthenticated, "{err:?}");
    for text in [
        format!("{err:?}"),
        err.to_string(),
        ops_core::Report(&err).to_string(),
    ] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_said() {
    let bench = Bench::new();
    let refused = RefusedPort::take();
    let port = refused.port();
    let host = Host::Tcp("127.0.0.1".to_owned());
    let info =
        ConnectInfo::new(ops_core::database::Engine::Postgres, host, port).with_user("postgres");
    let err = fails(&bench.backup(info), &*bench.store).await;
    assert_eq!(err.kind(), ErrorKind::SourceUnavailable, "{err:?}");
    assert!(err.is_transient());
}

/// A folder whose programs say that they are of a version, and do nothing else.
fn programs_of(folder: &Path, version: &str) {
    std::fs::create_dir_all(folder).unwrap();
    for name in ["pg_dump", "pg_dumpall", "pg_restore", "psql"] {
        let path = folder.join(name);
        std::fs::write(
            &path,
            format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n"),
        )
        .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_newer_than_the_installed_pg_dump_is_refused_before_anything_is_read() {
    let Some(pg) = small_database().await else {
        return;
    };
    let bench = Bench::new();
    let old = bench.folder.path().join("old");
    programs_of(&old, "13.9");
    let finder = Finder::new().usual_folders(false).path("").folder(&old);
    let backup = bench
        .builder(pg.connect_info("shop"))
        .finder(finder)
        .build()
        .unwrap();
    let err = fails(&backup, &*bench.store).await;
    assert_eq!(err.kind(), ErrorKind::ClientTooOld, "{err:?}");
    assert!(err.to_string().contains("13.9"), "{err}");
    assert!(err.hint().unwrap().contains("or newer"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_pg_dump_is_told_what_to_install() {
    let Some(pg) = small_database().await else {
        return;
    };
    let bench = Bench::new();
    let finder = Finder::new().usual_folders(false).path("");
    let backup = bench
        .builder(pg.connect_info("shop"))
        .finder(finder)
        .build()
        .unwrap();
    let err = fails(&backup, &*bench.store).await;
    assert_eq!(err.kind(), ErrorKind::ClientMissing, "{err:?}");
    assert!(err.hint().unwrap().contains("install"), "{err}");
}

/// A server with a database that takes a while to dump through a proxy that lets 2 MB a
/// second pass.
async fn slow_database() -> Option<(Pg, FaultProxy, ConnectInfo)> {
    let pg = Pg::builder().tcp(true).start().await?;
    pg.create_database("shop").await;
    let client = pg.client("shop").await;
    client
        .batch_execute(
            "CREATE TABLE big AS SELECT i, md5(i::text) || md5((i + 1)::text) AS x \
             FROM generate_series(1, 200000) i",
        )
        .await
        .unwrap();
    let direct = pg.connect_info("shop");
    let proxy = FaultProxy::start(Backend::of(&direct).await).await;
    let through = proxy.connect_info(&direct);
    Some((pg, proxy, through))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_in_the_middle_of_the_dump_is_lost_not_ended() {
    let Some((_pg, proxy, info)) = slow_database().await else {
        return;
    };
    let bench = Bench::new();
    for close in [Close::Reset, Close::End] {
        proxy.set_cut(Some(Cut {
            direction: Direction::Down,
            after: 3_000_000,
            close,
        }));
        let err = fails(&bench.backup(info.clone()), &*bench.store).await;
        assert_eq!(err.kind(), ErrorKind::SourceLost, "{close:?}: {err:?}");
    }
    proxy.heal().await;
    bench.backup(info).dump().finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_falls_silent_ends_the_job_by_its_stall_timeout() {
    let Some((_pg, proxy, info)) = slow_database().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench
        .builder(info)
        .stall_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    proxy.set_throttle(Some(2_000_000));
    let mut job = backup.dump();
    while let Some(event) = job.next_event().await {
        if matches!(event, Event::Progress(progress) if progress.bytes_in > 1_000_000) {
            proxy.set_frozen(true);
            break;
        }
    }
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Timeout, "{err:?}");
    assert_eq!(support::keys(&*bench.store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pg_dump_that_is_killed_leaves_no_backup() {
    let Some((_pg, proxy, info)) = slow_database().await else {
        return;
    };
    let bench = Bench::new();
    let port = info.port;
    let backup = bench.backup(info);
    proxy.set_throttle(Some(2_000_000));
    let mut job = backup.dump();
    while let Some(event) = job.next_event().await {
        if matches!(event, Event::Progress(progress) if progress.bytes_in > 1_000_000) {
            processes::kill_child("pg_dump", port, rustix::process::Signal::KILL);
            break;
        }
    }
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::ClientFailed, "{err:?}");
    assert!(err.to_string().contains("signal 9"), "{err}");
    assert!(backup.catalogue().await.unwrap().is_empty());
    assert_eq!(support::keys(&*bench.store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fills_up_is_said_and_left_clean() {
    let Some((_pg, _proxy, info)) = slow_database().await else {
        return;
    };
    let Some(mount) = Tmpfs::mount(4 << 20) else {
        return;
    };
    let store = Arc::new(
        Local::builder(mount.path().join("store"))
            .create(true)
            .build()
            .unwrap(),
    );
    let backup = Backup::builder(support::database(info), Arc::clone(&store) as _)
        .encryption(Encryption::none())
        .level(-7)
        .finder(Finder::from_env())
        .build()
        .unwrap();
    let err = fails(&backup, &*store).await;
    assert_eq!(err.kind(), ErrorKind::StoreFull, "{err:?}");
    assert!(
        err.left_behind().unwrap().contains("nothing is left"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_read_only_is_said() {
    let Some(pg) = small_database().await else {
        return;
    };
    let Some(mount) = Tmpfs::mount(4 << 20) else {
        return;
    };
    let path = mount.path().join("store");
    let store = Arc::new(Local::builder(&path).create(true).build().unwrap());
    let backup = Backup::builder(support::database(pg.connect_info("shop")), store as _)
        .encryption(Encryption::none())
        .finder(Finder::from_env())
        .build()
        .unwrap();
    mount.remount_read_only();
    let err = backup.dump().finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::StoreDenied, "{err:?}");
}

#[test]
fn a_store_path_that_is_a_file_is_refused_when_the_store_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "x").unwrap();
    let err = Local::builder(&path).create(true).build().unwrap_err();
    assert_eq!(err.kind(), ops_core::ErrorKind::InvalidConfig, "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_canceled_cleans_up_and_one_that_is_dropped_is_swept() {
    let Some((_pg, proxy, info)) = slow_database().await else {
        return;
    };
    let bench = Bench::new();
    let port = info.port;
    let backup = bench
        .builder(info)
        .sweep_grace(Duration::ZERO)
        .build()
        .unwrap();
    proxy.set_throttle(Some(2_000_000));

    let mut job = backup.dump();
    while job.next_event().await != Some(Event::Phase(Phase::Dump)) {}
    job.cancel();
    assert_eq!(job.finish().await.unwrap_err().kind(), ErrorKind::Canceled);
    assert_eq!(support::keys(&*bench.store).await, Vec::<String>::new());

    let mut job = backup.dump();
    while job.next_event().await != Some(Event::Phase(Phase::Dump)) {}
    drop(job);
    wait_until("pg_dump is gone", Duration::from_secs(10), || async {
        processes::child_pid("pg_dump", port).is_none()
    })
    .await;
    assert!(
        !support::keys(&*bench.store).await.is_empty(),
        "the lease of the dropped job"
    );
    let swept = backup.sweep().await.unwrap();
    assert_eq!(swept.removed.len(), 1);
    assert_eq!(support::pieces(&*bench.store).await, Vec::<String>::new());
    assert!(backup.catalogue().await.unwrap().is_empty());
}

#[test]
fn settings_that_cannot_work_are_reported_together() {
    let bench = Bench::new();
    let host = Host::Tcp("127.0.0.1".to_owned());
    let info = ConnectInfo::new(ops_core::database::Engine::Postgres, host, 1);
    let err = Backup::builder(support::database(info), Arc::clone(&bench.store))
        .level(99)
        .workers(0)
        .frame_bytes(1)
        .max_object_bytes(1)
        .build()
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    for part in [
        "encryption",
        "level",
        "workers",
        "frame_bytes",
        "max_object_bytes",
    ] {
        assert!(err.to_string().contains(part), "{err}");
    }
}

#[tokio::test]
async fn a_drill_that_fails_is_stored_and_shown() {
    let Some(pg) = small_database().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("shop"));
    let job = backup.dump();
    let id = job.finish().await.unwrap().id;
    let keys = support::keys(&*bench.store).await;
    let dump = keys.iter().find(|key| key.contains("/dump.")).unwrap();
    std::fs::remove_file(bench.folder.path().join("store").join(dump)).unwrap();
    let err = backup.drill(&id, support::drill_options()).finish().await;
    let message = ops_core::Report(&err.unwrap_err()).to_string();
    let stored = backup.drills(&id).await.unwrap();
    let failure = stored[0].failure.clone().unwrap();
    assert_eq!(
        (failure.phase, failure.message),
        (Phase::Preflight, message)
    );
    let last = backup.status().await.unwrap().last_drill.unwrap();
    assert_eq!((last.passed, last.level), (false, DrillLevel::Unproven));
    assert_eq!(last.failure, stored[0].failure);
}
