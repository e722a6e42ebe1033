//! An archiver that is killed with SIGKILL at any moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ops_backup::{Lsn, Timeline};
use ops_pg::process::{Program, Supervised};
use ops_testkit::Pg;
use rustix::process::{Pid, Signal};

use super::scene::{self, Running, SOON, assert_complete, keeping, quick};
use crate::shared::Bench;

/// The program that archives, which `cargo test` builds.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().join("../examples/archive_wal");
    assert!(
        path.exists(),
        "cargo build --package ops-backup --example archive_wal"
    );
    path
}

fn start(pg: &Pg, bench: &Bench, spool: Option<&Path>) -> Supervised {
    let mut program = Program::new(program())
        .arg("--part-interval-ms=30")
        .arg("--lease-ms=300")
        .arg("--plain-durability");
    if let Some(spool) = spool {
        program = program
            .arg("--synchronous")
            .arg(format!("--spool={}", spool.display()));
    }
    program
        .arg(pg.url("postgres"))
        .arg(bench.folder.path().join("store"))
        .arg(&bench.keys.recipient)
        .spawn()
        .unwrap()
}

async fn kill(mut child: Supervised) {
    let pid = child
        .pid()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap()));
    rustix::process::kill_process(pid.expect("it runs"), Signal::KILL).unwrap();
    let exit = tokio::time::timeout(SOON, child.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        exit.signal(),
        Some(9),
        "it had ended: {}",
        exit.stderr_tail()
    );
}

/// What the server has been told to be durable; it may remove everything before.
async fn acknowledged(pg: &Pg) -> Option<Lsn> {
    let client = pg.client("postgres").await;
    let rows = client
        .query("SELECT restart_lsn::text FROM pg_replication_slots", &[])
        .await
        .unwrap();
    rows.first()?.get::<_, Option<String>>(0)?.parse().ok()
}

async fn killed_again_and_again(spool: bool) {
    let builder = keeping().with(|server| server.wal_segment_size_mb(1));
    let Some(pg) = builder.start().await else {
        return;
    };
    let pg = Arc::new(pg);
    let bench = Bench::new();
    let folder = bench.folder.path().join("spool");
    let stop = Arc::new(AtomicBool::new(false));
    let (writing, stopped) = (Arc::clone(&pg), Arc::clone(&stop));
    let writer = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            scene::write(&writing, 1).await;
        }
    });
    let mut state = 88_172_645_463_325_252_u64;
    let mut rounds_with_an_archive = 0;
    for round in 0..25 {
        let child = start(&pg, &bench, spool.then_some(folder.as_path()));
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        tokio::time::sleep(Duration::from_millis(400 + state % 900)).await;
        kill(child).await;
        let Some(acknowledged) = acknowledged(&pg).await else {
            continue;
        };
        let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
        let frontier = archive.frontier(Timeline::FIRST).await.unwrap();
        let Some(frontier) = frontier else { continue };
        rounds_with_an_archive += 1;
        assert!(
            frontier.end >= acknowledged,
            "round {round}: {} was acknowledged and {} is there",
            acknowledged,
            frontier.end
        );
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert!(rounds_with_an_archive >= 20, "{rounds_with_an_archive}");
    let running = Running::start(&bench.backup(pg.connect_info("postgres")), quick());
    let end = scene::flushed(&pg).await;
    running.durable(end).await;
    assert_eq!(running.archiver.status().gaps, []);
    running.stop().await;
    let archive = scene::open(&bench, Arc::clone(&bench.store)).await;
    assert!(archive.gaps().await.unwrap().is_empty());
    let count = assert_complete(&pg, &archive, end, bench.folder.path()).await;
    println!("{rounds_with_an_archive} kills, {count} segments, nothing lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_archiver_leaves_no_gap_and_has_acknowledged_nothing_that_is_lost() {
    killed_again_and_again(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_that_keeps_a_spool() {
    killed_again_and_again(true).await;
}
