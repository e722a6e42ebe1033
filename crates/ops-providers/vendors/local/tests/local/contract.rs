//! What every object store promises.

use bytes::Bytes;
use ops_core::object_store::{
    ByteRange, Checksum, DeleteOutcome, ETag, GetOptions, ListOptions, PutCondition, PutOptions,
};
use ops_core::{ErrorKind, ObjectStore, Timestamp};
use ops_local::{Durability, Local};

use crate::support::{Scratch, key, list, noise, open, put, read, read_with};

#[tokio::test]
async fn an_object_is_a_plain_file_with_exactly_its_bytes() {
    let scratch = Scratch::new();
    let data = noise(1, 700_000);
    let meta = put(&scratch.store, "a/b/c.age", data.clone()).await;
    assert_eq!(std::fs::read(scratch.path("a/b/c.age")).unwrap(), data);
    assert_eq!(meta.size_bytes, 700_000);
    let hash = Checksum::Blake3(*blake3::hash(&data).as_bytes());
    assert_eq!(meta.checksum, Some(hash));
}

#[tokio::test]
async fn what_a_write_returned_is_what_head_get_and_list_say() {
    let scratch = Scratch::new();
    let written = put(&scratch.store, "a", "content").await;
    assert_eq!(scratch.store.head(&key("a")).await.unwrap(), written);
    let got = scratch
        .store
        .get(&key("a"), GetOptions::default())
        .await
        .unwrap();
    assert_eq!((got.meta, got.range), (written.clone(), 0..7));
    let listed: Vec<_> =
        futures_util::TryStreamExt::try_collect(scratch.store.list(ListOptions::default()))
            .await
            .unwrap();
    assert_eq!(listed, vec![written.clone()]);
    let modified = std::fs::metadata(scratch.path("a"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(written.last_modified, Timestamp::from(modified));
}

#[tokio::test]
async fn empty_objects_and_objects_of_whole_blocks_come_back_as_they_were() {
    let scratch = Scratch::new();
    for size in [0, 1, 131_071, 131_072, 131_073, 1_048_576, 3_000_000] {
        let data = noise(size as u64, size);
        put(&scratch.store, "x", data.clone()).await;
        assert!(
            read(&scratch.store, "x").await.unwrap() == data,
            "{size} bytes"
        );
    }
}

#[tokio::test]
async fn ranges_come_back_exactly() {
    let scratch = Scratch::new();
    let data = noise(7, 1_500_000);
    put(&scratch.store, "x", data.clone()).await;
    for (offset, length) in [
        (0, 1),
        (131_071, 2),
        (131_072, 131_072),
        (1_499_999, 1),
        (5, 1_400_000),
        (1_000_000, 9_000_000),
    ] {
        let range = ByteRange::Bounded { offset, length };
        let got = read_with(&scratch.store, "x", GetOptions::range(range))
            .await
            .unwrap();
        let (start, end) = (
            usize::try_from(offset).unwrap(),
            usize::try_from(offset + length).unwrap().min(data.len()),
        );
        assert!(got == data[start..end], "{range:?}");
    }
    let got = read_with(
        &scratch.store,
        "x",
        GetOptions::range(ByteRange::Suffix(77)),
    )
    .await;
    assert_eq!(got.unwrap(), data[data.len() - 77..]);
    let err = read_with(
        &scratch.store,
        "x",
        GetOptions::range(ByteRange::From(1_500_000)),
    )
    .await;
    assert_eq!(err.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_replacement_has_another_version_even_with_the_same_content() {
    let scratch = Scratch::new();
    let first = put(&scratch.store, "a", "same").await;
    let second = put(&scratch.store, "a", "same").await;
    assert_ne!(first.etag, second.etag);
    assert_eq!(first.checksum, second.checksum);
}

#[tokio::test]
async fn a_checksum_that_does_not_match_prevents_the_write() {
    let scratch = Scratch::new();
    let wrong = [
        Checksum::Crc32c(crc32c::crc32c(b"other")),
        Checksum::Blake3(*blake3::hash(b"other").as_bytes()),
    ];
    for checksum in wrong {
        let options = PutOptions::default().with_checksum(checksum);
        let err = scratch
            .store
            .put(&key("a"), "data".into(), options)
            .await
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Integrity);
    }
    assert!(!scratch.path("a").exists());
    assert_eq!(scratch.temporary_files(), 0);
    for checksum in [
        Checksum::Crc32c(crc32c::crc32c(b"data")),
        Checksum::Blake3(*blake3::hash(b"data").as_bytes()),
    ] {
        let options = PutOptions::default().with_checksum(checksum);
        scratch
            .store
            .put(&key("a"), "data".into(), options)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn deleting_removes_the_object_its_metadata_and_its_empty_folders() {
    let scratch = Scratch::new();
    put(&scratch.store, "a/b/c", "1").await;
    put(&scratch.store, "a/d", "2").await;
    assert_eq!(
        scratch.store.delete(&key("a/b/c")).await.unwrap(),
        DeleteOutcome::Deleted
    );
    assert_eq!(
        scratch.store.delete(&key("a/b/c")).await.unwrap(),
        DeleteOutcome::AlreadyGone
    );
    assert_eq!(
        scratch.store.delete(&key("no/such")).await.unwrap(),
        DeleteOutcome::AlreadyGone
    );
    assert!(!scratch.path("a/b").exists());
    assert_eq!(read(&scratch.store, "a/d").await.unwrap(), b"2");
    assert_eq!(scratch.metadata_files().len(), 1);
    let err = read(&scratch.store, "a/b/c").await.unwrap_err();
    assert!(err.is_not_found());
}

#[tokio::test]
async fn deleting_many_gives_one_result_per_key_in_order() {
    let scratch = Scratch::new();
    put(&scratch.store, "a", "1").await;
    put(&scratch.store, "b/c", "2").await;
    let keys = ["a", "missing", "../escape", "b/c"].map(key).to_vec();
    let results = scratch.store.delete_many(keys).await.unwrap();
    let kinds: Vec<_> = results
        .iter()
        .map(|one| one.as_ref().map_err(ops_core::Error::kind))
        .collect();
    assert_eq!(
        kinds,
        vec![
            Ok(&DeleteOutcome::Deleted),
            Ok(&DeleteOutcome::AlreadyGone),
            Err(ErrorKind::InvalidInput),
            Ok(&DeleteOutcome::Deleted),
        ]
    );
    assert!(
        list(&scratch.store, ListOptions::default())
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_copy_has_the_content_and_a_version_of_its_own() {
    let scratch = Scratch::new();
    let data = noise(3, 400_000);
    let original = put(&scratch.store, "a", data.clone()).await;
    let copy = scratch
        .store
        .copy(&key("a"), &key("b/c"), PutCondition::IfNoneMatch)
        .await
        .unwrap();
    assert_eq!(copy.checksum, original.checksum);
    assert_ne!(copy.etag, original.etag);
    assert!(read(&scratch.store, "b/c").await.unwrap() == data);
    let err = scratch
        .store
        .copy(&key("a"), &key("b/c"), PutCondition::IfNoneMatch)
        .await;
    assert_eq!(err.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let err = scratch
        .store
        .copy(&key("none"), &key("d"), PutCondition::Always)
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
    let same = scratch
        .store
        .copy(&key("a"), &key("a"), PutCondition::Always)
        .await
        .unwrap();
    assert_eq!(scratch.store.head(&key("a")).await.unwrap(), same);
    assert_eq!(scratch.temporary_files(), 0);
}

#[tokio::test]
async fn a_key_cannot_be_an_object_and_a_folder() {
    let scratch = Scratch::new();
    put(&scratch.store, "file", "1").await;
    put(&scratch.store, "folder/x", "2").await;
    for name in ["file/below", "folder"] {
        let err = scratch
            .store
            .put(&key(name), "3".into(), PutOptions::default())
            .await
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Conflict, "{name}");
        assert!(
            read(&scratch.store, name).await.unwrap_err().is_not_found(),
            "{name}"
        );
        let gone = scratch.store.delete(&key(name)).await.unwrap();
        assert_eq!(gone, DeleteOutcome::AlreadyGone, "{name}");
    }
    assert_eq!(scratch.metadata_files().len(), 2);
    assert_eq!(scratch.temporary_files(), 0);
    assert_eq!(read(&scratch.store, "folder/x").await.unwrap(), b"2");
}

#[tokio::test]
async fn empty_folders_that_a_dead_writer_left_are_in_nobodys_way() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.path("a/b/c")).unwrap();
    std::fs::create_dir_all(scratch.path("a/d")).unwrap();
    put(&scratch.store, "a", "1").await;
    assert_eq!(read(&scratch.store, "a").await.unwrap(), b"1");
}

#[tokio::test]
async fn an_error_names_the_provider_the_operation_and_the_key() {
    let scratch = Scratch::new();
    let err = scratch.store.head(&key("a/b")).await.unwrap_err();
    assert_eq!(err.provider().unwrap().as_str(), "local");
    assert_eq!(err.operation(), Some("object_store.head"));
    assert_eq!(err.resource(), Some("a/b"));
    assert_eq!(
        err.to_string(),
        "local: object_store.head: the object does not exist"
    );
    let err = scratch
        .store
        .put(&key("../x"), Bytes::new(), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(err.operation(), Some("object_store.put"));
    assert_eq!(err.resource(), Some("../x"));
}

#[tokio::test]
async fn a_file_that_was_put_there_by_other_means_is_an_object() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("in")).unwrap();
    std::fs::write(scratch.path("in/hand"), "by hand").unwrap();
    let meta = scratch.store.head(&key("in/hand")).await.unwrap();
    let hash = Checksum::Blake3(*blake3::hash(b"by hand").as_bytes());
    assert_eq!(meta.checksum, Some(hash));
    assert_eq!(
        scratch.store.head(&key("in/hand")).await.unwrap().etag,
        meta.etag
    );
    assert_eq!(read(&scratch.store, "in/hand").await.unwrap(), b"by hand");
    let range = GetOptions::range(ByteRange::From(3));
    assert_eq!(
        read_with(&scratch.store, "in/hand", range).await.unwrap(),
        b"hand"
    );
    assert_eq!(
        list(&scratch.store, ListOptions::default()).await,
        ["in/hand"]
    );

    let stale = PutOptions::if_match(ETag::new("other"));
    let err = scratch
        .store
        .put(&key("in/hand"), "2".into(), stale)
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
    let current = PutOptions::if_match(meta.etag.unwrap());
    scratch
        .store
        .put(&key("in/hand"), "2".into(), current)
        .await
        .unwrap();
    assert_eq!(read(&scratch.store, "in/hand").await.unwrap(), b"2");
}

#[tokio::test]
async fn a_store_that_was_moved_with_its_times_needs_no_reading() {
    let scratch = Scratch::new();
    let written = put(&scratch.store, "a", noise(1, 300_000)).await;
    let elsewhere = tempfile::tempdir().unwrap();
    copy_tree(scratch.dir.path(), elsewhere.path(), true);
    let moved = open(elsewhere.path());
    assert_eq!(moved.head(&key("a")).await.unwrap(), written);
    assert!(read(&moved, "a").await.unwrap() == noise(1, 300_000));
}

#[tokio::test]
async fn a_store_that_was_moved_without_its_times_is_read_by_content() {
    let scratch = Scratch::new();
    put(&scratch.store, "a", noise(1, 300_000)).await;
    let written = put(&scratch.store, "a", noise(2, 300_000)).await;
    let elsewhere = tempfile::tempdir().unwrap();
    copy_tree(scratch.dir.path(), elsewhere.path(), false);
    let moved = open(elsewhere.path());
    assert_eq!(moved.head(&key("a")).await.unwrap().etag, written.etag);
    assert!(read(&moved, "a").await.unwrap() == noise(2, 300_000));
    let current = PutOptions::if_match(written.etag.unwrap());
    moved.put(&key("a"), "next".into(), current).await.unwrap();
}

#[tokio::test]
async fn opening_says_what_is_wrong_with_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for builder in [Local::builder(&file), Local::builder(&file).create(true)] {
        let err = builder.build().unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert!(
            err.to_string().ends_with("is a file, not a folder"),
            "{err}"
        );
    }
    let missing = dir.path().join("not/there");
    let err = Local::open(&missing).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("does not exist"), "{err}");
    let store = Local::builder(&missing).create(true).build().unwrap();
    put(&store, "a", "1").await;
    assert_eq!(Local::open(&missing).unwrap().path(), missing);
}

#[tokio::test]
async fn a_read_only_store_reads_and_refuses_to_write() {
    let scratch = Scratch::new();
    put(&scratch.store, "a", "1").await;
    let before = crate::support::files(scratch.dir.path());
    let store = Local::builder(scratch.dir.path())
        .durability(Durability::None)
        .read_only(true)
        .build()
        .unwrap();
    assert_eq!(read(&store, "a").await.unwrap(), b"1");
    assert_eq!(list(&store, ListOptions::default()).await, ["a"]);
    let refused = [
        store
            .put(&key("b"), "2".into(), PutOptions::default())
            .await
            .unwrap_err(),
        store.delete(&key("a")).await.unwrap_err(),
        store
            .copy(&key("a"), &key("b"), PutCondition::Always)
            .await
            .unwrap_err(),
    ];
    assert!(
        refused
            .iter()
            .all(|err| err.kind() == ErrorKind::PermissionDenied),
        "{refused:?}"
    );
    assert_eq!(crate::support::files(scratch.dir.path()), before);
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path, keep_times: bool) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target, keep_times);
            continue;
        }
        std::fs::copy(entry.path(), &target).unwrap();
        if keep_times {
            let modified = entry.metadata().unwrap().modified().unwrap();
            std::fs::File::options()
                .write(true)
                .open(&target)
                .unwrap()
                .set_modified(modified)
                .unwrap();
        }
    }
}
