//! Several jobs in one store.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::{Backup, BackupReport, ErrorKind, Event, Job, Phase, RestoreOptions};
use ops_core::database::ConnectInfo;
use ops_core::memory::MemoryObjectStore;
use ops_core::object_store::PutOptions;
use ops_core::{Clock, ObjectStore, SystemClock};
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, ManualClock, Pg, wait_until};
use tokio::sync::Notify;

use crate::stores::{Late, Odd, Oddity};
use crate::support::{self, Bench};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A database behind a proxy, whose dump is stored in several objects.
struct Scene {
    pg: Pg,
    proxy: FaultProxy,
    through: ConnectInfo,
    bench: Bench,
}

impl Scene {
    async fn new() -> Option<Self> {
        let pg = Pg::builder().tcp(true).start().await?;
        pg.create_database("shop").await;
        let client = pg.client("shop").await;
        client
            .batch_execute(
                "CREATE TABLE big AS SELECT i, sha256(i::text::bytea) AS x, \
                 sha256((-i)::text::bytea) AS y FROM generate_series(1, 50000) i",
            )
            .await
            .unwrap();
        let direct = pg.connect_info("shop");
        let proxy = FaultProxy::start(Backend::of(&direct).await).await;
        let through = proxy.connect_info(&direct);
        Some(Self {
            pg,
            proxy,
            through,
            bench: Bench::new(),
        })
    }

    fn engine(&self, clock: Arc<dyn Clock>) -> Backup {
        self.bench
            .builder(self.through.clone())
            .max_object_bytes(1 << 20)
            .frame_bytes(128 << 10)
            .clock(clock)
            .build()
            .unwrap()
    }

    /// An engine that takes every other job for abandoned.
    fn sweeper(&self) -> Backup {
        self.bench
            .builder(self.pg.connect_info("shop"))
            .sweep_grace(Duration::ZERO)
            .build()
            .unwrap()
    }

    async fn objects(&self, part: &str) -> usize {
        let keys = support::keys(&*self.bench.store).await;
        keys.iter().filter(|key| key.contains(part)).count()
    }
}

/// Waits until a job dumps: it has its lease then, and has swept.
async fn dumps(job: &mut Job<BackupReport>) {
    while let Some(event) = job.next_event().await {
        if event == Event::Phase(Phase::Dump) {
            return;
        }
    }
    panic!("the job ended before it dumped");
}

