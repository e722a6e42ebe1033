//! What must hold after each seed.

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::TryStreamExt;
use ops_backup::{BackupId, CatalogueEntry, ErrorKind, RestoreTarget};
use ops_core::object_store::ListOptions;
use ops_pg::server::ThrowawayServer;
use ops_testkit::fixture;

use crate::child::{Order, prepare};
use crate::place::Site;
use crate::scene::{ROWS, Scene};
use crate::{Error, Result};

/// An error that a caller can act upon.
pub(crate) fn is_typed(err: &ops_backup::Error) -> Result {
    if err.kind() == ErrorKind::Internal {
        return Err(format!("an error that blames a defect: {err:?}").into());
    }
    Ok(())
}

/// What is listed after a seed: the first backup, and at most one more.
pub(crate) async fn listed(scene: &Scene, order: &Order) -> Result<Vec<CatalogueEntry>> {
    let entries = order.backup().await?.catalogue().await?;
    if entries.iter().all(|entry| entry.manifest.id != scene.first) {
        return Err("a committed backup is not listed any more".into());
    }
    Ok(entries)
}

/// Restores a backup, and has it verified by `pg_verifybackup`; starts it where `boot` says so.
pub(crate) async fn restores(
    scene: &Scene,
    order: &Order,
    id: &BackupId,
    folder: &Path,
    boot: bool,
) -> Result {
    let backup = order.backup().await?;
    let target = RestoreTarget::Immediate { backup: id.clone() };
    if boot {
        let options = ops_backup::ClusterRestoreOptions::new()
            .with_server_folder(fixture::folder())
            .with_server_setting("fsync", "off");
        let job = backup.restore_cluster(target, folder, options);
        job.finish()
            .await
            .map_err(|err| failed("a restore", &err))?;
        return boots(scene, folder, ROWS).await;
    }
    let job = backup.restore_cluster(target, folder, prepare(false));
    job.finish()
        .await
        .map_err(|err| failed("a restore", &err))?;
    verified(scene, folder).await
}

pub(crate) fn failed(what: &str, err: &ops_backup::Error) -> Error {
    format!("{what} that nothing disturbs: {err:?}").into()
}

/// Runs `pg_verifybackup` over a folder.
pub(crate) async fn verified(scene: &Scene, folder: &Path) -> Result {
    let output = tokio::process::Command::new(scene.pg.bin("pg_verifybackup"))
        .arg("--no-parse-wal")
        .arg(folder)
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("pg_verifybackup of what was restored: {said}").into())
}

/// Starts a server over a folder, and counts what is in it.
pub(crate) async fn boots(scene: &Scene, folder: &Path, rows: i64) -> Result {
    let binaries = scene.pg.binaries().clone();
    let mut server = ThrowawayServer::builder(binaries, fixture::folder())
        .data_dir(folder)
        .durable(false)
        .create_empty()
        .await?;
    server.start().await?;
    let options = ops_pg::connect::ConnectOptions::default();
    let client = ops_pg::connect::connect(&server.connect_info("postgres"), &options).await?;
    let sql = "SELECT (SELECT count(*) FROM ledger), (SELECT count(x) FROM big)";
    let row = client.query_one(sql, &[]).await?;
    let found: (i64, i64) = (row.get(0), row.get(1));
    if found.0 < rows || found.1 != 30_000 {
        return Err(format!("there are {found:?} rows instead of {rows} and 30000").into());
    }
    Ok(())
}

/// Sweeps, and sees to it that nothing is there but what committed backups consist of.
pub(crate) async fn sweeps_clean(scene: &Scene, order: &Order, site: &Site) -> Result {
    let backup = order.backup().await?;
    let begun = site.open_uploads();
    let swept = backup.sweep().await;
    let swept = swept.map_err(|err| failed("a sweep", &err))?;
    scene.counts.add(&scene.counts.uploads, swept.uploads);
    let left = site.open_uploads();
    if left > 0 || swept.uploads != begun {
        let swept = swept.uploads;
        return Err(format!("of {begun} uploads {swept} were swept, and {left} are left").into());
    }
    let store = order.store.open().await?;
    let listed: Vec<_> = store.list(ListOptions::default()).try_collect().await?;
    let found: BTreeSet<_> = listed
        .into_iter()
        .filter(|meta| meta.key.as_str().starts_with("backups/"))
        .map(|meta| (meta.key.to_string(), meta.size_bytes))
        .collect();
    let entries = backup.catalogue().await?;
    let expected: BTreeSet<_> = entries
        .iter()
        .flat_map(|entry| &entry.manifest.objects)
        .map(|object| (object.key.to_string(), object.size_bytes))
        .collect();
    let differences: Vec<_> = found.symmetric_difference(&expected).collect();
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("only stored, or only listed after a sweep: {differences:?}").into())
}
