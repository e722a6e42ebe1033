//! Backups and sweeps that are disturbed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::{BackupId, ErrorKind};
use ops_testkit::FaultStore;
use ops_testkit::proxy::{Close, Cut, Direction};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::check::{self, failed};
use crate::child::{GRACE, Order, Task};
use crate::harm::Harm;
use crate::place::Site;
use crate::plan::{Extent, Plan, Work};
use crate::scene::Scene;
use crate::{Error, Result};

pub(crate) async fn torture(scene: &Scene, plan: &Plan, folder: &Path) -> Result {
    let store = folder.join("store");
    let extents = scene.extents(plan);
    let (task, site, extent) = if plan.work == Work::Backup {
        let site = scene.clean.copy(plan.medium, &store).await?;
        (Task::Backup, site, extents.backup)
    } else {
        let site = scene.littered(plan.medium, &store).await?;
        (Task::Sweep, site, extents.sweep)
    };
    let mut order = scene.order(task, &site.place);
    let beside = beside(plan).then(|| Sweeping::start(&order));
    let acknowledged = disturbed(scene, plan, &mut order, &site, &extent).await;
    let removed = match beside {
        Some(beside) => beside.stop().await?,
        None => Vec::new(),
    };
    let acknowledged = acknowledged?;
    order.url = scene.pg.url("postgres");

    let entries = check::listed(scene, &order).await?;
    let ids: Vec<_> = entries.iter().map(|entry| &entry.manifest.id).collect();
    let most = if plan.work == Work::Backup { 2 } else { 1 };
    if ids.len() > most {
        return Err(format!("backups are listed that nobody took: {ids:?}").into());
    }
    if let Some(id) = acknowledged.filter(|id| !id.is_empty())
        && !ids.iter().any(|it| it.to_string() == id)
    {
        return Err(format!("backup {id} was acknowledged and is not listed").into());
    }
    if let Some(id) = ids.iter().find(|id| removed.contains(id)) {
        return Err(format!("a sweep beside it has taken {id}, which is listed").into());
    }
    for id in ids {
        // The one that all have was not touched, most likely.
        if *id != scene.first || plan.work == Work::Sweep || plan.seed.is_multiple_of(4) {
            check::restores(scene, &order, id, &folder.join(id.to_string()), plan.boot).await?;
        }
    }
    check::sweeps_clean(scene, &order, &site).await?;
    check::listed(scene, &order).await?;
    Ok(())
}

/// Whether others sweep meanwhile. They would take the faults that are counted by requests.
fn beside(plan: &Plan) -> bool {
    let counted = matches!(plan.harm, Harm::Wire(..) | Harm::KillAtRequest(_));
    plan.work == Work::Backup && !counted && !plan.seed.is_multiple_of(2)
}

/// Sweeps as others do who share the store, who must leave alone what is under way.
struct Sweeping {
    stop: CancellationToken,
    task: JoinHandle<Result<Vec<BackupId>>>,
}

impl Sweeping {
    fn start(order: &Order) -> Self {
        let stop = CancellationToken::new();
        let (order, stopped) = (order.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let builder = order.builder(order.store.open().await?)?;
            let backup = builder.sweep_grace(GRACE).build()?;
            let mut removed = Vec::new();
            while !stopped.is_cancelled() {
                let report = backup
                    .sweep()
                    .await
                    .map_err(|err| failed("a sweep", &err))?;
                // One that has failed has given itself up.
                removed.extend(report.removed);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(removed)
        });
        Self { stop, task }
    }

    /// Ends it; gives what it has removed.
    async fn stop(self) -> Result<Vec<BackupId>> {
        self.stop.cancel();
        self.task.await?
    }
}

/// Does an order under what a plan brings. Gives what was acknowledged, if anything was.
pub(crate) async fn disturbed(
    scene: &Scene,
    plan: &Plan,
    order: &mut Order,
    site: &Site,
    extent: &Extent,
) -> Result<Option<String>> {
    let (proxy, url) = scene.proxied().await;
    if let Some(bytes) = plan.harm.server_bytes(extent) {
        order.url = url;
        if matches!(plan.harm, Harm::Server(_)) {
            scene.counts.add(&scene.counts.faults, 1);
            proxy.set_cut(Some(Cut {
                direction: Direction::Down,
                after: bytes,
                close: Close::Reset,
            }));
        }
    }
    let injected = plan.harm.inject(site, extent);
    let struck = || injected.as_ref().map_or(0, |it| it.happened());
    if !plan.harm.kills() {
        let store = Arc::new(FaultStore::new(order.store.open().await?));
        plan.harm.trap(extent).set(&store);
        let calls = Arc::clone(&store);
        let outcome = order.perform(calls, CancellationToken::new()).await;
        let faults = store.happened() + struck();
        scene.counts.add(&scene.counts.faults, faults);
        site.settle();
        return match outcome {
            Ok(done) => Ok(Some(done)),
            Err(err) if err.kind() == ErrorKind::Fenced => {
                Err(format!("it was taken for abandoned: {err:?}").into())
            }
            Err(err) => check::is_typed(&err).map(|()| None),
        };
    }
    order.trap = plan.harm.trap(extent);
    let mut child = order.spawn().await?;
    let bytes = plan.harm.server_bytes(extent);
    let outside = async {
        while bytes.is_none_or(|bytes| proxy.stats().bytes_down < bytes) && struck() == 0 {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    };
    tokio::select! {
        () = outside => child.start_kill()?,
        ended = child.wait() => { ended?; }
    }
    let done = ended(scene, child).await;
    site.settle();
    done
}

/// What a process said that it had done before it ended, by itself or not.
pub(crate) async fn ended(scene: &Scene, child: Child) -> Result<Option<String>> {
    use std::os::unix::process::ExitStatusExt;
    let output = child.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let done = said
        .trim_end()
        .strip_prefix("done")
        .map(|it| it.trim().to_owned());
    let killed = output.status.signal() == Some(9);
    if killed {
        scene.counts.add(&scene.counts.kills, 1);
    }
    if !killed && done.is_none() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::from(format!(
            "nobody killed it: {}: {said}",
            output.status
        )));
    }
    Ok(done)
}
