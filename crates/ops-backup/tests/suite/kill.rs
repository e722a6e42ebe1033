//! A backing-up process that is killed with SIGKILL at any moment.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ops_backup::{Backup, BackupId, RestoreOptions};
use ops_local::Local;
use ops_pg::process::{Program, Supervised};
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, Pg, wait_until};
use rustix::process::{Pid, Signal};

use crate::processes::Process;
use crate::support::{self, Bench};

/// How fast the database is read: a dump takes about two seconds.
const BYTES_PER_SECOND: u64 = 4_000_000;
/// How long anything may take.
const SOON: Duration = Duration::from_secs(30);

/// When the process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// When a file in the backup's folder is there.
    Object(&'static str),
    /// When a folder of the store is there.
    Folder(&'static str),
    /// When the manifest is there.
    Manifest,
    /// When so many bytes were read from the database.
    Read(u64),
    /// After so long.
    After(Duration),
}

/// A database, a store with some backups in it, and what is needed to make more.
struct Scene {
    pg: Pg,
    bench: Bench,
    committed: BTreeSet<BackupId>,
    restored: u32,
}

impl Scene {
    async fn new() -> Option<Self> {
        let pg = Pg::builder().tcp(true).start().await?;
        pg.create_database("shop").await;
        // Hashes, so that the dump is stored in several objects of the least size.
        let client = pg.client("shop").await;
        client
            .batch_execute(
                "CREATE TABLE big AS SELECT i, sha256(i::text::bytea) AS x, \
                 sha256((-i)::text::bytea) AS y FROM generate_series(1, 50000) i",
            )
            .await
            .unwrap();
        Some(Self {
            pg,
            bench: Bench::new(),
            committed: BTreeSet::new(),
            restored: 0,
        })
    }

    fn folder(&self) -> PathBuf {
        self.bench.folder.path().join("store")
    }

    /// The engine of a process that opens the store anew.
    fn reopened(&self) -> Backup {
        let store = Local::builder(self.folder()).build().unwrap();
        let left = std::fs::read_dir(self.folder().join(".ops/tmp")).unwrap();
        assert_eq!(left.count(), 0, "temporary files of the killed process");
        self.bench
            .builder_in(Arc::new(store), self.pg.connect_info("shop"))
            .max_object_bytes(1 << 20)
            .frame_bytes(128 << 10)
            .sweep_grace(Duration::ZERO)
            .build()
            .unwrap()
    }

    /// Runs a backup in a process of its own, kills it, and looks at what it left.
    async fn kill_at(&mut self, moment: Moment) {
        let direct = self.pg.connect_info("shop");
        let proxy = FaultProxy::start(Backend::of(&direct).await).await;
        proxy.set_throttle(Some(BYTES_PER_SECOND));
        let through = proxy.connect_info(&direct);
        let mut child = self.dump_once(&proxy);
        let killed = self.kill(&child, &proxy, moment);
        let exit = tokio::time::timeout(SOON, child.wait()).await;
        let exit = exit.expect("a killed process ends").unwrap();
        // By chance it may have been ready before.
        assert!(
            exit.signal() == Some(9) || (!killed && exit.success()),
            "{moment:?}: {exit}: {}",
            exit.stderr_tail()
        );
        self.assert_nobody_is_left(moment, through.port).await;
        self.assert_recovers(moment).await;
    }

    fn dump_once(&self, proxy: &FaultProxy) -> Supervised {
        let user = self.pg.connect_info("shop").user.unwrap_or_default();
        Program::new(dump_once())
            .env("OPS_PG_BIN_DIRS", self.pg.binaries().folder())
            .arg("--max-object-bytes=1048576")
            .arg("--frame-bytes=131072")
            .arg(format!("postgresql://{user}@{}/shop", proxy.addr()))
            .arg(self.folder())
            .arg(&self.bench.keys.recipient)
            .spawn()
            .unwrap()
    }

    /// Kills the process at a moment; `false` where it ended before.
    fn kill(&self, child: &Supervised, proxy: &FaultProxy, moment: Moment) -> bool {
        let pid = child.pid().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).expect("the process runs");
        let (folder, begun) = (self.folder(), Instant::now());
        let old = ids_in(&folder);
        tokio::task::block_in_place(|| {
            // Polled without a pause to speak of: some moments last a millisecond.
            while !moment.has_come(&folder, &old, proxy, begun) {
                if runs(pid) {
                    assert!(begun.elapsed() < SOON, "{moment:?} did not come");
                    thread::sleep(Duration::from_micros(50));
                } else {
                    return false;
                }
            }
            if matches!(moment, Moment::Read(_)) {
                let mut clients = Process::clients_of(proxy.addr().port());
                assert!(clients.any(|client| client.name == "pg_dump"), "it dumps");
            }
            rustix::process::kill_process(pid, Signal::KILL).unwrap();
            true
        })
    }

    /// Neither a client program nor a session at the server outlives the process for long.
    async fn assert_nobody_is_left(&self, moment: Moment, port: u16) {
        let what = format!("{moment:?}: the client programs to end");
        wait_until(&what, Duration::from_secs(5), async || {
            Process::clients_of(port).next().is_none()
        })
        .await;
        let client = self.pg.client("postgres").await;
        let what = format!("{moment:?}: the sessions at the server to end");
        wait_until(&what, Duration::from_secs(5), async || {
            let sessions = "SELECT count(*) FROM pg_stat_activity \
                            WHERE application_name ~ '^(ops-backup|pg_dump)'";
            client
                .query_one(sessions, &[])
                .await
                .unwrap()
                .get::<_, i64>(0)
                == 0
        })
        .await;
    }

    async fn assert_recovers(&mut self, moment: Moment) {
        let begun = ids_in(&self.folder());
        let backup = self.reopened();
        let listed: BTreeSet<_> = backup
            .catalogue()
            .await
            .unwrap()
            .into_iter()
            .map(|entry| entry.manifest.id)
            .collect();
        for id in listed.difference(&self.committed) {
            self.assert_whole(&backup, id).await;
            self.restored += 1;
        }
        assert!(listed.is_superset(&self.committed), "{moment:?}");
        let abandoned: Vec<_> = begun
            .iter()
            .filter(|id| !listed.contains(id))
            .cloned()
            .collect();
        let objects = objects_of(&self.folder(), &abandoned);

        let report = tokio::time::timeout(SOON, backup.dump().finish()).await;
        let report = report.expect("a backup ends").unwrap();
        assert_eq!(report.swept.removed, abandoned, "{moment:?}");
        let bytes = objects.iter().sum::<u64>();
        assert_eq!(
            (report.swept.objects, report.swept.bytes),
            (objects.len(), bytes),
            "{moment:?}"
        );
        assert_eq!(report.swept.in_progress, []);
        self.committed = listed;
        self.committed.insert(report.id);
        support::assert_only_committed(&backup, &*self.bench.store).await;
        println!(
            "{moment:?}: swept {} objects with {bytes} bytes",
            objects.len()
        );
    }

    /// A backup that is listed restores to what the database holds, and passes a drill.
    async fn assert_whole(&self, backup: &Backup, id: &BackupId) {
        let name = format!("copy_{}", id.as_str().replace('-', "_").to_lowercase());
        self.pg.create_database(&name).await;
        let target = self.pg.connect_info(&name);
        backup
            .restore(id, target, RestoreOptions::new())
            .finish()
            .await
            .unwrap();
        assert_eq!(self.rows(&name).await, self.rows("shop").await);
        let drill = backup.drill(id, support::drill_options()).finish().await;
        let drill = drill.unwrap();
        assert!(drill.passed, "{drill:#?}");
        // The result of the drill is stored beside the backup; here only backups count.
        for meta in support::keys(&*self.bench.store).await {
            if meta.contains("/drills/") {
                self.bench
                    .store
                    .delete(&meta.parse().unwrap())
                    .await
                    .unwrap();
            }
        }
    }

    async fn rows(&self, database: &str) -> (i64, String) {
        let query = "SELECT count(*), md5(string_agg(big::text, ',' ORDER BY i)) FROM big";
        let client = self.pg.client(database).await;
        let row = client.query_one(query, &[]).await.unwrap();
        (row.get(0), row.get(1))
    }
}

