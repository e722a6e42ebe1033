//! Base backups whose WAL is in the archive.

use std::time::Duration;

use ops_backup::wal::ArchiverOptions;
use ops_backup::{BaseBackupRequest, ErrorKind, Phase, WalMethod};
use tokio_util::sync::CancellationToken;

use super::quiet;
use crate::shared::Bench;
use crate::support::{index, unpack};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_committed_once_the_archive_has_its_wal_and_not_before() {
    let pg = quiet()
        .with(|server| server.wal_segment_size_mb(1))
        .start()
        .await;
    let Some(pg) = pg else { return };
    let bench = Bench::new();
    let backup = bench
        .builder(pg.connect_info("postgres"))
        .stall_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let archiver = backup.archiver(ArchiverOptions::default()).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { archiver.run(stop).await }
    });
    let request = BaseBackupRequest::full().with_wal(WalMethod::Archive);
    // It takes a moment to begin.
    let report = loop {
        match backup.base_backup(request.clone()).finish().await {
            Ok(report) => break report,
            Err(err) if err.kind() == ErrorKind::WalMissing => {}
            Err(err) => panic!("{err:?}"),
        }
    };
    assert_eq!(report.physical.wal, WalMethod::Archive);
    let latest = backup.latest().await.unwrap().unwrap();
    let entries = index(&bench, &latest.manifest);
    let wal = entries.iter().filter(|it| it.path.starts_with(b"pg_wal/0"));
    assert_eq!(wal.count(), 0);
    unpack(&bench, &latest.manifest, "ours");
    let archive = backup.wal_archive().await.unwrap().unwrap();
    let coverage = archive.coverage(None).await.unwrap();
    let range = report.physical.wal_ranges[0];
    let run = coverage.runs.iter().find(|run| run.start <= range.start);
    assert!(run.unwrap().end >= report.physical.end_lsn);

    // Nobody archives any more.
    stop.cancel();
    running.await.unwrap().unwrap();
    let mut job = backup.base_backup(request);
    let mut waited = false;
    while let Some(event) = job.next_event().await {
        waited |= event == ops_backup::Event::Phase(Phase::Wal);
    }
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::WalMissing, "{err:?}");
    assert!(waited && err.hint().unwrap().contains("archiver"), "{err}");
    assert_eq!(backup.catalogue().await.unwrap().len(), 1);
}
