//! The pin that a restore holds in the archive.

use std::sync::Arc;

use ops_backup::{Backup, BaseBackupRequest, ClusterDrillOptions, RestoreTarget};
use ops_core::ErrorKind as CoreKind;
use ops_core::memory::{FaultyObjectStore, Operation};
use ops_testkit::{Pg, fixture};

use super::{Place, files_only, source};
use crate::shared::{self, Bench};
use crate::wal::scene::{Running, flushed, quick, write};

/// An archive with a backup in it, and the store that they are read from.
async fn archived(pg: &Pg, bench: &Bench) -> (Backup, FaultyObjectStore) {
    let info = pg.connect_info("postgres");
    let backup = bench.backup(info.clone());
    let running = Running::start(&backup, quick());
    running.streaming().await;
    let job = backup.base_backup(BaseBackupRequest::full());
    job.finish().await.unwrap();
    write(pg, 1).await;
    running.durable(flushed(pg).await).await;
    running.stop().await;
    let store = FaultyObjectStore::new(Arc::clone(&bench.store));
    let builder = bench.builder_in(Arc::new(store.clone()), info);
    (builder.build().unwrap(), store)
}

fn says(warnings: &[String]) -> bool {
    warnings.iter().any(|it| it.contains("is not pinned"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_and_a_drill_pin_their_wal_and_do_without_where_they_may_not_write() {
    let Some(pg) = source().start().await else {
        return;
    };
    let bench = Bench::new();
    let (backup, store) = archived(&pg, &bench).await;
    let place = Place::new();
    let before = shared::keys(&*bench.store).await;
    let restore = async |name: &str| {
        let folder = place.join(name);
        let job = backup.restore_cluster(RestoreTarget::Latest, &folder, files_only());
        job.finish().await.unwrap()
    };
    assert!(!says(&restore("pinned").await.warnings));
    let calls = (store.calls(Operation::Put), store.calls(Operation::Delete));
    assert_eq!(calls, (1, 1), "it is written, and removed at the end");
    assert_eq!(shared::keys(&*bench.store).await, before);

    store.fail(Operation::Put, 1, CoreKind::PermissionDenied);
    assert!(says(&restore("unpinned").await.warnings));
    let drill = async || {
        let options = ClusterDrillOptions::new().with_folder(fixture::folder());
        let job = backup.drill_cluster(RestoreTarget::Latest, options);
        job.finish().await.unwrap()
    };
    store.fail(Operation::Put, 1, CoreKind::PermissionDenied);
    assert!(says(&drill().await.warnings));
    let deletes = store.calls(Operation::Delete);
    assert!(!says(&drill().await.warnings));
    assert_eq!(store.calls(Operation::Delete), deletes + 1);
}
