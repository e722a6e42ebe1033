//! A process that is killed with SIGKILL while it takes a base backup.

use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ops_backup::Backup;
use ops_core::database::ConnectInfo;
use ops_pg::process::{Io, Program, Supervised};
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, Pg, wait_until};
use rustix::process::{Pid, Signal};

use super::quiet;
use crate::shared::{self, Bench};
use crate::support::{unpack, verify};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(60);
/// How fast the server is read: a backup takes about three seconds.
const BYTES_PER_SECOND: u64 = 10_000_000;

/// The program that takes one backup, which `cargo test` builds.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().join("../examples/base_backup_once");
    assert!(
        path.exists(),
        "cargo build --package ops-backup --example base_backup_once"
    );
    path
}

/// When the process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// When a file with this name is in a backup's folder.
    Object(&'static str),
    /// When a manifest is there.
    Manifest,
    After(Duration),
}

impl Moment {
    /// How often it has come.
    fn count(self, store: &Path) -> usize {
        let entries = |folder: &str| {
            let entries = std::fs::read_dir(store.join(folder));
            entries.into_iter().flatten().flatten()
        };
        match self {
            Self::Object(name) => entries("backups")
                .filter(|it| it.path().join(name).exists())
                .count(),
            // Tombstones of earlier ones are there, too.
            Self::Manifest => entries("manifests")
                .filter(|it| it.path().extension().is_some_and(|it| it == "json"))
                .count(),
            Self::After(_) => 0,
        }
    }
}

/// A server behind a slow line, and a store.
struct Scene {
    pg: Pg,
    proxy: FaultProxy,
    slow: ConnectInfo,
    bench: Bench,
    backup: Backup,
    committed: usize,
}

impl Scene {
    async fn new() -> Option<Self> {
        let pg = quiet().tcp(true).start().await?;
        let direct = pg.connect_info("postgres");
        let proxy = FaultProxy::start(Backend::of(&direct).await).await;
        proxy.set_throttle(Some(BYTES_PER_SECOND));
        let slow = proxy.connect_info(&direct);
        let bench = Bench::new();
        let backup = bench.builder(direct).sweep_grace(Duration::ZERO);
        let backup = backup.build().unwrap();
        Some(Self {
            pg,
            proxy,
            slow,
            bench,
            backup,
            committed: 0,
        })
    }

    fn spawn(&self) -> Supervised {
        let (host, port) = ("127.0.0.1", self.slow.port);
        Program::new(program())
            .stdout(Io::Null)
            .arg(format!("postgresql://postgres@{host}:{port}/postgres"))
            .arg(self.bench.folder.path().join("store"))
            .arg(&self.bench.keys.recipient)
            .spawn()
            .unwrap()
    }

    /// Kills a backing-up process at a moment, and sees to it that the store holds whole
    /// backups and nothing that the next sweep does not remove.
    async fn kill_at(&mut self, moment: Moment) {
        let store = self.bench.folder.path().join("store");
        let already = moment.count(&store);
        let mut child = self.spawn();
        let before = self.committed;
        match moment {
            Moment::After(delay) => tokio::time::sleep(delay).await,
            moment => {
                let begun = tokio::time::Instant::now();
                while moment.count(&store) <= already {
                    assert!(begun.elapsed() < SOON, "{moment:?} does not come");
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            }
        }
        let pid = i32::try_from(child.pid().unwrap()).unwrap();
        // It may have ended by itself.
        let _ = rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        tokio::time::timeout(SOON, child.wait())
            .await
            .unwrap()
            .unwrap();
        self.proxy.reset_connections().await;

        let client = self.pg.client("postgres").await;
        wait_until("the server has noticed", SOON, || async {
            let sql = "SELECT FROM pg_replication_slots UNION ALL SELECT FROM pg_stat_replication";
            client.query(sql, &[]).await.unwrap().is_empty()
        })
        .await;
        self.backup.sweep().await.unwrap();
        let entries = self.backup.catalogue().await.unwrap();
        shared::assert_only_committed(&self.backup, &*self.bench.store).await;
        assert!(entries.len() <= before + 1);
        if entries.len() > before {
            let name = format!("whole-{before}");
            let unpacked = unpack(&self.bench, &entries[before].manifest, &name);
            verify(&self.pg, &unpacked.folder).await;
        }
        self.committed = entries.len();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_at_any_point_leaves_a_whole_backup_or_none() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    for moment in [
        Moment::Object("lease.json"),
        Moment::Object("identity.age"),
        Moment::Object("files.jsonl.zst.age"),
        Moment::Object("data.00000.zst.age"),
        Moment::Object("backup_manifest.zst.age"),
        Moment::Manifest,
    ] {
        scene.kill_at(moment).await;
    }
    assert!(scene.committed > 0, "the last one was complete");
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
        let delay = Duration::from_millis((state >> 33) % 4000);
        scene.kill_at(Moment::After(delay)).await;
    }
}
