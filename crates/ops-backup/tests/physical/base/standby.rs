//! Backups of standbys.

use ops_backup::{BaseBackupRequest, ErrorKind};
use ops_testkit::Pg;

use super::failures::{assert_failed, fails, reach_the_middle, slow};
use super::quiet;
use crate::shared::Bench;

/// Makes a standby of a server out of a backup.
async fn standby_of(pg: &Pg, bench: &Bench) -> Option<Pg> {
    let backup = bench.backup(pg.connect_info("postgres"));
    backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    let latest = backup.latest().await.unwrap().unwrap();
    let unpacked = crate::support::unpack(bench, &latest.manifest, "standby");
    let host = pg.socket_dir().display().to_string();
    let conninfo = format!("host={host} port={} user=postgres", pg.port());
    let mut standby = Pg::builder()
        .major(pg.binaries().major().0)
        .setting("primary_conninfo", &conninfo)
        .create_empty()
        .await?;
    let all = unpacked.folder.join(".");
    let into = standby.data_dir();
    crate::support::call("cp", ["-a".as_ref(), all.as_os_str(), into.as_os_str()]);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(standby.data_dir(), mode).unwrap();
    std::fs::write(standby.data_dir().join("standby.signal"), "").unwrap();
    standby.adopt_data_dir().await.unwrap();
    standby.start_again().await;
    Some(standby)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_backed_up_unless_it_is_promoted_in_the_middle() {
    let pg = quiet().setting("full_page_writes", "on").start().await;
    let Some(pg) = pg else {
        return;
    };
    let (bench, other) = (Bench::new(), Bench::new());
    let Some(standby) = standby_of(&pg, &other).await else {
        return;
    };
    let backup = bench.backup(standby.connect_info("postgres"));
    let mut job = backup.base_backup(slow());
    reach_the_middle(&mut job).await;
    let sql = "SELECT pg_promote()";
    standby
        .client("postgres")
        .await
        .batch_execute(sql)
        .await
        .unwrap();
    let err = assert_failed(&backup, &bench, job.finish().await).await;
    assert_eq!(err.kind(), ErrorKind::SourceChanged, "{err:?}");

    let report = backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    assert!(!report.physical.from_standby);
    assert_eq!(
        report.physical.timeline.get(),
        2,
        "it goes on on its own timeline"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_standby_says_so_and_verifies() {
    let pg = quiet().setting("full_page_writes", "on").start().await;
    let Some(pg) = pg else {
        return;
    };
    let (bench, other) = (Bench::new(), Bench::new());
    let Some(standby) = standby_of(&pg, &other).await else {
        return;
    };
    let sql = "CREATE TABLE more AS SELECT i FROM generate_series(1, 10000) i; CHECKPOINT";
    pg.client("postgres")
        .await
        .batch_execute(sql)
        .await
        .unwrap();
    let backup = bench.backup(standby.connect_info("postgres"));
    let report = backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    assert!(report.physical.from_standby);
    let latest = backup.latest().await.unwrap().unwrap();
    let unpacked = crate::support::unpack(&bench, &latest.manifest, "ours");
    crate::support::verify(&standby, &unpacked.folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_whose_primary_writes_no_full_pages_is_told_to() {
    // The tests' servers do without them unless they are told else.
    let Some(pg) = quiet().start().await else {
        return;
    };
    let (bench, other) = (Bench::new(), Bench::new());
    let Some(standby) = standby_of(&pg, &other).await else {
        return;
    };
    let sql = "CREATE TABLE more AS SELECT i FROM generate_series(1, 10000) i; CHECKPOINT";
    pg.client("postgres")
        .await
        .batch_execute(sql)
        .await
        .unwrap();
    let backup = bench.backup(standby.connect_info("postgres"));
    let err = fails(&backup, &bench).await;
    assert_eq!(err.kind(), ErrorKind::SourceSettings, "{err:?}");
    assert!(err.hint().unwrap().contains("full_page_writes"), "{err}");
}