impl Moment {
    fn has_come(
        self,
        store: &Path,
        old: &BTreeSet<BackupId>,
        proxy: &FaultProxy,
        begun: Instant,
    ) -> bool {
        match self {
            Self::Object(name) => ids_in(store)
                .difference(old)
                .any(|id| store.join(format!("backups/{id}/{name}")).exists()),
            Self::Folder(path) => store.join(path).exists(),
            Self::Manifest => ids_in(store)
                .difference(old)
                .any(|id| store.join(format!("manifests/{id}.json")).exists()),
            Self::Read(bytes) => proxy.stats().bytes_down >= bytes,
            Self::After(delay) => begun.elapsed() >= delay,
        }
    }
}

/// The backups that were begun: an empty folder is none yet.
fn ids_in(store: &Path) -> BTreeSet<BackupId> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries(&store.join("backups"))
        .filter(|folder| entries(&folder.path()).next().is_some())
        .map(|folder| folder.file_name().to_str().unwrap().parse().unwrap())
        .collect()
}

/// The sizes of what lies in the folders of backups.
fn objects_of(store: &Path, ids: &[BackupId]) -> Vec<u64> {
    ids.iter()
        .flat_map(|id| std::fs::read_dir(store.join(format!("backups/{id}"))).unwrap())
        .map(|file| file.unwrap().metadata().unwrap().len())
        .collect()
}

