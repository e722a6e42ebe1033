//! What all seeds share: a server, stores to begin with, and what runs come to that nothing
//! disturbs.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use age::secrecy::ExposeSecret;
use ops_backup::BackupId;
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, FaultStore, Pg, fixture};
use tokio_util::sync::CancellationToken;

use crate::aged::Aged;
use crate::child::{Order, Task};
use crate::harm::Trap;
use crate::place::{Image, Place, Site, link_all};
use crate::plan::{Extent, Medium, Plan};
use crate::{Error, Result, open_to_all};

/// The rows of the ledger when the first backup was taken.
pub(crate) const ROWS: i64 = 1000;

// The noise is larger than a part of an upload, however it is compressed.
const TABLES: &str = "
CREATE TABLE big AS SELECT i, md5(i::text) || repeat('x', 100) AS x FROM generate_series(1, 30000) i;
CREATE INDEX ON big (x);
CREATE TABLE noise AS SELECT string_agg(sha512((i * 100 + j)::text::bytea), '') AS x
  FROM generate_series(1, 1200) i, generate_series(1, 100) j GROUP BY i;
CREATE TABLE ledger (i bigserial PRIMARY KEY, seed bigint);
INSERT INTO ledger (seed) SELECT 0 FROM generate_series(1, 1000);
CREATE TABLE filler (i bigserial, seed bigint, x text);
CHECKPOINT;
";

/// What has happened in all seeds.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Processes that were killed.
    pub(crate) kills: AtomicU64,
    /// Calls, requests and connections that failed.
    pub(crate) faults: AtomicU64,
    /// Unfinished uploads that were swept.
    pub(crate) uploads: AtomicU64,
    /// Servers that a killed process has left running.
    pub(crate) servers: AtomicU64,
}

impl Counts {
    pub(crate) fn add(&self, counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        write!(
            f,
            "{} kills, {} faults, {} uploads swept, {} servers left running",
            of(&self.kills),
            of(&self.faults),
            of(&self.uploads),
            of(&self.servers)
        )
    }
}

/// What the kinds of work come to that nothing disturbs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extents {
    pub(crate) backup: Extent,
    pub(crate) restore: Extent,
    pub(crate) sweep: Extent,
    /// Of marking, and of removing.
    pub(crate) expire: [Extent; 2],
    pub(crate) recover: Extent,
}

pub(crate) struct Scene {
    pub(crate) pg: Pg,
    pub(crate) backend: Backend,
    pub(crate) folder: tempfile::TempDir,
    recipient: String,
    identity: String,
    pub(crate) counts: Counts,
    /// The backup that every store has.
    pub(crate) first: BackupId,
    /// A store with one backup.
    pub(crate) clean: Image,
    /// The same, and what two that were killed have left.
    litter: Image,
    left: Vec<BackupId>,
    pub(crate) aged: Aged,
    local: Extents,
    s3: Extents,
}

impl Scene {
    /// `None` where there is no server.
    pub(crate) async fn new() -> Result<Option<Self>> {
        let builder = Pg::builder()
            .tcp(true)
            .setting("wal_keep_size", "4GB")
            .setting("max_wal_size", "8GB")
            .setting("checkpoint_timeout", "1h")
            .setting("max_wal_senders", "40")
            .setting("max_replication_slots", "40")
            .setting("autovacuum", "off")
            .with(|server| server.data_checksums(true).wal_segment_size_mb(1));
        let Some(pg) = builder.start().await else {
            return Ok(None);
        };
        pg.client("postgres").await.batch_execute(TABLES).await?;
        let keys = age::x25519::Identity::generate();
        let identity = keys.to_string().expose_secret().to_owned();
        let mut scene = Self {
            backend: Backend::of(&pg.connect_info("postgres")).await,
            pg,
            folder: tempfile::tempdir_in(fixture::folder())?,
            recipient: keys.to_public().to_string(),
            identity,
            counts: Counts::default(),
            first: "20260101T000000Z-00000000".parse().map_err(|_| "an id")?,
            clean: Image::default(),
            litter: Image::default(),
            left: Vec::new(),
            aged: Aged::default(),
            local: Extents::default(),
            s3: Extents::default(),
        };
        // The server's user runs a program from there.
        open_to_all(scene.folder.path())?;
        fs::copy(std::env::current_exe()?, scene.program())?;
        scene.begin().await?;
        scene.age().await?;
        scene.local = scene.measure(Medium::Local).await?;
        scene.s3 = scene.measure(Medium::S3).await?;
        Ok(Some(scene))
    }

