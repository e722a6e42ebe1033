//! `restore_command`.

use std::fs;
use std::path::{Path, PathBuf};

use ops_backup::{BaseBackupRequest, ClusterRestoreOptions, Lsn, Recovery, RestoreTarget};
use ops_testkit::{Pg, wait_until};

use crate::scene::{Running, SOON, Scene, flushed, rows, server, server_and_copy, write};

/// An archive with some megabytes of WAL, the server that wrote it, a copy of it from
/// before, and how many rows it has.
async fn archived(scene: &Scene, major: Option<u32>) -> Option<(Pg, PathBuf, i64)> {
    let builder = match major {
        Some(major) => server().major(major),
        None => server(),
    };
    let (pg, copy) = server_and_copy(scene, builder).await?;
    let running = Running::start(&scene.backup(&pg)).await;
    let rows = write(&pg, 12).await;
    running.stop_at(flushed(&pg).await).await;
    scene.share();
    Some((pg, copy, rows))
}

/// Recovery up to the last commit.
const OPEN: &str = "open_segment = true";

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn segments(scene: &Scene) -> Vec<PathBuf> {
    let mut found = files(&scene.store_folder(), ".zst.age");
    found.retain(|path| path.to_string_lossy().contains("/segments/"));
    found
}

fn name_of(object: &Path) -> String {
    let name = object.file_name().unwrap().to_string_lossy();
    name.strip_suffix(".zst.age").unwrap().to_owned()
}

