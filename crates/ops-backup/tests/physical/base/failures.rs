//! What goes wrong around a base backup: each has a typed error, and nothing is listed.

use std::sync::Arc;
use std::time::Duration;

use ops_backup::{
    Backup, BaseBackupReport, BaseBackupRequest, Encryption, Error, ErrorKind, Event, Job, Phase,
    VerifyOptions, WalMethod,
};
use ops_core::database::ConnectInfo;
use ops_core::{Clock, SystemClock};
use ops_local::Local;
use ops_pg::server::Shutdown;
use ops_pg_replication::{Mode, ReplicationClient, ReplicationOptions};
use ops_testkit::proxy::{Backend, Close, Cut, Direction};
use ops_testkit::{FaultProxy, ManualClock, Pg, wait_until};

use super::quiet;
use crate::shared::{self, Bench, Tmpfs};
use crate::support::{backed_up, execute, full};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sees to it that a backup failed, and that nothing is left of it.
pub(super) async fn assert_failed(
    backup: &Backup,
    bench: &Bench,
    result: Result<BaseBackupReport, Error>,
) -> Error {
    let err = result.expect_err("the backup must fail");
    assert_eq!(err.operation(), "base_backup");
    assert!(backup.catalogue().await.unwrap().is_empty(), "it is listed");
    let left = shared::keys(&*bench.store).await;
    assert_eq!(left, Vec::<String>::new(), "{err}");
    err
}

pub(super) async fn fails(backup: &Backup, bench: &Bench) -> Error {
    let result = backup.base_backup(BaseBackupRequest::full()).finish().await;
    assert_failed(backup, bench, result).await
}

/// A backup that takes the server about twenty seconds.
pub(super) fn slow() -> BaseBackupRequest {
    BaseBackupRequest::full().with_max_bytes_per_second(1 << 20)
}

