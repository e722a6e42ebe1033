//! Expiry of WAL that is disturbed.

use std::path::Path;

use futures_util::TryStreamExt;
use ops_backup::{ClusterRestoreOptions, RestoreTarget, Timeline};
use ops_core::object_store::ListOptions;
use ops_testkit::fixture;
use tokio_util::sync::CancellationToken;

use crate::aged::wal_objects;
use crate::check::{self, failed};
use crate::child::{Order, Task};
use crate::plan::Plan;
use crate::scene::Scene;
use crate::store::disturbed;
use crate::wal::{fetches, open};
use crate::{Result, open_to_all};

pub(crate) async fn torture(scene: &Scene, plan: &Plan, folder: &Path) -> Result {
    let marked = (plan.seed / 2).is_multiple_of(2);
    let [marking, removing] = &scene.extents(plan).expire;
    let (image, extent) = if marked {
        (&scene.aged.marked, removing)
    } else {
        (&scene.aged.image, marking)
    };
    let site = image.copy(plan.medium, &folder.join("store")).await?;
    let mut order = scene.order(Task::Expire, &site.place);
    let done = disturbed(scene, plan, &mut order, &site, extent).await?;
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
        let again = order.perform(order.store.open().await?, CancellationToken::new());
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
    let store = order.store.open().await?;
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
    let backup = order.backup().await?;
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
