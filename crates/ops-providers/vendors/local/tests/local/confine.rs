//! The store stays in its folder.

use std::os::unix::fs::symlink;

use ops_core::object_store::{DeleteOutcome, ListOptions, PutCondition, PutOptions};
use ops_core::{ErrorKind, ObjectStore};
use ops_local::Local;

use crate::support::{Scratch, key, list, put, read};

#[tokio::test]
async fn links_that_were_planted_in_the_store_are_not_followed() {
    let scratch = Scratch::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), scratch.path("out")).unwrap();
    symlink(outside.path().join("secret"), scratch.path("leaf")).unwrap();
    put(&scratch.store, "ok", "1").await;

    for name in ["out/secret", "leaf"] {
        let key = key(name);
        let refused = [
            read(&scratch.store, name).await.unwrap_err(),
            scratch.store.head(&key).await.unwrap_err(),
            scratch
                .store
                .put(&key, "x".into(), PutOptions::default())
                .await
                .unwrap_err(),
            scratch.store.delete(&key).await.unwrap_err(),
            scratch
                .store
                .copy(&key, &crate::support::key("c"), PutCondition::Always)
                .await
                .unwrap_err(),
        ];
        for err in refused {
            assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{name}: {err}");
        }
    }
    let err = scratch
        .store
        .put(&key("out/new/x"), "x".into(), PutOptions::default())
        .await;
    assert_eq!(err.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(list(&scratch.store, ListOptions::default()).await, ["ok"]);
    assert!(
        list(&scratch.store, ListOptions::prefix("out/"))
            .await
            .is_empty()
    );
    assert_eq!(
        std::fs::read(outside.path().join("secret")).unwrap(),
        b"secret"
    );
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_link_in_the_place_of_the_private_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join(".ops")).unwrap();
    let err = Local::open(dir.path()).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_path_of_the_store_itself_may_be_a_link() {
    let scratch = Scratch::new();
    put(&scratch.store, "a", "1").await;
    let other = tempfile::tempdir().unwrap();
    let link = other.path().join("link");
    symlink(scratch.dir.path(), &link).unwrap();
    assert_eq!(read(&Local::open(&link).unwrap(), "a").await.unwrap(), b"1");
}

#[tokio::test]
async fn pipes_and_sockets_are_not_objects_and_hang_nobody() {
    let scratch = Scratch::new();
    let mode = rustix::fs::Mode::RWXU;
    let pipe = scratch.path("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scratch.path("socket")).unwrap();
    for name in ["pipe", "socket"] {
        let err = read(&scratch.store, name).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{name}");
        let err = scratch.store.delete(&key(name)).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{name}");
    }
    assert!(
        list(&scratch.store, ListOptions::default())
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn the_private_folder_cannot_be_reached_by_keys() {
    let scratch = Scratch::new();
    put(&scratch.store, "a", "1").await;
    for name in [".ops/locks/00", ".ops", ".Ops/x", "a/../.ops/locks/00"] {
        let err = scratch.store.delete(&key(name)).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput, "{name}");
    }
    put(&scratch.store, "b/.ops", "2").await;
    assert_eq!(
        scratch.store.delete(&key("b/.ops")).await.unwrap(),
        DeleteOutcome::Deleted
    );
}

#[tokio::test]
async fn names_at_the_limits_of_the_file_system_work() {
    let scratch = Scratch::new();
    let segment = "s".repeat(255);
    let deep = ["d"; 512].join("/");
    let wide = [
        "w".repeat(255),
        "x".repeat(255),
        "y".repeat(255),
        "z".repeat(255),
    ]
    .join("/");
    for name in [&segment, &deep, &wide] {
        put(&scratch.store, name, "1").await;
        assert_eq!(read(&scratch.store, name).await.unwrap(), b"1");
    }
    assert_eq!(list(&scratch.store, ListOptions::default()).await.len(), 3);
    for name in [&segment, &deep, &wide] {
        assert_eq!(
            scratch.store.delete(&key(name)).await.unwrap(),
            DeleteOutcome::Deleted
        );
    }
    assert!(!scratch.path("d").exists());
}
