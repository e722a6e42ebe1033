//! Servers that recover by a command, runs of which are disturbed.

use std::path::Path;
use std::time::Duration;

use ops_backup::{ClusterRestoreOptions, Recovery, RestoreTarget};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::server::ThrowawayServer;
use ops_testkit::fixture;

use crate::Result;
use crate::check::{self, failed};
use crate::child::Task;
use crate::plan::{Medium, Plan};
use crate::recover::processes_in;
use crate::scene::Scene;
use crate::shim::{self, Shim};

/// How often recovery may end beside that.
const SLACK: usize = 2;
const SOON: Duration = Duration::from_secs(30);

pub(crate) async fn torture(scene: &Scene, plan: &Plan, folder: &Path) -> Result {
    let aged = &scene.aged;
    let site = aged.image.copy(Medium::S3, folder).await?;
    let order = scene.order(Task::Sweep, &site.place);
    let shim = Shim::install(plan, &order, folder)?;
    let place = folder.join("data");
    let restore_command = shim.restore_command(scene);
    let options = ClusterRestoreOptions::new().with_recovery(Recovery::Prepare { restore_command });
    let job = order
        .backup()
        .await?
        .restore_cluster(RestoreTarget::Latest, &place, options);
    job.finish()
        .await
        .map_err(|err| failed("a restore", &err))?;

    let injected = plan.harm.inject(&site, &shim::EXTENT);
    let binaries = scene.pg.binaries().clone();
    let mut server = ThrowawayServer::builder(binaries, fixture::folder())
        .data_dir(&place)
        .durable(false)
        // At least what the source had.
        .setting("max_wal_senders", "40")
        .create_empty()
        .await?;
    // Each run that is disturbed may end the server, which then goes on where it was.
    let mut ends = 0;
    while !recovers(&mut server, aged.rows).await? {
        ends += 1;
        // On a busy machine the store may not answer in time.
        let most = SLACK + shim.disturbed() + usize::from(injected.is_some());
        if ends > most {
            let log = last_words(&server);
            return Err(format!("recovery ended {ends} times: {log}").into());
        }
    }
    drop(server);
    let struck = injected.map_or(0, |it| it.happened());
    // What fetches ahead may outlive the server.
    let begun = tokio::time::Instant::now();
    while !processes_in(&folder.join("shim"))?.is_empty() && begun.elapsed() < SOON {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let runs = shim.runs();
    scene.counts.add(&scene.counts.kills, runs.kills);
    scene.counts.add(&scene.counts.faults, runs.faults + struck);
    if plan.boot {
        check::boots(scene, &place, aged.rows).await?;
    }
    Ok(())
}

/// Starts a server that recovers; `false` where it ends before it has recovered. One that has
/// must have all rows.
async fn recovers(server: &mut ThrowawayServer, rows: i64) -> Result<bool> {
    if server.start().await.is_err() {
        return Ok(false);
    }
    let info = server.connect_info("postgres");
    let begun = tokio::time::Instant::now();
    let sql = "SELECT pg_is_in_recovery(), (SELECT count(*) FROM ledger)";
    while begun.elapsed() < SOON {
        let state = async {
            let client = connect(&info, &ConnectOptions::default()).await?;
            let row = client.query_one(sql, &[]).await?;
            let state: (bool, i64) = (row.get(0), row.get(1));
            Result::<_>::Ok(state)
        };
        match state.await {
            Ok((true, _)) => {}
            Ok((false, found)) if found == rows => return Ok(true),
            Ok((false, found)) => {
                return Err(format!("promoted with {found} rows instead of {rows}").into());
            }
            Err(_) if !server.is_running() => return Ok(false),
            // It is about to end, or to promote.
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("recovery does not end".into())
}

/// What a server said last, without those that came too early.
fn last_words(server: &ThrowawayServer) -> String {
    let log = server.log_tail();
    let lines = log.lines().filter(|line| !line.contains("is starting up"));
    let last: Vec<_> = lines.rev().take(12).collect();
    last.into_iter().rev().collect::<Vec<_>>().join("\n")
}
