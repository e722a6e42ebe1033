//! Letting go of WAL, with real backups and a real restore.

use std::time::Duration;

use ops_backup::wal::WalRetention;
use ops_backup::{Backup, BackupId, BaseBackupRequest, RestoreTarget, VerifyOptions, WalMethod};
use ops_testkit::Pg;

use super::scene::{self, Running, quick, small};
use crate::restore::{Place, client, options, restored};
use crate::shared::{self, Bench};

async fn base(backup: &Backup, wal: WalMethod) -> BackupId {
    let request = BaseBackupRequest::full().with_wal(wal);
    backup.base_backup(request).finish().await.unwrap().id
}

async fn work(pg: &Pg, running: &Running) {
    scene::write(pg, 3).await;
    scene::switch(pg).await;
    running.durable(scene::flushed(pg).await).await;
}

/// What the work has written: how much, and all of it in one number.
async fn rows(client: &tokio_postgres::Client) -> (i64, String) {
    let sql = "SELECT count(*), md5(string_agg(x, '' ORDER BY i)) FROM filler";
    let row = client.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_restores_to_the_newest_commit_and_older_backups_to_their_end() {
    let Some(pg) = small().start().await else {
        return;
    };
    let (bench, place) = (Bench::new(), Place::new());
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    work(&pg, &running).await;
    let first = base(&backup, WalMethod::Included).await;
    work(&pg, &running).await;
    let bare = base(&backup, WalMethod::Archive).await;
    work(&pg, &running).await;
    base(&backup, WalMethod::Included).await;
    work(&pg, &running).await;
    let before = shared::keys(&*bench.store).await.len();
    let retention = WalRetention::new()
        .with_window(Duration::ZERO)
        .with_grace(Duration::ZERO);
    let mut removed = 0;
    for _ in 0..2 {
        for done in backup.expire_wal(&retention).await {
            removed += done.outcome.unwrap().objects;
        }
    }
    assert!(removed >= 6, "{removed}");
    assert!(shared::keys(&*bench.store).await.len() < before);
    // The archiver goes on as if nothing had been.
    work(&pg, &running).await;
    let expected = rows(&pg.client("postgres").await).await;
    running.stop().await;
    let running = Running::start(&backup, quick());
    running.streaming().await;
    assert_eq!(running.archiver.status().gaps, []);
    running.stop().await;

    let windows = backup.recoverable_windows().await.unwrap();
    assert_eq!(windows.len(), 3, "{windows:?}");
    let report = backup.verify(VerifyOptions::new()).finish().await.unwrap();
    assert!(report.passed, "{:?}", report.problems);
    let latest = place.join("latest");
    let copy = restored(&pg, &backup, RestoreTarget::Latest, &latest, options()).await;
    assert_eq!(rows(&client(&copy).await).await, expected);
    drop(copy);
    for (name, id) in [("first", first), ("bare", bare)] {
        let target = RestoreTarget::Immediate { backup: id };
        drop(restored(&pg, &backup, target, &place.join(name), options()).await);
    }
}
