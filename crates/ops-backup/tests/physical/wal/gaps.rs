//! WAL that is lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_backup::Timeline;
use ops_backup::wal::{ArchiverOptions, ArchiverState, GapReason, GapRecord, SlotPolicy, WalFile};
use ops_core::ErrorKind as CoreKind;
use ops_core::memory::{FaultyObjectStore, Operation};
use ops_testkit::pg::PgBuilder;
use ops_testkit::{Pg, wait_until};

use super::scene::{self, Running, SOON, quick};
use crate::shared::{self, Bench};

/// A server that keeps no more WAL than it must.
pub(super) fn forgetful() -> PgBuilder {
    Pg::builder()
        .with(|server| server.wal_segment_size_mb(1))
        .setting("min_wal_size", "2MB")
        .setting("max_wal_size", "8MB")
        .setting("wal_keep_size", "0")
}

/// Gaps as the hook was told of them.
type Told = Arc<Mutex<Vec<GapRecord>>>;

fn told() -> (Told, ArchiverOptions) {
    let told = Told::default();
    let heard = Arc::clone(&told);
    let options = quick().with_on_gap(Arc::new(move |gap: &GapRecord| {
        heard.lock().unwrap().push(gap.clone());
    }));
    (told, options)
}

pub(super) async fn forget(pg: &Pg) {
    let client = pg.client("postgres").await;
    for _ in 0..3 {
        scene::write(pg, 4).await;
        scene::switch(pg).await;
        client.batch_execute("CHECKPOINT").await.unwrap();
    }
}

