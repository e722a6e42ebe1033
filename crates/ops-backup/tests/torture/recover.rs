//! Restores with the recovery after them that are disturbed.

use std::path::Path;
use std::time::Duration;

use ops_backup::{ErrorKind, RestoreTarget};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::server::ThrowawayServer;
use ops_testkit::fixture;
use tokio_util::sync::CancellationToken;

use crate::check::{self, failed};
use crate::child::{Order, Task};
use crate::plan::Plan;
use crate::scene::Scene;
use crate::store::disturbed;
use crate::{Error, Result};

/// How long the rest of a restore may take to come up by itself. A standby that is not
/// consistent never does.
const START: Duration = Duration::from_secs(3);
/// How long the processes of a server may take that was told to end.
const END: Duration = Duration::from_secs(10);

pub(crate) async fn torture(scene: &Scene, plan: &Plan, folder: &Path) -> Result {
    let aged = &scene.aged;
    let site = aged.image.copy(plan.medium, &folder.join("store")).await?;
    let index = usize::try_from(plan.seed)? % aged.targets.len();
    let (target, rows) = aged.targets.get(index).ok_or("there are no targets")?;
    let place = folder.join("data");
    let task = Task::Recover {
        target: target.clone(),
        folder: place.clone(),
        servers: folder.join("servers"),
    };
    let mut order = scene.order(task, &site.place);
    let extent = &scene.extents(plan).recover;
    let done = disturbed(scene, plan, &mut order, &site, extent).await?;
    let running = processes_in(&place)?;
    if done.is_some() || !plan.harm.kills() {
        if !running.is_empty() {
            return Err(format!("it ended, and these run on: {running:?}").into());
        }
        if done.is_some() {
            check::boots(scene, &place, *rows).await?;
            if !plan.boot {
                return Ok(());
            }
        }
    } else if running.is_empty() {
        if plan.seed.is_multiple_of(3) {
            never_short(scene, target, &place, *rows).await?;
        }
    } else {
        scene.counts.add(&scene.counts.servers, 1);
    }
    again(&order, &place).await?;
    check::boots(scene, &place, *rows).await
}

/// The same once more, into the same folder, whatever is left and may still run there.
async fn again(order: &Order, place: &Path) -> Result {
    let store = order.store.open().await?;
    let again = order.perform(store, CancellationToken::new()).await;
    again.map_err(|err| match err.kind() {
        ErrorKind::TargetNotEmpty => {
            Error::from(format!("what we have left is in our way: {err:?}"))
        }
        _ => failed("a recovery over what was left", &err),
    })?;
    let begun = tokio::time::Instant::now();
    loop {
        let running = processes_in(place)?;
        if running.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > END {
            return Err(format!("these run on: {running:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whoever starts a server over the rest of a restore gets none, one that still recovers, or
/// one that is where it was to go.
async fn never_short(scene: &Scene, target: &RestoreTarget, place: &Path, rows: i64) -> Result {
    let binaries = scene.pg.binaries().clone();
    let mut server = ThrowawayServer::builder(binaries, fixture::folder())
        .data_dir(place)
        .durable(false)
        .start_timeout(START)
        .create_empty()
        .await?;
    if !place.join("global/pg_control").exists() || server.start().await.is_err() {
        return Ok(());
    }
    let info = server.connect_info("postgres");
    let client = connect(&info, &ConnectOptions::default()).await?;
    let sql = "SELECT pg_is_in_recovery(), (SELECT count(*) FROM ledger)";
    let row = client.query_one(sql, &[]).await?;
    let (recovers, found): (bool, i64) = (row.get(0), row.get(1));
    if !recovers && found != rows {
        return Err(format!("started at {target} with {found} rows instead of {rows}").into());
    }
    Ok(())
}

/// The processes that run in a folder, or were told of it.
pub(crate) fn processes_in(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        // One that has ended meanwhile is none.
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let inside = std::fs::read_link(path.join("cwd")).unwrap_or_default();
        if line.contains(&folder) || inside.to_string_lossy().starts_with(&folder) {
            found.push(format!("{}: {line}", path.display()));
        }
    }
    Ok(found)
}
