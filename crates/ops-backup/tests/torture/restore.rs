//! Restores that are disturbed.

use std::path::{Path, PathBuf};

use ops_backup::{ErrorKind, RestoreTarget};

use crate::Result;
use crate::check::{self, failed, verified};
use crate::child::{Task, prepare};
use crate::plan::Plan;
use crate::scene::{ROWS, Scene};
use crate::store::disturbed;

pub(crate) async fn torture(scene: &Scene, plan: &Plan, folder: &Path) -> Result {
    let site = scene.clean.copy(plan.medium, &folder.join("store")).await?;
    let target = folder.join("data");
    // Over a copy that is there already, or into nothing.
    let delta = plan.seed.is_multiple_of(3);
    let task = Task::Restore {
        id: scene.first.clone(),
        folder: target.clone(),
        delta,
    };
    let mut order = scene.order(task, &site.place);
    let missing = if delta {
        check::restores(scene, &order, &scene.first, &target, false).await?;
        Some(damage(&target)?)
    } else {
        None
    };
    let done = disturbed(scene, plan, &mut order, &site, &scene.extents(plan).restore).await?;

    // A server starts where there is one, so everything else must be there: what was restored
    // now, or what had been there, as it was.
    let startable = target.join("global/pg_control").exists();
    let untouched = missing.is_some_and(|path| !path.exists());
    if done.is_some() || (startable && !untouched) {
        verified(scene, &target)
            .await
            .map_err(|err| format!("acknowledged: {}: {err}", done.is_some()))?;
    }
    let holds_something = target.read_dir().is_ok_and(|mut it| it.next().is_some());
    let backup = order.backup().await?;
    let immediate = || RestoreTarget::Immediate {
        backup: scene.first.clone(),
    };
    if holds_something {
        let refused = backup
            .restore_cluster(immediate(), &target, prepare(false))
            .finish()
            .await;
        match refused {
            Err(err) if err.kind() == ErrorKind::TargetNotEmpty => {}
            other => {
                return Err(format!("a folder that holds something was taken: {other:?}").into());
            }
        }
    }
    let again = backup
        .restore_cluster(immediate(), &target, prepare(true))
        .finish()
        .await;
    again.map_err(|err| failed("a restore over what was left", &err))?;
    verified(scene, &target).await?;
    if plan.boot {
        let place = folder.join("started");
        check::restores(scene, &order, &scene.first, &place, true).await?;
        return check::boots(scene, &place, ROWS).await;
    }
    Ok(())
}

/// Makes files of a restored copy differ: one is longer, one has other bytes, and one is gone,
/// which is returned.
fn damage(folder: &Path) -> Result<PathBuf> {
    let base = folder.join("base/1");
    let mut files: Vec<_> = std::fs::read_dir(&base)?
        .filter_map(|it| Some(it.ok()?.path()))
        .collect();
    files.sort();
    let mut full = files
        .into_iter()
        .filter(|it| it.metadata().is_ok_and(|meta| meta.len() >= 16_384));
    let (gone, longer, other) = (full.next(), full.next(), full.next());
    let gone = gone.ok_or("there are no files")?;
    std::fs::remove_file(&gone)?;
    if let Some(path) = longer {
        let mut bytes = std::fs::read(&path)?;
        bytes.extend([7; 8192]);
        std::fs::write(path, bytes)?;
    }
    if let Some(path) = other {
        let mut bytes = std::fs::read(&path)?;
        bytes
            .iter_mut()
            .skip(9000)
            .take(100)
            .for_each(|byte| *byte ^= 0xff);
        std::fs::write(path, bytes)?;
    }
    Ok(gone)
}
