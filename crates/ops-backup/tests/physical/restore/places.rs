//! Places that a cluster is restored to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ops_backup::{ClusterRestoreOptions, Error, ErrorKind, RestoreTarget, Timeline};
use ops_pg::server::Shutdown;
use ops_testkit::fixture;

use super::{Place, TABLES, booted, client, dump, options, restored, source};
use crate::support::{backed_up, execute, run};

/// A file system in memory, gone when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount anything.
    fn mount(at: PathBuf, bytes: u64) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let size = format!("size={bytes},mode=0755");
        let mut mount = program("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at);
        let output = mount.output();
        if output.as_ref().is_ok_and(|it| it.status.success()) {
            return Some(Self(at));
        }
        fixture::inapplicable(format_args!("nothing can be mounted here: {output:?}"));
        None
    }

    fn resize(&self, bytes: u64) {
        let size = format!("remount,size={bytes}");
        run(program("mount").args(["-o", &size]).arg(&self.0));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(program("umount").arg(&self.0));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program of the system that ends by itself"
)]
fn program(name: &str) -> Command {
    Command::new(name)
}

/// How many bytes the files under a folder have.
fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            meta if meta.is_dir() => bytes(&entry.path()),
            meta => meta.len().next_multiple_of(4096),
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_too_small_is_said_to_be_full_and_nothing_there_can_start() {
    let Some(pg) = source().start().await else {
        return;
    };
    execute(&pg, TABLES).await;
    let (_bench, backup) = backed_up(&pg).await;
    let place = Place::new();
    super::files_verify(&pg, &backup, RestoreTarget::Latest, &place.join("whole")).await;
    let needed = bytes(&place.join("whole"));
    let fails = async |folder: &Path, options: ClusterRestoreOptions| -> Error {
        let job = backup.restore_cluster(RestoreTarget::Latest, folder, options);
        let err = job.finish().await.unwrap_err();
        println!("{err}");
        err
    };

    let Some(disk) = SmallDisk::mount(place.join("half"), needed / 2) else {
        return;
    };
    let folder = disk.0.join("data");
    let err = fails(&folder, options()).await;
    assert_eq!(err.kind(), ErrorKind::TargetFull, "{err:?}");
    assert!(!folder.exists(), "it is seen before anything is written");
    // How much a delta restore needs is not known before.
    let err = fails(&folder, options().with_delta(true)).await;
    assert_eq!(err.kind(), ErrorKind::TargetFull, "{err:?}");
    assert!(folder.exists() && !folder.join("global/pg_control").exists());
    drop(disk);

    // The files fit, and what recovery writes does not.
    let disk = SmallDisk::mount(place.join("tight"), needed + (1 << 20)).unwrap();
    let folder = disk.0.join("data");
    let err = fails(&folder, options()).await;
    assert_eq!(err.kind(), ErrorKind::TargetFull, "{err:?}");
    assert!(
        folder.join("standby.signal").exists(),
        "it was not promoted"
    );
    // With room it can be repeated over what is there.
    disk.resize(needed + (256 << 20));
    let again = options().with_delta(true);
    let copy = restored(&pg, &backup, RestoreTarget::Latest, &folder, again).await;
    assert_eq!(dump(&copy).await, dump(&pg).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pg_wal_that_is_a_link_stays_one_and_its_wal_is_replaced() {
    let Some(pg) = source().start().await else {
        return;
    };
    execute(&pg, TABLES).await;
    let (_bench, backup) = backed_up(&pg).await;
    let expected = dump(&pg).await;
    let place = Place::new();
    let (folder, elsewhere) = (place.join("data"), place.join("fast disk"));
    let mut copy = restored(&pg, &backup, RestoreTarget::Latest, &folder, options()).await;
    client(&copy)
        .await
        .batch_execute("DROP TABLE ledger; SELECT pg_switch_wal()")
        .await
        .unwrap();
    copy.stop(Shutdown::Fast).await.unwrap();
    drop(copy);
    let link = folder.join("pg_wal");
    fs::rename(&link, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    let second = fs::read_dir(&elsewhere)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.ends_with(".history"));
    let second = elsewhere.join(second.expect("it was promoted"));
    fs::write(&second, "of another life").unwrap();

    let job = backup.restore_cluster(RestoreTarget::Latest, &folder, options().with_delta(true));
    let report = job.finish().await.unwrap();
    assert!(report.files_kept > 0 && report.removed > 0, "{report:?}");
    assert_eq!(fs::read_link(&link).unwrap(), elsewhere);
    let history = fs::read_to_string(&second).unwrap();
    assert!(!history.contains("of another life"), "{history}");
    let copy = booted(&pg, &folder).await;
    assert_eq!(dump(&copy).await, expected);
    assert!(
        fs::read_dir(&elsewhere).unwrap().count() > 1,
        "it writes there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_that_does_not_lead_from_a_backup_is_refused() {
    let Some(pg) = source().start().await else {
        return;
    };
    let (_bench, backup) = backed_up(&pg).await;
    let place = Place::new();
    let folder = place.join("data");
    let nowhere = options().with_timeline(Timeline::new(9).unwrap());
    let job = backup.restore_cluster(RestoreTarget::Latest, &folder, nowhere);
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotRecoverable, "{err:?}");
    assert!(!folder.exists());
}
