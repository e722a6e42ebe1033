//! What all seeds share: a server, stores to begin with, and what runs come to that nothing
//! disturbs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use age::secrecy::ExposeSecret;
use ops_backup::BackupId;
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, FaultStore, Pg, fixture};
use tokio_util::sync::CancellationToken;

use crate::child::{Order, Task};
use crate::expire::Aged;
use crate::plan::{Extent, Trap};
use crate::{Error, Result};

/// The rows of the ledger when the first backup was taken.
pub(crate) const ROWS: i64 = 1000;

const TABLES: &str = "
CREATE TABLE big AS SELECT i, md5(i::text) || repeat('x', 100) AS x FROM generate_series(1, 30000) i;
CREATE INDEX ON big (x);
CREATE TABLE ledger (i bigserial PRIMARY KEY, seed bigint);
INSERT INTO ledger (seed) SELECT 0 FROM generate_series(1, 1000);
CREATE TABLE filler (i bigserial, seed bigint, x text);
CHECKPOINT;
";

pub(crate) struct Scene {
    pub(crate) pg: Pg,
    pub(crate) backend: Backend,
    pub(crate) folder: tempfile::TempDir,
    recipient: String,
    identity: String,
    /// The backup that every store has.
    pub(crate) first: BackupId,
    pub(crate) backup: Extent,
    pub(crate) restore: Extent,
    pub(crate) sweep: Extent,
    /// Of marking, and of removing.
    pub(crate) expire: [Extent; 2],
    pub(crate) aged: Aged,
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
            first: "20260101T000000Z-00000000".parse().map_err(|_| "an id")?,
            backup: Extent::default(),
            restore: Extent::default(),
            sweep: Extent::default(),
            expire: Default::default(),
            aged: Aged::default(),
        };
        scene.measure().await?;
        scene.age().await?;
        Ok(Some(scene))
    }

    /// An order to work on a store of this scene.
    pub(crate) fn order(&self, task: Task, store: &Path) -> Order {
        Order {
            task,
            url: self.pg.url("postgres"),
            store: store.to_owned(),
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

    fn clean(&self) -> PathBuf {
        self.folder.path().join("clean")
    }

    fn littered(&self) -> PathBuf {
        self.folder.path().join("littered")
    }

    /// A store with one backup.
    pub(crate) fn clean_store(&self, to: &Path) -> Result {
        copy(&self.clean(), to)
    }

    /// A store with one backup, and with what two that were killed have left.
    pub(crate) fn littered_store(&self, to: &Path) -> Result {
        copy(&self.littered(), to)
    }

    /// A store with two backups, and the WAL before, between and after them; what is to go of
    /// that may be marked already.
    pub(crate) fn aged_store(&self, marked: bool, to: &Path) -> Result {
        let name = if marked { "marked" } else { "aged" };
        copy(&self.folder.path().join(name), to)
    }

    async fn measure(&mut self) -> Result {
        let (proxy, url) = self.proxied().await;
        let mut order = self.order(Task::Backup, &self.clean());
        order.url = url;
        let (done, extent) = undisturbed(&order).await?;
        self.first = done.parse().map_err(|_| "the report has no id")?;
        self.backup = Extent {
            server_bytes: proxy.stats().bytes_down,
            ..extent
        };
        let order = self.order(
            Task::Restore {
                id: self.first.clone(),
                folder: self.folder.path().join("restored"),
                delta: false,
            },
            &self.clean(),
        );
        self.restore = undisturbed(&order).await?.1;
        fs::remove_dir_all(self.folder.path().join("restored"))?;

        copy(&self.clean(), &self.littered())?;
        for share in [2, 3] {
            let mut order = self.order(Task::Backup, &self.littered());
            let call = self.backup.calls * share / 4;
            order.trap.call = Some((call, 2));
            let child = order.spawn().await?;
            let output = child.wait_with_output().await?;
            if output.status.success() {
                return Err("a process outlived its end".into());
            }
        }
        let copied = self.folder.path().join("swept");
        copy(&self.littered(), &copied)?;
        self.sweep = undisturbed(&self.order(Task::Sweep, &copied)).await?.1;
        println!(
            "undisturbed: backup {:?}, restore {:?}, sweep {:?}",
            self.backup, self.restore, self.sweep
        );
        Ok(())
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
    let store = Arc::new(FaultStore::new(order.local()?));
    let begun = Instant::now();
    let counted = Arc::clone(&store);
    let done = order.perform(counted, CancellationToken::new()).await;
    let done = done.map_err(|err| Error::from(format!("undisturbed: {err:?}")))?;
    let extent = Extent {
        calls: store.calls(),
        store_bytes: store.bytes(),
        server_bytes: 0,
        time: begun.elapsed(),
    };
    Ok((done, extent))
}

/// Copies a folder, by links: a store never writes into a file that it has.
fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::hard_link(entry.path(), target)?;
        }
    }
    Ok(())
}