/// Recovers, and tells how many rows are there; `None` where the server did not come up.
async fn recovered(scene: &Scene, copy: &Path, major: u32, config: &Path) -> Option<i64> {
    let command = scene.command(config, "restore %f %p");
    let mut pg = scene.recovering(copy, major, &command).await;
    if let Err(err) = pg.server_mut().start().await {
        println!("it did not start: {err}");
        return None;
    }
    let client = pg.client("postgres").await;
    wait_until("the end of recovery", SOON, async || {
        let row = client
            .query_one("SELECT pg_is_in_recovery()", &[])
            .await
            .unwrap();
        !row.get::<_, bool>(0)
    })
    .await;
    let has_ledger = "SELECT to_regclass('ledger') IS NOT NULL";
    let there: bool = client.query_one(has_ledger, &[]).await.unwrap().get(0);
    Some(if there { rows(&pg).await } else { 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_major_recovers_to_the_last_commit_with_and_without_a_spool() {
    for major in Pg::available_majors().await {
        let scene = Scene::new();
        let (_pg, copy, rows) = archived(&scene, Some(major.0)).await.unwrap();
        let plain = scene.configure("plain.toml", OPEN);
        assert_eq!(
            recovered(&scene, &copy, major.0, &plain).await,
            Some(rows),
            "{major}"
        );
        let spool = format!("spool = \"{}\"", scene.path("spool").display());
        let spooled = scene.configure_all("spool.toml", &spool, "key", &scene.store_folder(), OPEN);
        assert_eq!(
            recovered(&scene, &copy, major.0, &spooled).await,
            Some(rows),
            "{major}"
        );
        println!("PostgreSQL {major}: {rows} rows");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_fetched_before_they_are_asked_for() {
    let scene = Scene::new();
    let Some((pg, _copy, _)) = archived(&scene, None).await else {
        return;
    };
    let spool = format!("spool = \"{}\"", scene.path("spool").display());
    let config = scene.configure_all("spool.toml", &spool, "key", &scene.store_folder(), OPEN);
    let names: Vec<_> = segments(&scene).iter().map(|path| name_of(path)).collect();
    let data = pg.data_dir();
    let to = scene.path("to");
    let to_text = to.to_str().unwrap().to_owned();
    scene.expect(0, &config, data, &["restore", &names[0], &to_text]);
    let kept = |name: &str| {
        let begin = format!("{name}.");
        let spooled = files(&scene.path("spool"), "");
        spooled.into_iter().find(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(&begin)
        })
    };
    for name in &names[1..=4] {
        wait_until("a segment in the spool", SOON, async || {
            kept(name).is_some()
        })
        .await;
    }
    // The store is not asked for what is there, and what was damaged there is not used.
    let gone = scene.path("gone");
    wait_until("the prefetch to end", SOON, async || {
        fs::File::open(scene.path("spool")).is_ok() && lock_is_free(&scene)
    })
    .await;
    fs::write(kept(&names[2]).unwrap(), "damaged").unwrap();
    fs::rename(scene.store_folder(), &gone).unwrap();
    fs::create_dir(scene.store_folder()).unwrap();
    scene.expect(0, &config, data, &["restore", &names[1], &to_text]);
    assert!(fs::read(&to).unwrap() == fs::read(data.join("pg_wal").join(&names[1])).unwrap());
    scene.expect(255, &config, data, &["restore", &names[2], &to_text]);
    fs::remove_dir_all(scene.store_folder()).unwrap();
    fs::rename(&gone, scene.store_folder()).unwrap();
    scene.expect(0, &config, data, &["restore", &names[2], &to_text]);
    assert!(fs::read(&to).unwrap() == fs::read(data.join("pg_wal").join(&names[2])).unwrap());
}

fn lock_is_free(scene: &Scene) -> bool {
    files(&scene.path("spool"), "lock").iter().all(|path| {
        let file = fs::File::open(path).unwrap();
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_at_or_beyond_the_end_is_absent() {
    let scene = Scene::new();
    let Some((pg, _copy, _)) = archived(&scene, None).await else {
        return;
    };
    let config = scene.configure("plain.toml", "open_segment = false");
    let data = pg.data_dir();
    let objects = segments(&scene);
    let to = scene.path("to");
    let to = to.to_str().unwrap();
    let restore = |status, name: &str| scene.expect(status, &config, data, &["restore", name, to]);
    let last = name_of(objects.last().unwrap());
    restore(0, &last);
    let next = format!("{:024X}", u128::from_str_radix(&last, 16).unwrap() + 1);
    restore(1, &next);
    restore(1, "00000002.history");
    restore(1, "000000020000000000000001");
    restore(1, &format!("{last}.00000028.backup"));
    restore(255, "nonsense");
    let other = scene.path("to-2");
    assert!(!other.exists());
    // A segment in the middle is gone.
    fs::remove_file(&objects[3]).unwrap();
    let text = restore(255, &name_of(&objects[3]));
    assert!(text.contains("missing from the archive"), "{text}");
    // One that was damaged.
    let mut bytes = fs::read(&objects[4]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&objects[4], bytes).unwrap();
    restore(255, &name_of(&objects[4]));
    // The newest ones were deleted: the archiver's word stands against it.
    for object in &objects[5..] {
        fs::remove_file(object).unwrap();
    }
    let parts = files(&scene.store_folder(), ".zst.age");
    for part in parts
        .iter()
        .filter(|path| path.to_string_lossy().contains("/parts/"))
    {
        fs::remove_file(part).unwrap();
    }
    let witness = files(&scene.store_folder(), "frontier.json");
    assert_eq!(witness.len(), 1);
    restore(255, &name_of(&objects[5]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_any_kind_keeps_the_server_from_coming_up_short() {
    let scene = Scene::new();
    let Some((pg, copy, rows)) = archived(&scene, None).await else {
        return;
    };
    let major = pg.binaries().major().0;
    let good = scene.configure("good.toml", OPEN);
    // No key fits.
    fs::write(scene.path("wrong-key"), {
        use age::secrecy::ExposeSecret;
        let other = age::x25519::Identity::generate();
        other.to_string().expose_secret().to_owned()
    })
    .unwrap();
    let store = scene.store_folder();
    let wrong_key = scene.configure_all("key.toml", "", "wrong-key", &store, OPEN);
    assert_eq!(recovered(&scene, &copy, major, &wrong_key).await, None);
    let no_key = scene.configure_all("no-key.toml", "", "missing-key", &store, OPEN);
    assert_eq!(recovered(&scene, &copy, major, &no_key).await, None);
    // The store is another one, or none at all.
    let empty = scene.path("store/empty");
    let wrong_store = scene.configure_all("store.toml", "", "key", &empty, OPEN);
    assert_eq!(recovered(&scene, &copy, major, &wrong_store).await, None);
    let wrong_prefix = scene.configure_all("prefix.toml", "prefix = \"x\"", "key", &store, OPEN);
    assert_eq!(recovered(&scene, &copy, major, &wrong_prefix).await, None);
    // The configuration is missing.
    assert_eq!(
        recovered(&scene, &copy, major, &scene.path("none.toml")).await,
        None
    );
    // A segment in the middle is missing.
    let objects = segments(&scene);
    let kept = scene.path("kept");
    fs::rename(&objects[5], &kept).unwrap();
    assert_eq!(recovered(&scene, &copy, major, &good).await, None);
    fs::rename(&kept, &objects[5]).unwrap();
    assert_eq!(recovered(&scene, &copy, major, &good).await, Some(rows));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_history_file_does_not_end_recovery_on_the_old_timeline() {
    let scene = Scene::new();
    let Some((mut pg, copy, before)) = archived(&scene, None).await else {
        return;
    };
    let major = pg.binaries().major().0;
    pg.stop(ops_pg::server::Shutdown::Fast).await;
    fs::write(pg.data_dir().join("standby.signal"), "").unwrap();
    pg.start_again().await;
    let client = pg.client("postgres").await;
    client.batch_execute("SELECT pg_promote()").await.unwrap();
    wait_until("the promotion", SOON, async || {
        let row = client
            .query_one("SELECT pg_is_in_recovery()", &[])
            .await
            .unwrap();
        !row.get::<_, bool>(0)
    })
    .await;
    let running = Running::start(&scene.backup(&pg)).await;
    let after = write(&pg, 3).await;
    assert!(after > before);
    running.stop_at(flushed(&pg).await).await;
    scene.share();
    let config = scene.configure("good.toml", OPEN);
    assert_eq!(recovered(&scene, &copy, major, &config).await, Some(after));
    let histories: Vec<_> = files(&scene.store_folder(), ".zst.age")
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("/history/"))
        .collect();
    assert_eq!(histories.len(), 1);
    fs::remove_file(&histories[0]).unwrap();
    assert_eq!(recovered(&scene, &copy, major, &config).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_recovers_by_the_command_with_the_wal_that_it_alone_has_and_by_no_other() {
    let Some(pg) = server().start().await else {
        return;
    };
    let scene = Scene::new();
    let backup = scene.backup(&pg);
    let running = Running::start(&backup).await;
    write(&pg, 2).await;
    let job = backup.base_backup(BaseBackupRequest::full());
    let info = job.finish().await.unwrap().physical;
    let rows = write(&pg, 4).await;
    running.stop_at(flushed(&pg).await).await;
    scene.share();
    // What the backup brings is in the archive no longer; more came after it.
    let size = info.wal_segment_size;
    let (number, each) = (
        |lsn: Lsn| lsn.segment_number(size),
        (1 << 32) / size.bytes(),
    );
    let brought: Vec<_> = (number(info.start_lsn)..=number(info.end_lsn))
        .map(|it| format!("{:08X}{:08X}{:08X}", 1, it / each, it % each))
        .collect();
    let archived = segments(&scene);
    let (lost, kept): (Vec<_>, Vec<_>) = archived
        .into_iter()
        .partition(|path| brought.contains(&name_of(path)));
    assert!(!lost.is_empty() && kept.len() > 3);
    for object in lost {
        fs::remove_file(object).unwrap();
    }
    let config = scene.configure("config.toml", OPEN);
    let major = info.server_version_num / 10_000;
    let restore_command = scene.command(&config, "restore %f %p");
    let options = ClusterRestoreOptions::new().with_recovery(Recovery::Prepare { restore_command });
    let copy = scene.path("restored");
    let job = backup.restore_cluster(RestoreTarget::Latest, &copy, options);
    job.finish().await.unwrap();
    scene.expect(1, &config, &copy, &["restore", &brought[0], "to"]);
    assert_eq!(recovered(&scene, &copy, major, &config).await, Some(rows));

    // A file that was recycled has the name alone.
    let own = copy.join("pg_wal").join(&brought[0]);
    let mut recycled = fs::read(&own).unwrap();
    recycled[9] ^= 1;
    fs::write(&own, recycled).unwrap();
    scene.expect(255, &config, &copy, &["restore", &brought[0], "to"]);
    // What the backup does not bring is missed, whatever lies there.
    let after = kept
        .iter()
        .map(|path| name_of(path))
        .find(|name| *name > brought[0]);
    let after = after.unwrap();
    let object = kept.iter().find(|path| name_of(path) == after).unwrap();
    fs::remove_file(object).unwrap();
    fs::copy(
        pg.data_dir().join("pg_wal").join(&after),
        copy.join("pg_wal").join(&after),
    )
    .unwrap();
    scene.expect(255, &config, &copy, &["restore", &after, "to"]);
}