    /// This program, where the server's user may run it.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.path().join("torture")
    }

    /// An order to work on a store of this scene.
    pub(crate) fn order(&self, task: Task, store: &Place) -> Order {
        Order {
            task,
            url: self.pg.url("postgres"),
            store: store.clone(),
            recipient: self.recipient.clone(),
            identity: self.identity.clone(),
            trap: Trap::default(),
        }
    }

    /// A proxy before the server, and the address of the server behind it.
    pub(crate) async fn proxied(&self) -> (FaultProxy, String) {
        let proxy = FaultProxy::start(self.backend.clone()).await;
        let info = proxy.connect_info(&self.pg.connect_info("postgres"));
        let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", info.port);
        (proxy, url)
    }

    pub(crate) fn extents(&self, plan: &Plan) -> &Extents {
        match plan.medium {
            Medium::Local => &self.local,
            Medium::S3 => &self.s3,
        }
    }

    /// A store with one backup, and with what two that were killed have left.
    pub(crate) async fn littered(&self, medium: Medium, to: &Path) -> Result<Site> {
        let site = self.litter.copy(medium, to).await?;
        for id in &self.left {
            site.begin_upload(id).await?;
        }
        site.settle();
        Ok(site)
    }

    /// Takes the backup that every store has, and two that are killed.
    async fn begin(&mut self) -> Result {
        let clean = self.folder.path().join("clean");
        let order = self.order(Task::Backup, &Place::Folder(clean.clone()));
        let (done, extent) = undisturbed(&order).await?;
        self.first = done.parse().map_err(|_| "the report has no id")?;
        self.clean = Image::of(&clean).await?;

        let littered = self.folder.path().join("littered");
        link_all(&clean, &littered)?;
        for share in [2, 3] {
            let mut order = self.order(Task::Backup, &Place::Folder(littered.clone()));
            order.trap.call = Some((extent.calls * share / 4, 2));
            let child = order.spawn().await?;
            let output = child.wait_with_output().await?;
            if output.status.success() {
                return Err("a process outlived its end".into());
            }
        }
        self.litter = Image::of(&littered).await?;
        self.left = self.litter.backups();
        self.left.retain(|id| *id != self.first);
        Ok(())
    }

    /// Sees what everything comes to that nothing disturbs.
    async fn measure(&self, medium: Medium) -> Result<Extents> {
        let folder = tempfile::tempdir_in(self.folder.path())?;
        open_to_all(folder.path())?;
        let at = |name: &str| folder.path().join(name);
        let (proxy, url) = self.proxied().await;
        let site = self.clean.copy(medium, &at("backup")).await?;
        let mut order = self.order(Task::Backup, &site.place);
        order.url = url;
        let backup = counted(&order, &site).await?;
        let backup = Extent {
            server_bytes: proxy.stats().bytes_down,
            ..backup
        };
        let task = Task::Restore {
            id: self.first.clone(),
            folder: at("restored"),
            delta: false,
        };
        let restore = counted(&self.order(task, &site.place), &site).await?;
        let site = self.littered(medium, &at("littered")).await?;
        let sweep = counted(&self.order(Task::Sweep, &site.place), &site).await?;
        let (expire, recover) = self.measure_aged(medium, folder.path()).await?;
        let extents = Extents {
            backup,
            restore,
            sweep,
            expire,
            recover,
        };
        println!("undisturbed, {medium:?}: {extents:?}");
        Ok(extents)
    }

    /// Whether nothing holds on to anything of the server any more.
    pub(crate) async fn left_clean(&self) -> Result {
        let client = self.pg.client("postgres").await;
        let sql = "SELECT slot_name::text FROM pg_replication_slots";
        for _ in 0..100 {
            let rows = client.query(sql, &[]).await?;
            if rows.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Err("there are replication slots left".into())
    }
}

pub(crate) async fn undisturbed(order: &Order) -> Result<(String, Extent)> {
    let store = Arc::new(FaultStore::new(order.store.open().await?));
    let begun = Instant::now();
    let calls = Arc::clone(&store);
    let done = order.perform(calls, CancellationToken::new()).await;
    let done = done.map_err(|err| Error::from(format!("undisturbed: {err:?}")))?;
    let extent = Extent {
        calls: store.calls(),
        store_bytes: store.bytes(),
        server_bytes: 0,
        requests: 0,
        time: begun.elapsed(),
    };
    Ok((done, extent))
}

/// What an order comes to, with the requests to its S3 server.
pub(crate) async fn counted(order: &Order, site: &Site) -> Result<Extent> {
    let before = site.requests();
    let extent = undisturbed(order).await?.1;
    let requests = site.requests() - before;
    Ok(Extent { requests, ..extent })
}
