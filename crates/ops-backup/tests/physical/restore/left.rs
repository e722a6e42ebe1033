//! What a restore leaves whose process was killed.

use std::fs;

use ops_backup::{BaseBackupRequest, ErrorKind, RestoreTarget};
use ops_pg::server::ThrowawayServer;

use super::{Place, TABLES, options, restored, source};
use crate::judges::dump;
use crate::shared::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_a_killed_restore_has_left_running_is_ended_by_the_next_one() {
    let Some(pg) = source().start().await else {
        return;
    };
    let database = pg.client("postgres").await;
    database.batch_execute(TABLES).await.unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let job = backup.base_backup(BaseBackupRequest::full());
    job.finish().await.unwrap();
    let place = Place::new();
    let (folder, servers) = (place.join("data"), place.join("servers"));
    let again = || options().with_delta(true).with_server_folder(&servers);
    let copy = restored(&pg, &backup, RestoreTarget::Latest, &folder, again()).await;
    drop(copy);

    let server = ThrowawayServer::builder(pg.binaries().clone(), &servers).data_dir(&folder);
    let left = Box::leak(Box::new(server.create_empty().await.unwrap()));
    left.start().await.unwrap();
    // Its owner is dead: nobody holds the file that says that one lives.
    let owner = left.socket_dir().parent().unwrap().join("owner");
    fs::remove_file(&owner).unwrap();
    fs::write(&owner, "").unwrap();

    // Somebody else's server is nobody's to end.
    let elsewhere = again().with_server_folder(place.join("elsewhere"));
    let job = backup.restore_cluster(RestoreTarget::Latest, &folder, elsewhere);
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TargetNotEmpty, "{err:?}");
    assert!(left.is_running());

    let copy = restored(&pg, &backup, RestoreTarget::Latest, &folder, again()).await;
    assert!(!left.is_running());
    assert_eq!(dump(&copy).await, dump(&pg).await);
}