/// Waits until a backup is in its middle.
pub(super) async fn reach_the_middle(job: &mut Job<BaseBackupReport>) {
    while let Some(event) = job.next_event().await {
        if matches!(event, Event::Progress(progress) if progress.bytes_in > 1_000_000) {
            return;
        }
    }
    panic!("the backup ended before its middle");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_replication_is_refused_with_what_to_do() {
    let Some(pg) = Pg::start().await else { return };
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE ROLE plain LOGIN")
        .await
        .unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres").with_user("plain"));
    let err = fails(&backup, &bench).await;
    assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err:?}");
    assert!(err.hint().unwrap().contains("REPLICATION"), "{err}");

    // It may replicate, and no superuser is needed.
    client
        .batch_execute("ALTER ROLE plain REPLICATION")
        .await
        .unwrap();
    full(&backup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_pg_hba_admits_nobody_to_replication_is_said() {
    let pg = Pg::builder().with(|server| server.hba("local replication all reject"));
    let Some(pg) = pg.start().await else { return };
    let bench = Bench::new();
    let err = fails(&bench.backup(pg.connect_info("postgres")), &bench).await;
    assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err:?}");
    assert!(err.hint().unwrap().contains("pg_hba.conf"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_minimal_wal_is_not_set_up_for_it() {
    let pg = Pg::builder()
        .setting("wal_level", "minimal")
        .setting("max_wal_senders", "0");
    let Some(pg) = pg.start().await else { return };
    let bench = Bench::new();
    let err = fails(&bench.backup(pg.connect_info("postgres")), &bench).await;
    assert_eq!(err.kind(), ErrorKind::SourceSettings, "{err:?}");
    assert!(err.hint().unwrap().contains("wal_level"), "{err}");
    assert!(!err.is_transient());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_wal_senders_are_all_in_use_is_busy() {
    let pg = Pg::builder().setting("max_wal_senders", "1").start().await;
    let Some(pg) = pg else { return };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let options = ReplicationOptions::default();
    let other = ReplicationClient::connect(&pg.connect_info("postgres"), &options).await;
    let other = other.unwrap();
    let err = fails(&backup, &bench).await;
    assert_eq!(err.kind(), ErrorKind::SourceBusy, "{err:?}");
    assert!(err.is_transient());
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_slots_is_backed_up_with_a_warning() {
    let pg = Pg::builder().setting("max_replication_slots", "0");
    let Some(pg) = pg.start().await else { return };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let report = backup.base_backup(BaseBackupRequest::full()).finish().await;
    let warnings = report.unwrap().warnings;
    assert!(
        warnings.iter().any(|it| it.contains("slot")),
        "{warnings:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slot_stays_behind_and_none_is_used_where_the_wal_is_archived() {
    let Some(pg) = Pg::start().await else { return };
    let (_bench, backup) = backed_up(&pg).await;
    let client = pg.client("postgres").await;
    wait_until("the slot is gone", Duration::from_secs(10), || async {
        let rows = client.query("SELECT FROM pg_replication_slots", &[]).await;
        rows.unwrap().is_empty()
    })
    .await;
    // Nobody archives: that is found out before anything is read.
    let request = BaseBackupRequest::full().with_wal(WalMethod::Archive);
    let err = backup.base_backup(request).finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::WalMissing, "{err:?}");
    assert_eq!(backup.catalogue().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wal_sender_that_is_terminated_in_the_middle_is_a_lost_server() {
    let Some(pg) = Pg::start().await else { return };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let mut job = backup.base_backup(slow());
    reach_the_middle(&mut job).await;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_replication";
    execute(&pg, sql).await;
    let err = assert_failed(&backup, &bench, job.finish().await).await;
    assert_eq!(err.kind(), ErrorKind::SourceLost, "{err:?}");
    assert!(err.is_transient());
    assert!(
        err.left_behind().unwrap().contains("nothing is left"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_restarted_or_killed_in_the_middle_is_lost() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    for kill in [false, true] {
        let mut job = backup.base_backup(slow());
        reach_the_middle(&mut job).await;
        if kill {
            pg.kill9().await;
        } else {
            pg.stop(Shutdown::Fast).await;
        }
        pg.start_again().await;
        let err = assert_failed(&backup, &bench, job.finish().await).await;
        assert_eq!(err.kind(), ErrorKind::SourceLost, "{kill}: {err:?}");
    }
    full(&backup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_in_the_middle_neither_ends_a_backup_nor_gets_it_swept() {
    let Some(pg) = Pg::start().await else { return };
    let bench = Bench::new();
    let clock = ManualClock::new(SystemClock.now());
    let builder = bench.builder(pg.connect_info("postgres"));
    let backup = builder.clock(Arc::new(clock.clone())).build().unwrap();
    for ahead in [true, false] {
        let request = BaseBackupRequest::full().with_max_bytes_per_second(16 << 20);
        let mut job = backup.base_backup(request);
        reach_the_middle(&mut job).await;
        if ahead {
            clock.advance(DAY);
        } else {
            clock.step_back(DAY);
        }
        // Whoever sweeps has the same wrong clock.
        let swept = backup.sweep().await.unwrap();
        let report = job.finish().await.unwrap();
        assert_eq!(
            (swept.removed, swept.in_progress),
            (vec![], vec![report.id.clone()])
        );
        assert!(report.duration < DAY, "{:?}", report.duration);
        let latest = backup.latest().await.unwrap().unwrap();
        assert_eq!(latest.manifest.id, report.id);
    }
    let verified = backup.verify(VerifyOptions::new()).finish().await.unwrap();
    assert!(verified.passed, "{verified:?}");
}

/// A server, and a way to it that can be troubled.
async fn through_a_proxy() -> Option<(Pg, FaultProxy, ConnectInfo)> {
    let pg = Pg::builder().tcp(true).start().await?;
    let direct = pg.connect_info("postgres");
    let proxy = FaultProxy::start(Backend::of(&direct).await).await;
    let through = proxy.connect_info(&direct);
    Some((pg, proxy, through))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_anywhere_is_a_lost_server() {
    let Some((_pg, proxy, info)) = through_a_proxy().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(info);
    for after in [3_000, 100_000, 3_000_000, 15_000_000] {
        for close in [Close::Reset, Close::End] {
            let direction = Direction::Down;
            let cut = Cut {
                direction,
                after,
                close,
            };
            proxy.set_cut(Some(cut));
            let err = fails(&backup, &bench).await;
            assert_eq!(
                err.kind(),
                ErrorKind::SourceLost,
                "{after} {close:?}: {err:?}"
            );
        }
    }
    proxy.heal().await;
    full(&backup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_falls_silent_ends_the_job() {
    let Some((_pg, proxy, info)) = through_a_proxy().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.builder(info).stall_timeout(Duration::from_secs(2));
    let backup = backup.build().unwrap();
    proxy.set_throttle(Some(2_000_000));
    let mut job = backup.base_backup(BaseBackupRequest::full());
    reach_the_middle(&mut job).await;
    proxy.set_frozen(true);
    let err = assert_failed(&backup, &bench, job.finish().await).await;
    assert_eq!(err.kind(), ErrorKind::Timeout, "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fills_up_is_said_and_left_clean() {
    let Some(pg) = Pg::start().await else { return };
    let sql =
        "CREATE TABLE noise AS SELECT sha512(i::text::bytea) FROM generate_series(1, 100000) i";
    execute(&pg, sql).await;
    let Some(mount) = Tmpfs::mount(4 << 20) else {
        return;
    };
    let store = Local::builder(mount.path().join("store"))
        .create(true)
        .build();
    let mut bench = Bench::new();
    bench.store = Arc::new(store.unwrap());
    let err = fails(&bench.backup(pg.connect_info("postgres")), &bench).await;
    assert_eq!(err.kind(), ErrorKind::StoreFull, "{err:?}");
    assert!(
        err.left_behind().unwrap().contains("nothing is left"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_backup_cleans_up_and_a_dropped_one_is_swept() {
    let Some(pg) = Pg::start().await else { return };
    let bench = Bench::new();
    let builder = bench.builder(pg.connect_info("postgres"));
    let backup = builder.sweep_grace(Duration::ZERO).build().unwrap();
    let mut job = backup.base_backup(slow());
    reach_the_middle(&mut job).await;
    job.cancel();
    let err = assert_failed(&backup, &bench, job.finish().await).await;
    assert_eq!(err.kind(), ErrorKind::Canceled, "{err:?}");

    let mut job = backup.base_backup(slow());
    reach_the_middle(&mut job).await;
    drop(job);
    let client = pg.client("postgres").await;
    wait_until(
        "the server has noticed",
        Duration::from_secs(10),
        || async {
            let rows = client.query("SELECT FROM pg_stat_replication", &[]).await;
            rows.unwrap().is_empty()
        },
    )
    .await;
    assert!(!shared::keys(&*bench.store).await.is_empty(), "a lease");
    assert_eq!(backup.sweep().await.unwrap().removed.len(), 1);
    assert_eq!(shared::pieces(&*bench.store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_tells_its_phases_and_how_far_it_is() {
    use Phase::{BaseBackup, Checkpoint, Commit, Preflight, Sweep};

    let Some(pg) = quiet().start().await else {
        return;
    };
    let (_bench, backup) = backed_up(&pg).await;
    let request = BaseBackupRequest::full().with_max_bytes_per_second(20 << 20);
    let mut job = backup.base_backup(request.with_label("before the migration"));
    let (mut phases, mut known) = (Vec::new(), 0);
    while let Some(event) = job.next_event().await {
        match event {
            Event::Phase(phase) => phases.push(phase),
            // The last full backup says how much there will be.
            Event::Progress(progress) => known = known.max(progress.bytes_expected.unwrap()),
            _ => {}
        }
    }
    let report = job.finish().await.unwrap();
    assert_eq!(phases, [Preflight, Sweep, Checkpoint, BaseBackup, Commit]);
    assert!(known.abs_diff(report.bytes_in) < report.bytes_in / 2);
    assert_eq!(report.physical.label, "before the migration");
    assert!(
        report.phases["base_backup"] > Duration::from_millis(500),
        "the rate holds"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_labels_that_cannot_work_are_refused() {
    let Some(pg) = Pg::start().await else { return };
    let bench = Bench::new();
    let options = ops_backup::PhysicalOptions::new().with_pack_bytes(1);
    let builder = bench.builder(pg.connect_info("postgres")).physical(options);
    let err = builder.encryption(Encryption::none()).build().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("pack_bytes"), "{err}");

    // A label of two lines would add a line to backup_label.
    let backup = bench.backup(pg.connect_info("postgres"));
    for label in ["x\nSTART TIMELINE: 9", &"x".repeat(1001)] {
        let request = BaseBackupRequest::full().with_label(label);
        let result = backup.base_backup(request).finish().await;
        let err = assert_failed(&backup, &bench, result).await;
        assert_eq!(err.kind(), ErrorKind::InvalidInput, "{err:?}");
    }
    let request = BaseBackupRequest::full().with_label("it's \\ \"the\" label");
    let report = backup.base_backup(request).finish().await.unwrap();
    assert_eq!(report.physical.label, "it's \\ \"the\" label");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_is_not_needed_and_a_role_of_its_own_replicates() {
    let Some(pg) = Pg::start().await else { return };
    let client = pg.client("postgres").await;
    let sql = "CREATE ROLE replicator LOGIN REPLICATION; CREATE ROLE reader LOGIN";
    client.batch_execute(sql).await.unwrap();
    let bench = Bench::new();
    let info = pg.connect_info("postgres");
    let replicator = shared::database(info.clone().with_user("replicator"));
    let backup = bench
        .builder(info.with_user("reader"))
        .replication(replicator);
    let backup = backup.build().unwrap();
    full(&backup).await;
    // What the mode for logical replication would need is not asked for.
    assert_eq!(ReplicationOptions::default().mode, Mode::Physical);
}