fn runs(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}

/// The example, which `cargo test` builds with the tests unless it is told which targets to
/// build: an old one would prove nothing.
fn dump_once() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().join("../examples/dump_once");
    let built = std::fs::metadata(&path).and_then(|meta| meta.modified());
    let fresh = built.is_ok_and(|built| built > changed(Path::new(env!("CARGO_MANIFEST_DIR"))));
    assert!(
        fresh,
        "{} is missing or old: cargo build --package ops-backup --example dump_once",
        path.display()
    );
    path
}

/// When the engine or its example were last changed.
fn changed(package: &Path) -> SystemTime {
    let mut changed = SystemTime::UNIX_EPOCH;
    let mut folders = vec![package.join("src"), package.join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let meta = entry.metadata().unwrap();
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                changed = changed.max(meta.modified().unwrap());
            }
        }
    }
    changed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_in_mid_dump_leaves_nothing_that_the_next_does_not_sweep() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    for moment in [
        Moment::Object("lease.json"),
        Moment::Object("identity.age"),
        Moment::Read(200_000),
        Moment::Object("dump.00000.zst.age"),
        Moment::Read(3_000_000),
        Moment::Object("dump.00002.zst.age"),
    ] {
        scene.kill_at(moment).await;
    }
    assert_eq!(scene.restored, 0, "nothing was complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_around_its_commit_leaves_a_whole_backup_or_none() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    for moment in [
        // The first manifest of a store: its folder is made right before it.
        Moment::Folder("manifests"),
        Moment::Object("globals.sql.zst.age"),
        Moment::Object("fingerprint.json.zst.age"),
        Moment::Manifest,
    ] {
        scene.kill_at(moment).await;
    }
    assert!(scene.restored > 0, "the last one was complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_at_random_leaves_a_whole_backup_or_none() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    // Unlike anything else here, this is another test in each run.
    let seed = std::hash::RandomState::new().hash_one(0);
    println!("seed {seed}");
    let mut state = seed;
    for _ in 0..4 {
        // As in Knuth's MMIX.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_millis((state >> 33) % 3000);
        scene.kill_at(Moment::After(delay)).await;
    }
}
