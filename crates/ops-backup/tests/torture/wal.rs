//! Archivers that are disturbed.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ops_backup::wal::{FetchOptions, Fetched, WalArchive, WalFile};
use ops_backup::{BaseBackupRequest, ClusterRestoreOptions, Lsn, RestoreTarget, Timeline, Unlock};
use ops_pg_replication::SlotName;
use ops_testkit::{FaultProxy, FaultStore, Pg, fixture};
use tokio_util::sync::CancellationToken;

use crate::check::{self, failed};
use crate::child::{Order, Task, archiving};
use crate::harm::Harm;
use crate::place::Site;
use crate::plan::{Extent, Plan};
use crate::scene::{ROWS, Scene};
use crate::store::ended;
use crate::{Error, Result};

/// What an archiver comes to while the workload runs. It does not end by itself.
const EXTENT: Extent = Extent {
    calls: 40,
    store_bytes: 1_000_000,
    server_bytes: 3_000_000,
    requests: 50,
    time: Duration::from_millis(1500),
};
/// How long the workload runs at most.
const WORKLOAD: Duration = Duration::from_secs(2);
/// How much longer a store takes for each call, in some seeds.
const SLOW: Duration = Duration::from_millis(40);
const SOON: Duration = Duration::from_secs(60);

pub(crate) async fn torture(scene: &Scene, plan: &Plan, folder: &Path) -> Result {
    let slot = format!("torture_{}", plan.seed);
    let spool = (plan.seed.is_multiple_of(2)).then(|| folder.join("spool"));
    let task = Task::Archive {
        slot: slot.clone(),
        spool,
    };
    let site = Site::empty(plan.medium, &folder.join("store")).await;
    let mut order = scene.order(task, &site.place);
    let (proxy, url) = scene.proxied().await;
    if plan.harm.server_bytes(&EXTENT).is_some() {
        order.url = url;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let workload = workload(scene, plan.seed, Arc::clone(&stop));
    let archiver = async {
        let outcome =
            tokio::time::timeout(SOON, disturbed(scene, plan, &mut order, &site, &proxy)).await;
        stop.store(true, Ordering::Relaxed);
        outcome?
    };
    let (written, disturbed) = tokio::join!(workload, archiver);
    written?;
    disturbed?;
    order.url = scene.pg.url("postgres");
    let outcome = examine(scene, plan, &order, &slot, folder).await;
    let client = scene.pg.client("postgres").await;
    // However many seeds there are, the cluster stays small.
    client.batch_execute("TRUNCATE filler").await?;
    let dropped = client
        .execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
             WHERE slot_name = $1 AND NOT active",
            &[&slot],
        )
        .await;
    outcome.and(dropped.map(|_| ()).map_err(Error::from))
}

