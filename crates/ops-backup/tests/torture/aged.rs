//! A store with two backups, and the WAL before, between and after them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_backup::{BackupId, BaseBackupRequest, Lsn, RestoreTarget};
use ops_core::ObjectKey;
use ops_core::object_store::ListOptions;
use ops_pg_replication::SlotName;
use tokio_util::sync::CancellationToken;

use crate::check::failed;
use crate::child::{Order, Task, archiving};
use crate::place::{Image, Place, link_all};
use crate::plan::{Extent, Medium};
use crate::scene::{Scene, counted, undisturbed};
use crate::wal::flushed;
use crate::{Error, Result, open_to_all};

const SLOT: &str = "torture_aged";
/// The name of the restore point between the last backup and the end.
const POINT: &str = "torture";
/// How many segments there are before, between and after the backups.
const SEGMENTS: usize = 3;

/// The store, and what it must come to.
#[derive(Debug, Default)]
pub(crate) struct Aged {
    pub(crate) backups: Vec<BackupId>,
    /// Since then everything has to be kept.
    pub(crate) since: Option<Lsn>,
    pub(crate) end: Option<Lsn>,
    pub(crate) rows: i64,
    /// Where a cluster can be recovered to, and how many rows there are then.
    pub(crate) targets: Vec<(RestoreTarget, i64)>,
    /// The WAL that was there, and of that what is to go.
    pub(crate) wal: BTreeSet<ObjectKey>,
    pub(crate) goes: BTreeSet<ObjectKey>,
    pub(crate) image: Image,
    /// The same with what is to go marked.
    pub(crate) marked: Image,
}

impl Scene {
    /// Makes the store, and sees what expiry comes to undisturbed.
    pub(crate) async fn age(&mut self) -> Result {
        let folder = self.folder.path().join("aged");
        let order = self.order(Task::Expire, &Place::Folder(folder.clone()));
        let mut aged = self.archived(&order).await?;
        self.keep_own_segments()?;
        aged.wal = wal_objects(&order).await?;
        aged.image = Image::of(&folder).await?;

        let marked = self.folder.path().join("marked");
        link_all(&folder, &marked)?;
        undisturbed(&self.order(Task::Expire, &Place::Folder(marked.clone()))).await?;
        aged.marked = Image::of(&marked).await?;
        let expired = self.folder.path().join("expired");
        link_all(&marked, &expired)?;
        let order = self.order(Task::Expire, &Place::Folder(expired));
        undisturbed(&order).await?;
        aged.goes = &aged.wal - &wal_objects(&order).await?;
        if aged.goes.len() < SEGMENTS || aged.goes.len() + SEGMENTS > aged.wal.len() {
            return Err(format!("{} of {} go", aged.goes.len(), aged.wal.len()).into());
        }
        self.aged = aged;
        Ok(())
    }

    /// Two backups, and an archiver that runs all the time.
    async fn archived(&self, order: &Order) -> Result<Aged> {
        let backup = order.backup().await?;
        let archiver = backup.archiver(archiving(SlotName::new(SLOT)?, None))?;
        let stop = CancellationToken::new();
        let (running, stopped) = (archiver.clone(), stop.clone());
        let archiving = tokio::spawn(async move { running.run(stopped).await });
        let mut aged = Aged::default();
        for _ in 0..2 {
            self.write_segments().await?;
            let job = backup.base_backup(BaseBackupRequest::full());
            let report = job.finish().await.map_err(|err| failed("a backup", &err))?;
            aged.since = Some(report.physical.start_lsn);
            aged.targets = vec![(
                RestoreTarget::Immediate {
                    backup: report.id.clone(),
                },
                self.rows().await?,
            )];
            aged.backups.push(report.id);
        }
        self.write_segments().await?;
        let rows = self.rows().await?;
        let client = self.pg.client("postgres").await;
        let row = client
            .query_one("SELECT pg_create_restore_point($1)::text", &[&POINT])
            .await?;
        let at: Lsn = row.get::<_, String>(0).parse()?;
        aged.targets.push((RestoreTarget::Name(POINT.into()), rows));
        aged.targets.push((RestoreTarget::Lsn(at), rows));
        self.write_segments().await?;
        aged.rows = self.rows().await?;
        aged.targets.push((RestoreTarget::Latest, aged.rows));
        let end = flushed(&self.pg).await?;
        while archiver.status().durable.is_none_or(|it| it < end) {
            if archiving.is_finished() {
                return Err(format!("the archiver ended: {:?}", archiving.await?).into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
        archiving
            .await?
            .map_err(|err| failed("an archiver", &err))?;
        client
            .execute("SELECT pg_drop_replication_slot($1)", &[&SLOT])
            .await?;
        aged.end = Some(end);
        Ok(aged)
    }

    async fn rows(&self) -> Result<i64> {
        let client = self.pg.client("postgres").await;
        let row = client.query_one("SELECT count(*) FROM ledger", &[]).await?;
        Ok(row.get(0))
    }

    /// Copies the server's segments, which it recycles.
    fn keep_own_segments(&self) -> Result {
        std::fs::create_dir(self.own_segments())?;
        for entry in std::fs::read_dir(self.pg.data_dir().join("pg_wal"))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                std::fs::copy(entry.path(), self.own_segments().join(entry.file_name()))?;
            }
        }
        Ok(())
    }

    pub(crate) fn own_segments(&self) -> PathBuf {
        self.folder.path().join("segments")
    }

    async fn write_segments(&self) -> Result {
        let client = self.pg.client("postgres").await;
        for _ in 0..SEGMENTS {
            client
                .batch_execute("INSERT INTO ledger (seed) VALUES (0); SELECT pg_switch_wal()")
                .await?;
        }
        Ok(())
    }

    /// What marking, removing, and a recovery come to.
    pub(crate) async fn measure_aged(
        &self,
        medium: Medium,
        folder: &Path,
    ) -> Result<([Extent; 2], Extent)> {
        let mut expire = [Extent::default(); 2];
        let images = [&self.aged.image, &self.aged.marked];
        for (index, (image, extent)) in images.into_iter().zip(&mut expire).enumerate() {
            let site = image
                .copy(medium, &folder.join(format!("aged{index}")))
                .await?;
            *extent = counted(&self.order(Task::Expire, &site.place), &site).await?;
        }
        let site = self.aged.image.copy(medium, &folder.join("kept")).await?;
        let recover = Task::Recover {
            target: RestoreTarget::Latest,
            folder: folder.join("recovered"),
            servers: folder.join("servers"),
        };
        open_to_all(folder)?;
        let recover = counted(&self.order(recover, &site.place), &site).await?;
        Ok((expire, recover))
    }
}

/// The objects of the archive that hold WAL: what expiry itself writes is of no account.
pub(crate) async fn wal_objects(order: &Order) -> Result<BTreeSet<ObjectKey>> {
    let store = order.store.open().await?;
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .map_err(Error::from)?;
    let keys = listed.into_iter().map(|meta| meta.key);
    Ok(keys
        .filter(|key| key.as_str().starts_with("wal/") && !is_of_expiry(key))
        .collect())
}

fn is_of_expiry(key: &ObjectKey) -> bool {
    ["/expire-lease.json", "/expired/"]
        .iter()
        .any(|part| key.as_str().contains(part))
}
