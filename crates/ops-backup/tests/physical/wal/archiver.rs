//! The archiver on one server.

use std::sync::Arc;
use std::time::Duration;

use ops_testkit::wait_until;

use super::scene::{self, Running, SOON, assert_complete, keeping, quick};
use crate::shared::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn every_segment_is_archived_as_the_server_has_it() {
    let Some(pg) = keeping().start().await else { return };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    wait_until("the stream", SOON, async || {
        running.archiver.status().durable.is_some()
    })
    .await;
    scene::write(&pg, 60).await;
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    let status = running.archiver.status();
    assert!(status.segments >= 3, "{status:?}");
    assert!(status.parts > 0, "{status:?}");
    assert_eq!((status.unreadable, status.retried_uploads), (0, 0), "{status:?}");
    assert!(status.newest_durable_commit.is_some());
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    let count = assert_complete(&pg, &archive, end, bench.folder.path()).await;
    assert!(count >= 3, "{count}");
    let frontier = archive.frontier(ops_backup::Timeline::FIRST).await.unwrap().unwrap();
    assert!(frontier.end >= end);
    assert_eq!(frontier.newest_commit, status.newest_durable_commit);
    tokio::time::sleep(Duration::ZERO).await;
}
