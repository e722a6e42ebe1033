//! Backups, WAL archives, restores, sweeps and expiry that are killed, or whose store and server
//! fail, at points that a seed chooses:
//! `torture [--seeds N] [--seed FIRST] [--lanes N] [--store local|s3|mixed] [--work KIND]`.
//!
//! `cargo xtask torture backup` runs it. Everything happens on one throwaway server with a
//! small cluster; each seed has a store and a folder of its own. The store is a folder or an
//! S3 server; a third of the seeds have the latter.
//!
//! | work | disturbed | what must hold |
//! | --- | --- | --- |
//! | backup, sweep | a process, the store, the connection to the server; at times others sweep beside a backup | what is listed restores and was acknowledged or begun; a sweep leaves nothing else, and no unfinished upload; none takes what is under way |
//! | wal | an archiver | what the slot has let go is in the archive; a successor leaves no hole |
//! | restore | a restore of files, also over a copy | no server starts over a part; the next restore succeeds |
//! | expire | marking and removing of WAL | nothing goes that a backup needs, and at last everything else |
//! | recover | a restore with its recovery, up to the promotion | no server with less than its target, ever; the next run ends what still runs, and succeeds |
//! | push | runs of an `archive_command`, or the server itself; at times beside an archiver | each segment for which it ended with 0 is there once, as the server wrote it |
//! | fetch | runs of a `restore_command` | the server does not promote before it has everything |

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]

mod aged;
mod check;
mod child;
mod expire;
mod fetch;
mod harm;
mod place;
mod plan;
mod push;
mod recover;
mod restore;
mod scene;
mod shim;
mod store;
mod wal;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ops_testkit::fixture;

use plan::{Medium, Plan, Work};
use scene::Scene;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T = (), E = Error> = std::result::Result<T, E>;

/// How long a seed may take. Nothing waits that long that has not hung.
const PATIENCE: Duration = Duration::from_secs(90);

struct Options {
    seeds: u64,
    first: u64,
    lanes: u64,
    /// What the stores are, if not what each seed says.
    medium: Option<Medium>,
    /// Which seeds are run, by their kind of work, if not all.
    work: Option<Work>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["child"] {
        return child::main().await;
    }
    if let Some((first, rest)) = arguments.split_first()
        && first == "shim"
    {
        return shim::main(rest).await;
    }
    let options = Options::parse(&arguments)?;
    let begun = Instant::now();
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    println!(
        "the scene is set after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let scene = Arc::new(scene);
    let (seeds, failures) = run(&scene, &options).await;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "torture: {seeds} seeds, {}, {failures} failures, {seconds:.0} s",
        scene.counts
    );
    if failures == 0 {
        Ok(())
    } else {
        Err(format!("{failures} seeds failed").into())
    }
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            seeds: 200,
            first: 1,
            lanes: 3,
            medium: None,
            work: None,
        };
        let mut arguments = arguments.iter();
        while let Some(name) = arguments.next() {
            if name == "--store" {
                options.medium = match arguments.next().map(String::as_str) {
                    Some("local") => Some(Medium::Local),
                    Some("s3") => Some(Medium::S3),
                    Some("mixed") => None,
                    _ => return Err("--store is local, s3 or mixed".into()),
                };
                continue;
            }
            if name == "--work" {
                let work = arguments.next().and_then(|name| Work::named(name));
                options.work = Some(work.ok_or("--work is a kind of work")?);
                continue;
            }
            let slot = match name.as_str() {
                "--seeds" => &mut options.seeds,
                "--seed" => &mut options.first,
                "--lanes" => &mut options.lanes,
                _ => return Err(format!("{name} is not known").into()),
            };
            *slot = arguments
                .next()
                .ok_or(format!("{name} needs a number"))?
                .parse()?;
        }
        options.lanes = options.lanes.max(1);
        Ok(options)
    }
}

/// What the seeds of one kind came to.
#[derive(Debug, Default)]
struct Tally {
    seeds: u64,
    seconds: f64,
}

/// Runs the seeds, and says how many there were and how many failed.
async fn run(scene: &Arc<Scene>, options: &Options) -> (u64, u64) {
    let next = Arc::new(AtomicU64::new(options.first));
    let (medium, work) = (options.medium, options.work);
    let end = options.first.saturating_add(options.seeds);
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..options.lanes {
        let (scene, next) = (Arc::clone(scene), Arc::clone(&next));
        lanes.spawn(async move {
            let mut failures = 0_u64;
            let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return (failures, tallies);
                }
                let plan = Plan::of(seed, medium);
                if work.is_some_and(|work| work != plan.work) {
                    continue;
                }
                let begun = Instant::now();
                if let Err(why) = one(&scene, &plan).await {
                    failures += 1;
                    eprintln!("seed {seed} FAILED: {plan}: {why}");
                    let store = medium.map_or("mixed", Medium::name);
                    eprintln!(
                        "  again: cargo xtask torture backup --seeds 1 --seed {seed} --store {store}"
                    );
                }
                let tally = tallies.entry(plan.kind()).or_default();
                tally.seeds += 1;
                tally.seconds += begun.elapsed().as_secs_f64();
            }
        });
    }
    let mut failures = 0;
    let mut all: BTreeMap<String, Tally> = BTreeMap::new();
    while let Some(lane) = lanes.join_next().await {
        let Ok((more, tallies)) = lane else {
            failures += 1;
            continue;
        };
        failures += more;
        for (kind, tally) in tallies {
            let sum = all.entry(kind).or_default();
            sum.seeds += tally.seeds;
            sum.seconds += tally.seconds;
        }
    }
    let seeds = all.values().map(|tally| tally.seeds).sum();
    for (kind, tally) in all {
        println!(
            "  {kind:20} {:4} seeds, {:6.1} s",
            tally.seeds, tally.seconds
        );
    }
    if let Err(why) = scene.left_clean().await {
        eprintln!("the server at the end: {why}");
        failures += 1;
    }
    (seeds, failures)
}

/// The server's user runs what is restored.
fn open_to_all(folder: &Path) -> Result {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// One seed; a panic is a failure like any other.
async fn one(scene: &Arc<Scene>, plan: &Plan) -> Result {
    let folder = tempfile::tempdir_in(fixture::folder())?;
    open_to_all(folder.path())?;
    let (scene, plan, path) = (Arc::clone(scene), plan.clone(), folder.path().to_owned());
    let task = tokio::spawn(async move {
        match plan.work {
            Work::Backup | Work::Sweep => store::torture(&scene, &plan, &path).await,
            Work::Restore => restore::torture(&scene, &plan, &path).await,
            Work::Wal => wal::torture(&scene, &plan, &path).await,
            Work::Expire => expire::torture(&scene, &plan, &path).await,
            Work::Recover => recover::torture(&scene, &plan, &path).await,
            Work::Push => push::torture(&scene, &plan, &path).await,
            Work::Fetch => fetch::torture(&scene, &plan, &path).await,
        }
    });
    let abort = task.abort_handle();
    match tokio::time::timeout(PATIENCE, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(format!("it panicked: {panic}").into()),
        Err(_) => {
            abort.abort();
            Err("it hangs".into())
        }
    }
}
