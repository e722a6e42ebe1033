//! Disks that are full, read-only or not ours.

use futures_util::StreamExt;
use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{ErrorKind, ObjectStore, Retry};
use ops_local::{Durability, Local};

use crate::support::{Tmpfs, files, is_root, key, list, noise, open, put, read, skipped};

#[tokio::test]
async fn a_disk_that_fills_up_in_the_middle_of_a_stream_leaves_nothing_behind() {
    let Some(disk) = Tmpfs::mount("size=4m") else {
        return;
    };
    let store = open(disk.path());
    put(&store, "keep", noise(1, 1_000_000)).await;
    let before = files(disk.path());
    for name in ["new/folder/x", "keep"] {
        let parts = (0..100).map(|n| Ok(noise(n, 100_000).into())).collect();
        let parts = crate::support::stream(parts);
        let err = store
            .put_stream(&key(name), parts, PutOptions::default())
            .await
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::QuotaExceeded, "{err:?}");
        assert_eq!(err.retry(), Retry::Never);
        assert_eq!(err.operation(), Some("object_store.put_stream"));
    }
    assert_eq!(files(disk.path()), before);
    assert!(!disk.path().join("new").exists());
    assert!(read(&store, "keep").await.unwrap() == noise(1, 1_000_000));
}

#[tokio::test]
async fn a_full_disk_fails_a_write_before_the_stream_has_ended() {
    let Some(disk) = Tmpfs::mount("size=2m") else {
        return;
    };
    let store = open(disk.path());
    // Endless, but it stalls: only the failed write can end this.
    let parts = futures_util::stream::iter((0..40).map(|n| Ok(noise(n, 100_000).into())));
    let parts = Box::pin(parts.chain(futures_util::stream::pending()));
    let key = key("x");
    let written = store.put_stream(&key, parts, PutOptions::default());
    let written = tokio::time::timeout(std::time::Duration::from_secs(20), written).await;
    assert_eq!(
        written.unwrap().unwrap_err().kind(),
        ErrorKind::QuotaExceeded
    );
}

#[tokio::test]
async fn at_every_number_of_free_inodes_a_write_succeeds_or_leaves_nothing_behind() {
    let Some(disk) = Tmpfs::mount("size=4m,nr_inodes=100") else {
        return;
    };
    let store = open(disk.path());
    let mut written = Vec::new();
    let err = loop {
        let before = files(disk.path());
        let name = format!("d{}/x", written.len());
        match store
            .put(&key(&name), "1".into(), PutOptions::default())
            .await
        {
            Ok(_) => written.push(name),
            Err(err) => {
                assert_eq!(files(disk.path()), before);
                assert!(!disk.path().join(name).parent().unwrap().exists());
                break err;
            }
        }
    };
    assert_eq!(err.kind(), ErrorKind::QuotaExceeded, "{err:?}");
    assert!(written.len() > 2, "{written:?}");
    // A full store can be opened, and made less full.
    let store = open(disk.path());
    for name in &written {
        assert_eq!(read(&store, name).await.unwrap(), b"1");
        store.delete(&key(name)).await.unwrap();
    }
    put(&store, "again", "2").await;
}

#[tokio::test]
async fn a_file_system_that_becomes_read_only_is_permission_denied() {
    let Some(disk) = Tmpfs::mount("size=4m") else {
        return;
    };
    let store = open(disk.path());
    put(&store, "a", "1").await;
    disk.make_read_only();
    let refused = [
        store
            .put(&key("b"), "2".into(), PutOptions::default())
            .await
            .unwrap_err(),
        store.delete(&key("a")).await.unwrap_err(),
        Local::open(disk.path()).unwrap_err(),
    ];
    for err in refused {
        assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err:?}");
        assert!(err.to_string().contains("read-only"), "{err}");
    }
    assert_eq!(read(&store, "a").await.unwrap(), b"1");
    let store = Local::builder(disk.path()).read_only(true).build().unwrap();
    assert_eq!(read(&store, "a").await.unwrap(), b"1");
    assert_eq!(list(&store, ListOptions::default()).await, ["a"]);
}

#[tokio::test]
async fn another_file_system_inside_the_store_is_named_as_the_cause() {
    let Some(disk) = Tmpfs::mount("size=4m") else {
        return;
    };
    let store = open(disk.path());
    let inner = disk.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    rustix::mount::mount(
        "tmpfs",
        &inner,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        c"size=1m",
    )
    .unwrap();
    let put = store
        .put(&key("inner/x"), "1".into(), PutOptions::default())
        .await;
    rustix::mount::unmount(&inner, rustix::mount::UnmountFlags::DETACH).unwrap();
    let err = put.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("mounted inside"), "{err}");
}

#[test]
fn a_folder_of_somebody_else_is_refused_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("theirs");
    std::fs::create_dir(&folder).unwrap();
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    std::fs::set_permissions(&folder, readable).unwrap();
    if is_root() {
        // Root may write anywhere, except where nobody may.
        let Some(disk) = Tmpfs::mount("size=1m,ro") else {
            return;
        };
        let err = Local::open(disk.path()).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::PermissionDenied);
        return;
    }
    let err = Local::open(&folder).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied);
    if Local::builder(&folder)
        .durability(Durability::None)
        .read_only(true)
        .build()
        .is_err()
    {
        skipped("the folder cannot even be read");
    }
}