/// The clock of a machine that is an hour off.
fn clocks() -> [(&'static str, Arc<dyn Clock>); 3] {
    let now = SystemClock.now();
    [
        ("right", Arc::new(SystemClock)),
        ("fast", Arc::new(ManualClock::new(now.saturating_add(HOUR)))),
        ("slow", Arc::new(ManualClock::new(now.saturating_sub(HOUR)))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_at_the_same_time_spare_each_other_also_where_clocks_are_an_hour_off() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    for (name, clock) in clocks() {
        let first = scene.engine(Arc::new(SystemClock));
        let second = scene.engine(clock);
        scene.proxy.set_throttle(Some(4_000_000));
        let mut job = first.dump();
        dumps(&mut job).await;
        let mut other = second.dump();
        dumps(&mut other).await;
        // Both are at it. Another sweep, by the clock that is off, finds nothing to do.
        let swept = second.sweep().await.unwrap();
        assert_eq!(
            (swept.removed, swept.in_progress.len()),
            (vec![], 2),
            "{name}"
        );
        scene.proxy.heal().await;

        let (one, two) = tokio::join!(job.finish(), other.finish());
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(
            (one.swept.removed, two.swept.removed),
            (vec![], vec![]),
            "{name}"
        );
        assert_eq!(two.swept.in_progress, slice::from_ref(&one.id), "{name}");
        support::assert_only_committed(&first, &*scene.bench.store).await;
        for id in [one.id, two.id] {
            let copy = format!("copy {id}");
            scene.pg.create_database(&copy).await;
            let target = scene.pg.connect_info(&copy);
            let restored = second.restore(&id, target, RestoreOptions::new()).finish();
            restored
                .await
                .unwrap_or_else(|err| panic!("{name}: {err:?}"));
        }
    }
    assert_eq!(scene.sweeper().catalogue().await.unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_taken_for_abandoned_commits_nothing_and_leaves_nothing() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let backup = scene.engine(Arc::new(SystemClock));
    scene.proxy.set_throttle(Some(4_000_000));
    let job = backup.dump();
    wait_until("the first object", Duration::from_secs(30), async || {
        scene.objects("/dump.00000").await == 1
    })
    .await;
    scene.proxy.set_frozen(true);

    let sweeper = scene.sweeper();
    let swept = sweeper.sweep().await.unwrap();
    assert_eq!(swept.removed.len(), 1);
    assert!(swept.objects >= 3, "lease, identity, dump: {swept:?}");
    assert_eq!(scene.objects("backups/").await, 0);

    scene.proxy.heal().await;
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Fenced, "{err:?}");
    assert!(err.is_transient());
    assert!(
        err.left_behind().unwrap().contains("nothing was committed"),
        "{err}"
    );
    assert_eq!(
        support::pieces(&*scene.bench.store).await,
        Vec::<String>::new()
    );
    assert!(sweeper.catalogue().await.unwrap().is_empty());
    backup.dump().finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_taken_for_abandoned_while_it_commits_is_not_listed() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let store = Arc::new(Odd {
        store: Arc::clone(&scene.bench.store),
        oddity: Oddity::Slow {
            reached: Notify::new(),
            go: Notify::new(),
        },
    });
    let Oddity::Slow { reached, go } = &store.oddity else {
        panic!("the store is slow")
    };
    let backup = scene
        .bench
        .builder_in(Arc::clone(&store) as _, scene.through.clone())
        .build()
        .unwrap();
    let job = backup.dump();
    reached.notified().await;
    let sweeper = scene.sweeper();
    assert_eq!(sweeper.sweep().await.unwrap().removed.len(), 1);
    go.notify_one();

    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Fenced, "{err:?}");
    assert!(sweeper.catalogue().await.unwrap().is_empty());
    assert_eq!(
        support::pieces(&*scene.bench.store).await,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_not_half_undone() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let store = Arc::new(Odd {
        store: Arc::clone(&scene.bench.store),
        oddity: Oddity::Mute,
    });
    let backup = scene
        .bench
        .builder_in(store, scene.through.clone())
        .build()
        .unwrap();
    let err = backup.dump().finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Store, "{err:?}");
    // Either all of it or nothing.
    support::assert_only_committed(&backup, &*scene.bench.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_a_committed_backup_has_left_is_swept() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let backup = scene.sweeper();
    let id = backup.dump().finish().await.unwrap().id;
    let lease = format!("backups/{id}/lease.json").parse().unwrap();
    let content = "{\"state\":\"held\",\"renewals\":1}\n".into();
    scene
        .bench
        .store
        .put(&lease, content, PutOptions::default())
        .await
        .unwrap();
    let swept = backup.sweep().await.unwrap();
    assert_eq!((swept.removed, swept.in_progress), (vec![], vec![]));
    support::assert_only_committed(&backup, &*scene.bench.store).await;
}

/// What stands in the place of a manifest that must not come any more.
const TOMBSTONE: &str = "{\"format\":1,\"swept\":true}\n";

/// An engine whose manifests are under way until they are told to arrive.
fn late(scene: &Scene, gives_up: bool) -> (Backup, Arc<Late>) {
    let late = Arc::new(Late {
        gives_up,
        ..Late::default()
    });
    let store = Arc::new(Odd {
        store: Arc::clone(&scene.bench.store),
        oddity: Oddity::Late(Arc::clone(&late)),
    });
    let backup = scene.bench.builder_in(store, scene.through.clone());
    (backup.build().unwrap(), late)
}

/// Lets the manifest arrive, and sees to it that nothing comes of it.
async fn arrives_in_vain(scene: &Scene, late: &Late) {
    late.go.notify_one();
    wait_until("the manifest", Duration::from_secs(10), async || {
        late.arrived.initialized()
    })
    .await;
    let err = late.arrived.get().unwrap().as_ref().unwrap_err();
    assert_eq!(err.kind(), ops_core::ErrorKind::AlreadyExists);
    let others = scene.sweeper();
    assert!(others.catalogue().await.unwrap().is_empty());
    assert_eq!(others.sweep().await.unwrap().removed, vec![]);
    let left = support::pieces(&*scene.bench.store).await;
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_arrives_after_its_job_gave_up_is_refused() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let (backup, late) = late(&scene, true);
    let err = backup.dump().finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Store, "{err:?}");
    arrives_in_vain(&scene, &late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_arrives_after_the_sweep_of_its_dead_job_is_refused() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let (backup, late) = late(&scene, false);
    let job = backup.dump();
    late.sent.notified().await;
    // Dropped, it cleans nothing up.
    drop(job);
    let swept = scene.sweeper().sweep().await.unwrap();
    assert_eq!(swept.removed.len(), 1);
    let id = &swept.removed[0];
    let err = backup
        .drill(id, support::drill_options())
        .finish()
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound, "{err:?}");
    arrives_in_vain(&scene, &late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_arrives_before_the_sweep_is_a_backup() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let (backup, late) = late(&scene, false);
    let job = backup.dump();
    late.sent.notified().await;
    drop(job);
    late.go.notify_one();
    wait_until("the manifest", Duration::from_secs(10), async || {
        late.arrived.initialized()
    })
    .await;
    assert_eq!(scene.sweeper().sweep().await.unwrap().removed, vec![]);
    assert_eq!(backup.catalogue().await.unwrap().len(), 1);
    support::assert_only_committed(&backup, &*scene.bench.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_was_cut_off_is_finished_and_its_tombstone_kept_for_a_week() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let store = MemoryObjectStore::builder().clock(Arc::clone(&clock) as _);
    let store = Arc::new(store.build());
    let put = async |key: &str, content: &str| {
        let content = content.to_owned().into();
        let key = key.parse().unwrap();
        store
            .put(&key, content, PutOptions::default())
            .await
            .unwrap();
    };
    let id = "20261120T225752Z-3f9a1c07";
    put(&format!("manifests/{id}.json"), TOMBSTONE).await;
    put(&format!("backups/{id}/dump.00000.zst.age"), "piece").await;
    let backup = scene
        .bench
        .builder_in(Arc::clone(&store) as _, scene.through.clone())
        .sweep_grace(HOUR)
        .build()
        .unwrap();
    assert!(backup.catalogue().await.unwrap().is_empty());
    // It was given up for good before: its age does not matter any more.
    let swept = backup.sweep().await.unwrap();
    assert_eq!((swept.removed.len(), swept.objects), (1, 1));
    for (days, kept) in [(6, 1), (1, 0)] {
        clock.advance(HOUR * 24 * days);
        assert_eq!(backup.sweep().await.unwrap().removed, vec![]);
        assert_eq!(support::keys(&*store).await.len(), kept);
    }
}
