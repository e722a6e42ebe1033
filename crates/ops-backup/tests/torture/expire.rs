//! Expiry of WAL that is disturbed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_backup::{
    BackupId, BaseBackupRequest, ClusterRestoreOptions, Lsn, RestoreTarget, Timeline,
};
use ops_core::object_store::ListOptions;
use ops_core::{ObjectKey, ObjectStore};
use ops_pg_replication::SlotName;
use ops_testkit::fixture;
use tokio_util::sync::CancellationToken;

use crate::check::{self, failed};
use crate::child::{Order, Task, archiving};
use crate::plan::Plan;
use crate::scene::{Scene, undisturbed};
use crate::store::disturbed;
use crate::wal::{fetches, flushed, open};
use crate::{Result, open_to_all};

const SLOT: &str = "torture_aged";
/// How many segments there are before, between and after the backups.
const SEGMENTS: usize = 3;

/// The store that expiry begins with, and what it must come to.
#[derive(Debug, Default)]
pub(crate) struct Aged {
    backups: Vec<BackupId>,
    /// Since then everything has to be kept.
    since: Option<Lsn>,
    end: Option<Lsn>,
    rows: i64,
    /// The WAL that was there, and of that what is to go.
    wal: BTreeSet<ObjectKey>,
    goes: BTreeSet<ObjectKey>,
}

impl Scene {
    /// Makes the store that expiry begins with, and sees what it comes to undisturbed.
    pub(crate) async fn age(&mut self) -> Result {
        let store = self.folder.path().join("aged");
        let order = self.order(Task::Expire, &store);
        let backup = order.backup()?;
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
            aged.backups.push(report.id);
        }
        self.write_segments().await?;
        let client = self.pg.client("postgres").await;
        let row = client.query_one("SELECT count(*) FROM ledger", &[]).await?;
        aged.rows = row.get(0);
        let end = flushed(self).await?;
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
        self.keep_own_segments()?;
        aged.wal = wal_objects(&order).await?;

        let marked = self.folder.path().join("marked");
        self.aged_store(false, &marked)?;
        let marking = undisturbed(&self.order(Task::Expire, &marked)).await?.1;
        let expired = self.folder.path().join("expired");
        self.aged_store(true, &expired)?;
        let order = self.order(Task::Expire, &expired);
        self.expire = [marking, undisturbed(&order).await?.1];
        aged.goes = &aged.wal - &wal_objects(&order).await?;
        if aged.goes.len() < SEGMENTS || aged.goes.len() + SEGMENTS > aged.wal.len() {
            return Err(format!("{} of {} go", aged.goes.len(), aged.wal.len()).into());
        }
        println!(
            "undisturbed: expire {:?}, {} of {} objects of WAL",
            self.expire,
            aged.goes.len(),
            aged.wal.len()
        );
        self.aged = aged;
        Ok(())
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

    fn own_segments(&self) -> PathBuf {
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
}

/// The objects of the archive that hold WAL: what expiry itself writes is of no account.
async fn wal_objects(order: &Order) -> Result<BTreeSet<ObjectKey>> {
    let listed: Vec<_> = order
        .local()?
        .list(ListOptions::default())
        .try_collect()
        .await?;
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

pub(crate) async fn torture(scene: &Scene, plan: &Plan, folder: &Path) -> Result {
    let store = folder.join("store");
    let marked = (plan.seed / 2).is_multiple_of(2);
    scene.aged_store(marked, &store)?;
    let [marking, removing] = &scene.expire;
    let extent = if marked { removing } else { marking };
    let mut order = scene.order(Task::Expire, &store);
    let done = disturbed(scene, plan, &mut order, extent).await?;
    let left = wal_objects(&order).await?;
    let gone = &scene.aged.wal - &left;
    if !gone.is_subset(&scene.aged.goes) {
        let lost: Vec<_> = gone.difference(&scene.aged.goes).collect();
        return Err(format!("WAL that is needed is gone: {lost:?}").into());
    }
    if !marked && !gone.is_empty() {
        return Err(format!("WAL is gone that was not marked before: {gone:?}").into());
    }
    if marked && done.is_some() && gone != scene.aged.goes {
        return Err("it was acknowledged, and not everything is gone".into());
    }
    recoverable(scene, plan, &order, folder).await?;
    forget_the_dead(plan, &order).await?;
    // What the first marks is removed by the second.
    for _ in 0..2 {
        let again = order.perform(order.local()?, CancellationToken::new());
        again
            .await
            .map_err(|err| failed("expiry after what was left", &err))?;
    }
    let left = wal_objects(&order).await?;
    if &scene.aged.wal - &left != scene.aged.goes {
        return Err(format!("the next run leaves {left:?}").into());
    }
    recoverable(scene, plan, &order, folder).await
}

/// Removes the lease of the process that was killed, for which the next one would wait half a
/// minute. Some seeds do wait.
async fn forget_the_dead(plan: &Plan, order: &Order) -> Result {
    if plan.boot {
        return Ok(());
    }
    let store = order.local()?;
    let listed: Vec<_> = store.list(ListOptions::default()).try_collect().await?;
    for meta in listed {
        if meta.key.as_str().ends_with("/expire-lease.json") {
            store.delete(&meta.key).await?;
        }
    }
    Ok(())
}

/// Each backup restores, and everything after the last is there.
async fn recoverable(scene: &Scene, plan: &Plan, order: &Order, folder: &Path) -> Result {
    let aged = &scene.aged;
    let (Some(since), Some(end)) = (aged.since, aged.end) else {
        return Err("the scene is not set".into());
    };
    let backup = order.backup()?;
    let listed = backup.catalogue().await?;
    for id in &aged.backups {
        if listed.iter().all(|entry| entry.manifest.id != *id) {
            return Err(format!("backup {id} is not listed any more").into());
        }
        if plan.seed.is_multiple_of(4) {
            let place = tempfile::tempdir_in(folder)?;
            let place = place.path().join("data");
            check::restores(scene, order, id, &place, false).await?;
        }
    }
    let windows = backup.recoverable_windows().await?;
    let last = aged.backups.last();
    let reaches = windows
        .iter()
        .any(|window| window.to >= end && last.is_some_and(|last| window.backups.contains(last)));
    if !reaches {
        return Err(format!("what is recoverable does not reach {end}: {windows:?}").into());
    }
    let archive = open(order).await?.ok_or("there is no archive")?;
    // From the segment on that the last backup begins in.
    let since = since
        .segment(Timeline::FIRST, archive.segment_size())
        .start(archive.segment_size());
    let to = folder.join("segment");
    fetches(&scene.own_segments(), &archive, since..end, &to).await?;
    if plan.boot {
        let place = tempfile::tempdir_in(folder)?;
        open_to_all(place.path())?;
        let place = place.path().join("latest");
        let options = ClusterRestoreOptions::new().with_server_folder(fixture::folder());
        let job = backup.restore_cluster(RestoreTarget::Latest, &place, options);
        job.finish()
            .await
            .map_err(|err| failed("a recovery", &err))?;
        check::boots(scene, &place, aged.rows).await?;
    }
    Ok(())
}
