//! Servers that archive by a command, runs of which are disturbed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_backup::Timeline;
use ops_backup::wal::{WalArchive, WalFile};
use ops_core::object_store::ListOptions;
use ops_pg_replication::SlotName;
use ops_testkit::Pg;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::check::is_typed;
use crate::child::{Order, Task, archiving};
use crate::harm::Harm;
use crate::place::Site;
use crate::plan::{Medium, Plan};
use crate::scene::Scene;
use crate::shim::{self, Shim};
use crate::wal::{fetches, flushed, open};
use crate::{Error, Result};

/// How many segments the server fills.
const SEGMENTS: u64 = 7;
const SOON: Duration = Duration::from_secs(60);

pub(crate) async fn torture(scene: &Scene, plan: &Plan, folder: &Path) -> Result {
    let site = Site::empty(Medium::S3, folder).await;
    let mut order = scene.order(Task::Sweep, &site.place);
    let shim = Shim::install(plan, &order, folder)?;
    let injected = plan.harm.inject(&site, &shim::EXTENT);
    let builder = Pg::builder()
        .tcp(true)
        .setting("wal_keep_size", "1GB")
        .setting("checkpoint_timeout", "1h")
        .setting("autovacuum", "off")
        .setting("archive_mode", "on")
        .setting("archive_command", &shim.archive_command(scene))
        .with(|server| server.wal_segment_size_mb(1));
    let mut pg = builder.start().await.ok_or("there is no server")?;
    order.url = pg.url("postgres");
    // Both ways at once, into one archive.
    let beside = plan.seed.is_multiple_of(3);
    let archiver = match beside {
        true => Some(Archiving::start(&order)),
        false => None,
    };
    let last = workload(scene, plan, &mut pg).await?;
    acknowledged(&pg, &last).await?;
    let runs = shim.runs();
    scene.counts.add(&scene.counts.kills, runs.kills);
    let struck = injected.map_or(0, |it| it.happened());
    scene.counts.add(&scene.counts.faults, runs.faults + struck);
    site.settle();
    if let Some(archiver) = archiver {
        archiver.stop_at_the_end_of(&pg).await?;
    }
    examine(&order, &shim, &pg, &last, folder).await
}

/// Fills segments, and gives the name of the last one.
async fn workload(scene: &Scene, plan: &Plan, pg: &mut Pg) -> Result<String> {
    let mut client = pg.client("postgres").await;
    client
        .batch_execute("CREATE TABLE ledger (i bigserial PRIMARY KEY, x text)")
        .await?;
    let mut last = String::new();
    for segment in 0..SEGMENTS {
        if segment == SEGMENTS / 2 && matches!(plan.harm, Harm::Server(_)) {
            pg.kill9().await;
            pg.start_again().await;
            scene.counts.add(&scene.counts.faults, 1);
            client = pg.client("postgres").await;
        }
        let insert = "INSERT INTO ledger (x) SELECT repeat(md5(random()::text), 30) \
                      FROM generate_series(1, 90)";
        client.batch_execute(insert).await?;
        let switch = "SELECT pg_walfile_name(pg_switch_wal())";
        last = client.query_one(switch, &[]).await?.get(0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(last)
}

/// Waits until the server has archived a segment. After three failures in a row it waits for
/// a minute, or for the next segment.
async fn acknowledged(pg: &Pg, last: &str) -> Result {
    let client = pg.client("postgres").await;
    let done = format!("pg_wal/archive_status/{last}.done");
    let done = pg.data_dir().join(done);
    let begun = tokio::time::Instant::now();
    let mut poked = 1;
    while !done.exists() {
        if begun.elapsed() > SOON {
            return Err(format!("{last} is not archived: {}", pg.log_tail()).into());
        }
        if begun.elapsed() > Duration::from_secs(2 * poked) {
            poked += 1;
            let poke = "INSERT INTO ledger (x) VALUES (''); SELECT pg_switch_wal()";
            client.batch_execute(poke).await?;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// An archiver beside the command, which is started again where it ends with an error.
struct Archiving {
    stop: CancellationToken,
    task: JoinHandle<Result>,
}

impl Archiving {
    fn start(order: &Order) -> Self {
        let stop = CancellationToken::new();
        let (order, stopped) = (order.clone(), stop.clone());
        let task = tokio::spawn(async move {
            loop {
                let archiving = archiving(SlotName::new("torture")?, None);
                let archiver = order.backup().await?.archiver(archiving)?;
                match archiver.run(stopped.clone()).await {
                    Ok(()) => return Ok(()),
                    Err(err) => is_typed(&err)?,
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { stop, task }
    }

    async fn stop_at_the_end_of(self, pg: &Pg) -> Result {
        let end = flushed(pg).await?;
        let client = pg.client("postgres").await;
        let sql = "SELECT count(*) FROM pg_replication_slots WHERE restart_lsn >= $1::text::pg_lsn";
        let begun = tokio::time::Instant::now();
        loop {
            let row = client.query_one(sql, &[&end.to_string()]).await?;
            if row.get::<_, i64>(0) == 1 {
                break;
            }
            if self.task.is_finished() || begun.elapsed() > SOON {
                return Err(format!("the archiver beside does not come to {end}").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.stop.cancel();
        self.task.await?
    }
}

/// Everything that was acknowledged is there once, as the server wrote it.
async fn examine(order: &Order, shim: &Shim, pg: &Pg, last: &str, folder: &Path) -> Result {
    // Read first: the server may archive another segment meanwhile.
    let acknowledged = shim.acknowledged();
    let archive = open(order).await?.ok_or("there is no archive")?;
    let size = archive.segment_size();
    let gaps = archive.gaps().await?;
    let coverage = archive.coverage(None).await?;
    let [run] = coverage.runs.as_slice() else {
        return Err(format!("the archive has holes: {:?}, gaps {gaps:?}", coverage.runs).into());
    };
    if acknowledged.is_empty() || !gaps.is_empty() {
        return Err(format!("acknowledged {acknowledged:?}, gaps {gaps:?}").into());
    }
    for name in acknowledged.iter().map(String::as_str).chain([last]) {
        if let WalFile::Segment(segment) = WalFile::parse(name, size)?
            && (segment.start(size) < run.start || segment.end(size) > run.end)
        {
            return Err(format!("{name} was acknowledged, and {run:?} is there").into());
        }
    }
    let to = folder.join("segment");
    let own = pg.data_dir().join("pg_wal");
    fetches(&own, &archive, run.start..run.end, &to).await?;
    once(order, &archive).await
}

/// No segment is there twice.
async fn once(order: &Order, archive: &WalArchive) -> Result {
    let store = order.store.open().await?;
    let listed = store.list(ListOptions::default());
    let listed: Vec<_> = listed.try_collect().await.map_err(Error::from)?;
    let mut seen = BTreeSet::new();
    for meta in listed {
        let key = meta.key.as_str();
        let Some((_, name)) = key.rsplit_once("/segments/") else {
            continue;
        };
        let name = name.rsplit('/').next().unwrap_or_default();
        let name = name.split('.').next().unwrap_or_default().to_owned();
        let segment = WalFile::parse(&name, archive.segment_size())?;
        if !matches!(segment, WalFile::Segment(it) if it.timeline() == Timeline::FIRST) {
            return Err(format!("{key} is no segment of this server").into());
        }
        if !seen.insert(name) {
            return Err(format!("{key} is there twice").into());
        }
    }
    if seen.is_empty() {
        return Err("there are no segments".into());
    }
    Ok(())
}
