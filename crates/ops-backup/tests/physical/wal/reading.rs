//! What others see of the archive.

use std::sync::Arc;

use ops_backup::wal::plan_windows;
use ops_backup::{BaseBackupRequest, ErrorKind, Timeline, WalMethod};
use ops_core::object_store::ObjectKey;
use ops_local::Local;

use super::scene::{self, Running, assert_complete, quick, small};
use crate::shared::{self, Bench};

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_archive_is_seen_by_everybody_who_looks() {
    let Some(pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let running = Running::start(&bench.backup(pg.connect_info("postgres")), quick());
    running.streaming().await;
    scene::write(&pg, 8).await;
    running.durable(scene::flushed(&pg).await).await;
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    let whole = archive.coverage(None).await.unwrap();
    let mut segments = shared::keys(&*bench.store).await;
    segments.retain(|key| key.contains("/segments/"));
    let lost = ObjectKey::new(segments[segments.len() / 2].as_str()).unwrap();
    bench.store.delete(&lost).await.unwrap();
    let torn = archive.coverage(None).await.unwrap();
    assert_eq!((whole.runs.len(), torn.runs.len()), (1, 2));
    let frontier = archive.frontier(Timeline::FIRST).await.unwrap().unwrap();
    assert_eq!(frontier.end, torn.runs[0].end);
    assert_eq!(plan_windows(&[], &torn), []);
    let name = lost.as_str().rsplit('/').next().unwrap();
    let name = name.strip_suffix(".zst.age").unwrap();
    let to = bench.folder.path().join("to");
    let err = scene::fetch(&archive, name, &to).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::WalMissing, "{err:?}");
    // The archiver fills it again, as long as the server has it.
    let running = Running::start(&bench.backup(pg.connect_info("postgres")), quick());
    running.durable(whole.runs[0].end).await;
    running.stop().await;
    assert_eq!(archive.coverage(None).await.unwrap().runs.len(), 1);
    assert_complete(&pg, &archive, whole.runs[0].end, bench.folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_recovered_begins_with_a_backup_and_goes_on_to_the_newest_commit() {
    let Some(pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    scene::write(&pg, 2).await;
    assert_eq!(backup.recoverable_windows().await.unwrap(), []);
    let mut ids = Vec::new();
    for method in [WalMethod::Included, WalMethod::Archive] {
        let request = BaseBackupRequest::full().with_wal(method);
        let report = backup.base_backup(request).finish().await.unwrap();
        ids.push(report.id);
        scene::write(&pg, 2).await;
    }
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    let newest = running.archiver.status().newest_durable_commit.unwrap();
    let windows = backup.recoverable_windows().await.unwrap();
    assert_eq!(windows.len(), 1, "{windows:?}");
    let window = &windows[0];
    assert_eq!(window.backups, ids);
    assert!(window.to >= end && window.from < end, "{window:?}");
    assert!(
        window.to_time >= newest && window.from_time < newest,
        "{window:?} {newest}"
    );
    assert_eq!(window.system_id, running.archiver.status().system_id);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_a_folder_is_the_same_archive_when_it_is_opened_anew() {
    let Some(pg) = small().start().await else {
        return;
    };
    let bench = Bench::new();
    let running = Running::start(&bench.backup(pg.connect_info("postgres")), quick());
    running.streaming().await;
    scene::write(&pg, 2).await;
    let client = pg.client("postgres").await;
    let point = "SELECT pg_create_restore_point('before the flood')::text";
    let point: String = client.query_one(point, &[]).await.unwrap().get(0);
    scene::write(&pg, 1).await;
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    running.stop().await;
    let store = Local::builder(bench.folder.path().join("store"))
        .build()
        .unwrap();
    let archive = scene::open(&bench, Arc::new(store)).await;
    assert_complete(&pg, &archive, end, bench.folder.path()).await;
    let points = archive.restore_points().await.unwrap();
    assert_eq!(points.len(), 1);
    let found = (points[0].name.as_str(), points[0].end.to_string());
    assert_eq!(found, ("before the flood", point));
}