/// Sees to it that there is one gap, that it is written down, that nothing else is missing,
/// and that what lies behind it can be had.
async fn assert_one_gap(pg: &Pg, bench: &Bench, told: &Mutex<Vec<GapRecord>>, reason: GapReason) {
    let archive = scene::open(bench, Arc::clone(&bench.store)).await;
    let gaps = archive.gaps().await.unwrap();
    assert_eq!(gaps, *told.lock().unwrap());
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let gap = &gaps[0];
    assert_eq!(gap.reason, reason);
    let coverage = archive.coverage(None).await.unwrap();
    assert_eq!(coverage.runs.len(), 2, "{:?}", coverage.runs);
    assert_eq!(coverage.runs[0].end, gap.from);
    assert_eq!(coverage.runs[1].start, gap.to);
    let frontier = archive.frontier(Timeline::FIRST).await.unwrap().unwrap();
    assert_eq!(frontier.end, coverage.runs[1].end);
    assert!(frontier.end >= scene::flushed(pg).await);
    // The segments around the gap are told apart from those in it.
    let size = archive.segment_size();
    let to = bench.folder.path().join("to");
    let name = |lsn: ops_backup::Lsn| lsn.segment(Timeline::FIRST, size).file_name(size);
    let inside = gap.from.saturating_add(size.bytes());
    let missing = scene::fetch(&archive, &name(inside), &to).await;
    assert_eq!(scene::kind(missing), ops_backup::ErrorKind::WalMissing);
    let behind = WalFile::parse(&name(gap.to), size).unwrap();
    let options = ops_backup::wal::FetchOptions::default().with_open_segment(true);
    let found = archive.fetch(&behind, &to, options).await.unwrap();
    assert!(
        matches!(found, ops_backup::wal::Fetched::Found { .. }),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_that_went_with_a_dropped_slot_is_a_gap_that_is_written_down() {
    let Some(pg) = forgetful().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    scene::write(&pg, 3).await;
    running.durable(scene::flushed(&pg).await).await;
    running.stop().await;
    let client = pg.client("postgres").await;
    client
        .execute("SELECT pg_drop_replication_slot('ops_backup')", &[])
        .await
        .unwrap();
    forget(&pg).await;
    let (told, options) = told();
    let running = Running::start(&backup, options);
    running.streaming().await;
    scene::write(&pg, 3).await;
    running.durable(scene::flushed(&pg).await).await;
    let status = running.archiver.status();
    assert!(status.base_backup_needed, "{status:?}");
    assert_eq!(status.gaps.len(), 1, "{status:?}");
    running.stop().await;
    assert_one_gap(&pg, &bench, &told, GapReason::SlotMissing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_gone_while_the_server_still_has_the_wal_makes_no_gap() {
    let keeping = Pg::builder()
        .with(|server| server.wal_segment_size_mb(1))
        .setting("wal_keep_size", "1GB");
    let Some(pg) = keeping.start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    running.stop().await;
    let client = pg.client("postgres").await;
    let drop_slot = "SELECT pg_drop_replication_slot('ops_backup')";
    client.execute(drop_slot, &[]).await.unwrap();
    forget(&pg).await;
    let running = Running::start(&backup, quick());
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    assert_eq!(running.archiver.status().gaps, []);
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    scene::assert_complete(&pg, &archive, end, bench.folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_the_server_invalidated_is_made_anew_behind_a_gap() {
    let limited = forgetful().setting("max_slot_wal_keep_size", "3MB");
    let Some(pg) = limited.start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    scene::write(&pg, 2).await;
    running.durable(scene::flushed(&pg).await).await;
    running.stop().await;
    forget(&pg).await;
    let client = pg.client("postgres").await;
    let row = client
        .query_one("SELECT wal_status FROM pg_replication_slots", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, String>(0), "lost");
    let (told, options) = told();
    let running = Running::start(&backup, options);
    running.streaming().await;
    scene::write(&pg, 2).await;
    running.durable(scene::flushed(&pg).await).await;
    running.stop().await;
    assert_one_gap(&pg, &bench, &told, GapReason::SlotLost).await;
}

/// An archiver that streams, and drops a slot that keeps more than 6 MiB; its store, which
/// can be made to fail, and the gaps that it tells of.
async fn limited(pg: &Pg, bench: &Bench) -> (FaultyObjectStore, Told, Running) {
    let store = FaultyObjectStore::new(Arc::clone(&bench.store));
    let builder = bench.builder_in(Arc::new(store.clone()), pg.connect_info("postgres"));
    let (told, options) = told();
    let options = options.with_slot_policy(SlotPolicy::DropAbove(6 << 20));
    let running = Running::start(&builder.build().unwrap(), options);
    running.streaming().await;
    scene::write(pg, 2).await;
    running.durable(scene::flushed(pg).await).await;
    (store, told, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_keeps_too_much_is_dropped_by_policy_while_the_store_is_away() {
    let Some(pg) = forgetful().start().await else {
        return;
    };
    let bench = Bench::new();
    let (store, told, running) = limited(&pg, &bench).await;
    // Nothing can be written for as long as this holds.
    for nth in 1..=5000 {
        store.fail(Operation::Put, nth, CoreKind::Unavailable);
    }
    forget(&pg).await;
    let client = pg.client("postgres").await;
    wait_until("the slot to be dropped", SOON, async || {
        // What the archiver makes anew keeps little.
        let kept = "SELECT count(*) FROM pg_replication_slots WHERE \
                    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) > 6 * 1024 * 1024";
        client.query_one(kept, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    client.batch_execute("CHECKPOINT").await.unwrap();
    // The faults are used up one by one; here they end at once.
    let healed = bench
        .builder_in(Arc::clone(&bench.store), pg.connect_info("postgres"))
        .build()
        .unwrap();
    running.abort().await;
    let gone =
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active";
    wait_until("the slot to be free", SOON, async || {
        client.query(gone, &[]).await.is_ok_and(|_| true)
    })
    .await;
    forget(&pg).await;
    let (heard, options) = self::told();
    let running = Running::start(&healed, options);
    running.streaming().await;
    scene::write(&pg, 1).await;
    running.durable(scene::flushed(&pg).await).await;
    running.stop().await;
    assert!(told.lock().unwrap().is_empty(), "nothing could be written");
    assert_one_gap(&pg, &bench, &heard, GapReason::SlotMissing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_tells_how_much_the_slot_keeps_and_asks_for_free_disk() {
    let Some(pg) = forgetful().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let free = Arc::new(Mutex::new(100_u64));
    let told = Arc::clone(&free);
    let options = quick().with_min_free_disk(10, Arc::new(move || Some(*told.lock().unwrap())));
    let running = Running::start(&backup, options);
    running.streaming().await;
    wait_until("the guard to look", SOON, async || {
        running
            .archiver
            .status()
            .slot
            .is_some_and(|slot| slot.free_disk == Some(100) && slot.wal_status == "reserved")
    })
    .await;
    let before = running.archiver.status().connections;
    *free.lock().unwrap() = 5;
    let client = pg.client("postgres").await;
    wait_until("the slot to be dropped", SOON, async || {
        let slots = client
            .query("SELECT 1 FROM pg_replication_slots", &[])
            .await
            .unwrap();
        slots.is_empty() || running.archiver.status().connections > before
    })
    .await;
    *free.lock().unwrap() = 100;
    wait_until("the archiver to go on", SOON, async || {
        let status = running.archiver.status();
        status.state == ArchiverState::Streaming && status.connections > before
    })
    .await;
    scene::write(&pg, 1).await;
    running.durable(scene::flushed(&pg).await).await;
    tokio::time::sleep(Duration::ZERO).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_dropped_by_policy_leaves_a_gap_that_says_so() {
    let Some(pg) = forgetful().start().await else {
        return;
    };
    let bench = Bench::new();
    let (store, told, running) = limited(&pg, &bench).await;
    // The store is back when these are used up: after the slot was dropped, since the guard
    // looks more often than uploads are tried again.
    for nth in 1..=60 {
        store.fail(Operation::Put, nth, CoreKind::Unavailable);
    }
    forget(&pg).await;
    wait_until("the gap", SOON, async || {
        !told.lock().unwrap().is_empty()
            && running.archiver.status().state == ArchiverState::Streaming
    })
    .await;
    scene::write(&pg, 2).await;
    running.durable(scene::flushed(&pg).await).await;
    running.stop().await;
    assert_one_gap(&pg, &bench, &told, GapReason::DroppedByPolicy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_that_the_server_removed_although_the_slot_is_there_is_a_gap() {
    let Some(pg) = forgetful().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let running = Running::start(&backup, quick());
    running.streaming().await;
    scene::write(&pg, 12).await;
    running.durable(scene::flushed(&pg).await).await;
    running.stop().await;
    // The store is set back to an earlier state, and the slot is not.
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    let size = archive.segment_size();
    let run = &archive.coverage(None).await.unwrap().runs[0];
    let kept = run.start.saturating_add(3 * size.bytes());
    for key in shared::keys(&*bench.store).await {
        let name = key.rsplit('/').next().unwrap().split('.').next().unwrap();
        let file = WalFile::parse(name, size);
        let later = matches!(file, Ok(WalFile::Segment(it)) if it.start(size) >= kept);
        if later || key.contains("/parts/") || key.ends_with("frontier.json") {
            let key = ops_core::ObjectKey::new(key).unwrap();
            bench.store.delete(&key).await.unwrap();
        }
    }
    forget(&pg).await;
    let (told, options) = told();
    let running = Running::start(&backup, options);
    running.streaming().await;
    scene::write(&pg, 2).await;
    running.durable(scene::flushed(&pg).await).await;
    running.stop().await;
    assert_one_gap(&pg, &bench, &told, GapReason::WalRemoved).await;
}