/// Writes about two megabytes of WAL a second, as one of many.
async fn workload(scene: &Scene, seed: u64, stop: Arc<AtomicBool>) -> Result {
    let client = scene.pg.client("postgres").await;
    let seed = seed.cast_signed();
    while !stop.load(Ordering::Relaxed) {
        let sql = "INSERT INTO filler (seed, x) SELECT $1, md5(random()::text) || repeat('x', 200) \
                   FROM generate_series(1, 300)";
        client.execute(sql, &[&seed]).await?;
        client
            .execute("INSERT INTO ledger (seed) VALUES ($1)", &[&seed])
            .await?;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(())
}

async fn disturbed(
    scene: &Scene,
    plan: &Plan,
    order: &mut Order,
    site: &Site,
    proxy: &FaultProxy,
) -> Result {
    let injected = plan.harm.inject(site, &EXTENT);
    let struck = || injected.as_ref().map_or(0, |it| it.happened());
    let bytes = plan.harm.server_bytes(&EXTENT);
    let kills = plan.harm.kills();
    let past = async {
        while proxy.stats().bytes_down < bytes.unwrap_or(u64::MAX) && !(kills && struck() > 0) {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    };
    if !kills {
        let store = Arc::new(FaultStore::new(order.store.open().await?));
        plan.harm.trap(&EXTENT).set(&store);
        let calls = Arc::clone(&store);
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let harm = async move {
            if matches!(plan.harm, Harm::Server(_)) {
                let _ = tokio::time::timeout(WORKLOAD, past).await;
                proxy.reset_connections().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            } else {
                tokio::time::sleep(WORKLOAD).await;
            }
            stopping.cancel();
        };
        let (outcome, ()) = tokio::join!(order.perform(calls, stop), harm);
        let cut = u64::from(matches!(plan.harm, Harm::Server(_)));
        let faults = store.happened() + struck() + cut;
        scene.counts.add(&scene.counts.faults, faults);
        site.settle();
        return match outcome {
            Ok(_) => Ok(()),
            Err(err) => check::is_typed(&err),
        };
    }
    order.trap = plan.harm.trap(&EXTENT);
    // A store takes its time: what is acknowledged too early is not there yet.
    order.trap.slow = (plan.seed / 2).is_multiple_of(2).then_some(SLOW);
    let mut child = order.spawn().await?;
    // Whoever waits for a child closes its input, which would end the archiver in order.
    let input = child.stdin.take();
    tokio::select! {
        () = tokio::time::sleep(WORKLOAD) => child.start_kill()?,
        () = past => child.start_kill()?,
        status = child.wait() => { status?; }
    }
    drop(input);
    let ended = ended(scene, child).await;
    site.settle();
    ended.map(|_| ())
}

/// What was acknowledged must be there, and a successor must fill what is missing.
async fn examine(scene: &Scene, plan: &Plan, order: &Order, slot: &str, folder: &Path) -> Result {
    if let Some(acknowledged) = acknowledged(scene, slot).await? {
        let frontier = match open(order).await? {
            Some(archive) => archive.frontier(Timeline::FIRST).await?.map(|it| it.end),
            None => None,
        };
        // A slot starts where nothing was acknowledged yet, at the segment of the moment.
        let spool = matches!(&order.task, Task::Archive { spool: Some(_), .. });
        let begun = frontier.is_some();
        if begun && !spool && frontier.is_none_or(|it| it < acknowledged) {
            return Err(
                format!("{acknowledged} was acknowledged, and {frontier:?} is there").into(),
            );
        }
    }
    let backup = order.backup().await?;
    let Task::Archive { spool, .. } = &order.task else {
        return Err("an archiver archives".into());
    };
    let name = SlotName::new(slot)?;
    let archiver = backup.archiver(archiving(name, spool.as_deref()))?;
    let stop = CancellationToken::new();
    let (running, stopped) = (archiver.clone(), stop.clone());
    let task = tokio::spawn(async move { running.run(stopped).await });
    let mut rows = ROWS;
    if plan.boot {
        let job = backup.base_backup(BaseBackupRequest::full());
        job.finish().await.map_err(|err| failed("a backup", &err))?;
        let client = scene.pg.client("postgres").await;
        client
            .execute("INSERT INTO ledger (seed) VALUES (0)", &[])
            .await?;
        rows = client
            .query_one("SELECT count(*) FROM ledger WHERE seed = 0", &[])
            .await?
            .get(0);
    }
    let end = flushed(&scene.pg).await?;
    let begun = tokio::time::Instant::now();
    while archiver.status().durable.is_none_or(|it| it < end) {
        if task.is_finished() {
            let outcome = task.await?;
            return Err(format!("a successor ends before {end}: {outcome:?}").into());
        }
        if begun.elapsed() > SOON {
            let status = archiver.status();
            return Err(format!("a successor does not archive up to {end}: {status:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    task.await?.map_err(|err| failed("an archiver", &err))?;
    complete(scene, order, end, folder).await?;
    if plan.boot {
        let place = folder.join("latest");
        let options = ClusterRestoreOptions::new().with_server_folder(fixture::folder());
        let job = backup.restore_cluster(RestoreTarget::Latest, &place, options);
        job.finish()
            .await
            .map_err(|err| failed("a recovery", &err))?;
        check::boots(scene, &place, rows).await?;
    }
    Ok(())
}

pub(crate) async fn open(order: &Order) -> Result<Option<WalArchive>> {
    let key = Unlock::identity(order.identity.as_str());
    Ok(WalArchive::open(order.store.open().await?, "", None, vec![key]).await?)
}

/// What the server may remove: everything before was acknowledged as durable.
async fn acknowledged(scene: &Scene, slot: &str) -> Result<Option<Lsn>> {
    let client = scene.pg.client("postgres").await;
    let sql = "SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = $1";
    let row = client.query_opt(sql, &[&slot]).await?;
    let text = row.and_then(|row| row.get::<_, Option<String>>(0));
    Ok(text.map(|text| text.parse()).transpose()?)
}

pub(crate) async fn flushed(pg: &Pg) -> Result<Lsn> {
    let client = pg.client("postgres").await;
    let row = client
        .query_one("SELECT pg_current_wal_flush_lsn()::text", &[])
        .await?;
    Ok(row.get::<_, String>(0).parse()?)
}

/// One run without a hole, each segment the server's own.
async fn complete(scene: &Scene, order: &Order, end: Lsn, folder: &Path) -> Result {
    let archive = open(order).await?.ok_or("there is no archive")?;
    let gaps = archive.gaps().await?;
    let coverage = archive.coverage(None).await?;
    let [run] = coverage.runs.as_slice() else {
        return Err(format!("the archive has holes: {:?}, gaps {gaps:?}", coverage.runs).into());
    };
    if run.end < end || !gaps.is_empty() {
        return Err(format!("archived up to {} instead of {end}, gaps {gaps:?}", run.end).into());
    }
    let own = scene.pg.data_dir().join("pg_wal");
    let to = folder.join("segment");
    fetches(&own, &archive, run.start..run.end, &to).await
}

/// Every segment within a range that is in a folder is the same in the archive.
pub(crate) async fn fetches(
    own: &Path,
    archive: &WalArchive,
    range: Range<Lsn>,
    to: &Path,
) -> Result {
    let size = archive.segment_size();
    for entry in std::fs::read_dir(own)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(file @ WalFile::Segment(segment)) = WalFile::parse(&name, size) else {
            continue;
        };
        if segment.start(size) < range.start || segment.end(size) > range.end {
            continue;
        }
        let own = std::fs::read(entry.path())?;
        let got = archive.fetch(&file, to, FetchOptions::default()).await?;
        if !matches!(got, Fetched::Found { .. }) || std::fs::read(to)? != own {
            return Err(format!("segment {name} is not the server's own: {got:?}").into());
        }
        std::fs::remove_file(to)?;
    }
    Ok(())
}
