//! Base backups that are taken when they are due.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_backup::{Backup, BaseBackupRequest, DueReason, Keeper, KeeperOptions, PagePolicy, Result};
use ops_core::ObjectStore;
use ops_testkit::store::StoreFault;
use ops_testkit::{FaultStore, ManualClock, Pg, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::gaps::{forget, forgetful};
use super::scene::{self, SOON, quick};
use crate::base::shapes::file_of;
use crate::shared::Bench;

type Taken = Arc<Mutex<Vec<(DueReason, bool)>>>;

/// Stores that went away or came back.
type Moved = Arc<Mutex<Vec<(&'static str, bool)>>>;

struct Kept {
    keeper: Keeper,
    taken: Taken,
    moved: Moved,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl Kept {
    fn start(backup: &Backup, every: Duration) -> Self {
        Self::start_with(backup, KeeperOptions::new().with_every(every))
    }

    fn start_with(backup: &Backup, options: KeeperOptions) -> Self {
        let taken: Taken = Arc::default();
        let told = Arc::clone(&taken);
        let moved: Moved = Arc::default();
        let seen = Arc::clone(&moved);
        let options = options
            .with_archiver(quick())
            .with_look_every(Duration::from_millis(300))
            .with_on_backup(Arc::new(move |reason, outcome| {
                told.lock().unwrap().push((reason, outcome.is_ok()));
            }))
            .with_on_store(Arc::new(move |store| {
                let away = store.away_since.is_some();
                assert_eq!(away, store.error.is_some());
                seen.lock().unwrap().push((store.store, away));
            }));
        let keeper = backup.keeper(options).unwrap();
        let stop = CancellationToken::new();
        let (running, stopped) = (keeper.clone(), stop.clone());
        let task = tokio::spawn(async move { running.run(stopped).await });
        Self {
            keeper,
            taken,
            moved,
            stop,
            task,
        }
    }

    /// Waits until so many base backups were taken.
    async fn took(&self, count: usize) {
        wait_until("a base backup", SOON, async || {
            assert!(!self.task.is_finished(), "{:?}", self.keeper.status());
            self.taken.lock().unwrap().len() >= count
        })
        .await;
    }

    async fn durable(&self, pg: &Pg) {
        let end = scene::flushed(pg).await;
        wait_until("the WAL", SOON, async || {
            self.keeper.status().durable.is_some_and(|it| it >= end)
        })
        .await;
    }

    async fn stop(self) -> Vec<(DueReason, bool)> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.taken.lock().unwrap().clone()
    }
}

/// Sees to it that the newest WAL is in a window.
async fn assert_recoverable(pg: &Pg, backup: &Backup, kept: &Kept) {
    scene::write(pg, 1).await;
    let end = scene::flushed(pg).await;
    kept.durable(pg).await;
    let windows = backup.recoverable_windows().await.unwrap();
    assert!(windows.iter().any(|it| it.to >= end), "{end} {windows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_backup_is_taken_where_there_is_none_and_again_after_a_gap() {
    let Some(pg) = forgetful().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    assert_eq!(backup.status().await.unwrap().next_run, None);
    let day = Duration::from_secs(24 * 60 * 60);
    let kept = Kept::start(&backup, day);
    kept.took(1).await;
    wait_until("the next one to be known", SOON, async || {
        backup.status().await.unwrap().next_run.is_some()
    })
    .await;
    let newest = backup.latest().await.unwrap().unwrap().manifest;
    let next = backup.status().await.unwrap().next_run.unwrap();
    assert_eq!(next, newest.started_at.saturating_add(day));
    assert_recoverable(&pg, &backup, &kept).await;
    assert_eq!(kept.stop().await, [(DueReason::NoBackup, true)]);
    assert_eq!(backup.status().await.unwrap().next_run, None);

    // Started again, it has nothing to do; after a gap it has.
    let kept = Kept::start(&backup, day);
    wait_until("the next one to be known", SOON, async || {
        backup.status().await.unwrap().next_run == Some(next)
    })
    .await;
    assert_eq!(kept.stop().await, []);
    let client = pg.client("postgres").await;
    let drop_slot = "SELECT pg_drop_replication_slot('ops_backup')";
    client.batch_execute(drop_slot).await.unwrap();
    forget(&pg).await;
    let kept = Kept::start(&backup, day);
    kept.took(1).await;
    assert_recoverable(&pg, &backup, &kept).await;
    let status = backup.status().await.unwrap();
    assert_eq!(status.gaps.len(), 1, "{status:?}");
    assert_eq!(status.windows.len(), 2, "{status:?}");
    assert_eq!(kept.stop().await, [(DueReason::Gap, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_backup_is_taken_when_the_newest_is_old_whatever_the_clock_does() {
    let Some(pg) = scene::small().start().await else {
        return;
    };
    let bench = Bench::new();
    let clock = ManualClock::at("2026-11-20T12:00:00Z");
    let builder = bench.builder(pg.connect_info("postgres"));
    let backup = builder.clock(Arc::new(clock.clone())).build().unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let kept = Kept::start(&backup, day);
    kept.took(1).await;
    clock.advance(day);
    kept.took(2).await;
    // Set back by a month: nothing is due, and nothing is put off for longer than a day.
    clock.step_back(day * 30);
    wait_until("the next one", SOON, async || {
        let next = backup.status().await.unwrap().next_run;
        next.is_some_and(|next| next <= "2026-10-23T12:00:00Z".parse().unwrap())
    })
    .await;
    assert_recoverable(&pg, &backup, &kept).await;
    let base = backup.base_backup(BaseBackupRequest::full());
    let last = base.finish().await.unwrap();
    // By position, which no clock moves.
    let status = backup.status().await.unwrap();
    assert_eq!(status.newest_full.unwrap().id, last.id);
    let windows = backup.recoverable_windows().await.unwrap();
    assert_eq!(windows.len(), 1, "{windows:?}");
    assert_eq!(windows[0].backups.len(), 3);
    assert_eq!(windows[0].backups.last(), Some(&last.id));
    let taken = kept.stop().await;
    assert_eq!(taken, [(DueReason::NoBackup, true), (DueReason::Age, true)]);
}

/// Waits until a store that is looked at alone has a base backup and the newest WAL.
async fn recoverable_from(pg: &Pg, bench: &Bench, store: &Arc<dyn ObjectStore>) {
    scene::write(pg, 1).await;
    let end = scene::flushed(pg).await;
    let info = pg.connect_info("postgres");
    let alone = bench.builder_in(Arc::clone(store), info).build().unwrap();
    wait_until("the store to be filled", SOON, async || {
        let windows = alone.recoverable_windows().await.unwrap();
        windows.iter().any(|it| it.to >= end)
    })
    .await;
}

async fn a_store_is_away(away: usize) {
    let Some(pg) = scene::small().start().await else {
        return;
    };
    let (bench, other) = (Bench::new(), Bench::new());
    let faulty = Arc::new(FaultStore::new(Arc::clone(&bench.store)));
    faulty.inject(1, u64::MAX, StoreFault::Refuse);
    let mut stores: [Arc<dyn ObjectStore>; 2] =
        [Arc::clone(&faulty) as _, Arc::clone(&other.store)];
    stores.rotate_right(away);
    let [first, second] = stores;
    let info = pg.connect_info("postgres");
    let builder = bench.builder_in(first, info).second_store(second);
    let backup = builder.build().unwrap();
    let kept = Kept::start(&backup, Duration::from_secs(24 * 60 * 60));
    recoverable_from(&pg, &bench, &other.store).await;
    kept.took(1).await;
    let name = ["first", "second"][away];
    wait_until("the next one to be planned", SOON, async || {
        let stores = kept.keeper.stores();
        stores
            .iter()
            .any(|it| it.store != name && it.next.is_some())
    })
    .await;
    let stores = kept.keeper.stores();
    assert!(
        stores[away].error.as_deref().unwrap().contains("busy"),
        "{stores:?}"
    );
    assert_eq!((stores[away].store, stores[away].next), (name, None));
    assert_eq!(stores[1 - away].error, None, "{stores:?}");
    assert_eq!(kept.moved.lock().unwrap().as_slice(), [(name, true)]);
    assert_eq!(
        kept.taken.lock().unwrap().as_slice(),
        [(DueReason::NoBackup, true)]
    );

    // It gets what it lacks as soon as it is back.
    faulty.mend();
    recoverable_from(&pg, &bench, &bench.store).await;
    kept.took(2).await;
    wait_until("both to be planned", SOON, async || {
        let stores = kept.keeper.stores();
        stores
            .iter()
            .all(|it| it.error.is_none() && it.next.is_some())
    })
    .await;
    assert_eq!(backup.status().await.unwrap().stores, kept.keeper.stores());
    assert_eq!(
        kept.moved.lock().unwrap().as_slice(),
        [(name, true), (name, false)]
    );
    let again = (DueReason::NoBackup, true);
    assert_eq!(kept.stop().await, [again, again]);
    assert_eq!(backup.status().await.unwrap().stores, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_store_that_is_away_keeps_no_backup_and_no_wal_from_the_second() {
    a_store_is_away(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_store_that_is_away_keeps_no_backup_and_no_wal_from_the_first() {
    a_store_is_away(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_degraded_is_tried_again_after_a_pause() {
    let server = scene::small().with(|server| server.data_checksums(true));
    let Some(mut pg) = server.start().await else {
        return;
    };
    let file = file_of(&pg, "pg_amop").await;
    pg.stop(ops_pg::server::Shutdown::Fast).await;
    let path = pg.data_dir().join(file);
    let mut content = std::fs::read(&path).unwrap();
    content[8000] ^= 1;
    // The server must not look at the page before the backup does.
    let sound = std::fs::read(&path).unwrap();
    pg.start_again().await;
    std::fs::write(&path, content).unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let request = BaseBackupRequest::full().with_page_policy(PagePolicy::Degrade);
    let pause = Duration::from_secs(5 * 60);
    let options = KeeperOptions::new().with_retry_after(pause);
    let kept = Kept::start_with(&backup, options.with_request(request));
    kept.took(1).await;
    wait_until("the next one to be planned", SOON, async || {
        let stores = kept.keeper.stores();
        stores.first().is_some_and(|it| it.next.is_some())
    })
    .await;
    let store = kept.keeper.stores().remove(0);
    let newest = backup.latest().await.unwrap().unwrap().manifest;
    assert!(newest.physical.unwrap().degraded);
    assert_eq!(store.due, Some(DueReason::NoBackup));
    assert!(store.next.unwrap() >= newest.completed_at.saturating_add(pause));
    std::fs::write(&path, sound).unwrap();
    assert_eq!(kept.stop().await, [(DueReason::NoBackup, true)]);
}
