//! Listings.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use futures_util::{StreamExt, TryStreamExt};
use ops_core::object_store::ListOptions;
use ops_core::{ErrorKind, ObjectStore};

use crate::support::{Scratch, key, list, put};

#[tokio::test]
async fn keys_come_in_the_order_of_their_bytes_and_not_of_their_folders() {
    let scratch = Scratch::new();
    let mut names = vec![
        "a/b", "a-b", "a.b", "a0", "a/b-c/d", "a/b.c", "ab", "A", "a b", "é", "z/y/x",
    ];
    for name in &names {
        put(&scratch.store, name, "1").await;
    }
    names.sort_unstable();
    assert_eq!(list(&scratch.store, ListOptions::default()).await, names);
}

#[tokio::test]
async fn a_prefix_matches_texts_and_not_folders() {
    let scratch = Scratch::new();
    for name in [
        "wal/0001",
        "wal/0002",
        "wal/01/x",
        "wal-old/0001",
        "walrus",
        "other/wal/x",
    ] {
        put(&scratch.store, name, "1").await;
    }
    let cases: [(&str, &[&str]); 10] = [
        (
            "wal",
            &["wal-old/0001", "wal/0001", "wal/0002", "wal/01/x", "walrus"],
        ),
        ("wal/", &["wal/0001", "wal/0002", "wal/01/x"]),
        ("wal/00", &["wal/0001", "wal/0002"]),
        ("wal/0001", &["wal/0001"]),
        ("wal/01/", &["wal/01/x"]),
        ("none", &[]),
        ("walrus/x", &[]),
        (".ops", &[]),
        ("../", &[]),
        ("/", &[]),
    ];
    for (prefix, expected) in cases {
        assert_eq!(
            list(&scratch.store, ListOptions::prefix(prefix)).await,
            expected,
            "{prefix}"
        );
    }
}

#[tokio::test]
async fn a_listing_goes_on_after_any_key() {
    let scratch = Scratch::new();
    let mut names = Vec::new();
    for folder in ["", "a/", "a/b/", "a-/", "c/"] {
        for name in ["1", "2-", "3"] {
            names.push(format!("{folder}{name}"));
        }
    }
    for name in &names {
        put(&scratch.store, name, "1").await;
    }
    names.sort();
    let mut points = names.clone();
    points.extend(["a", "a/", "a/b", "a/b/2", "b", "zzz", "a-/0", "0"].map(str::to_owned));
    for point in points {
        for prefix in ["", "a", "a/", "a/b/"] {
            let options = ListOptions::prefix(prefix).with_start_after(key(&point));
            let expected: Vec<&String> = names
                .iter()
                .filter(|name| name.starts_with(prefix) && **name > point)
                .collect();
            assert_eq!(
                list(&scratch.store, options)
                    .await
                    .iter()
                    .collect::<Vec<_>>(),
                expected,
                "{prefix} after {point}"
            );
        }
    }
}

#[tokio::test]
async fn a_listing_of_more_than_a_page_is_lazy_and_whole() {
    let scratch = Scratch::new();
    for n in 0..700 {
        let path = scratch.path(&format!("d{}/f{n:04}", n % 3));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let mut items = scratch.store.list(ListOptions::default());
    assert_eq!(
        items.next().await.unwrap().unwrap().key.as_str(),
        "d0/f0000"
    );
    std::fs::remove_file(scratch.path("d2/f0698")).unwrap();
    assert_eq!(items.count().await, 698);
}

#[tokio::test]
async fn what_vanishes_while_it_is_listed_is_left_out() {
    let scratch = Scratch::new();
    for n in 0..300 {
        put(&scratch.store, &format!("a{n:03}/x"), "1").await;
    }
    let mut items = scratch.store.list(ListOptions::default());
    items.next().await.unwrap().unwrap();
    for n in 280..300 {
        scratch
            .store
            .delete(&key(&format!("a{n:03}/x")))
            .await
            .unwrap();
    }
    assert_eq!(items.try_collect::<Vec<_>>().await.unwrap().len(), 279);
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_an_error_that_names_it() {
    let scratch = Scratch::new();
    put(&scratch.store, "d/a", "1").await;
    put(&scratch.store, "d/z", "1").await;
    let odd = scratch.path("d").join(OsStr::from_bytes(b"m\xff"));
    std::fs::write(&odd, "x").unwrap();
    let items: Vec<_> = scratch.store.list(ListOptions::default()).collect().await;
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].as_ref().unwrap().key.as_str(), "d/a");
    let err = items[1].as_ref().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert_eq!(err.resource(), Some("d/m\u{fffd}"));
    assert_eq!(err.operation(), Some("object_store.list"));
    assert_eq!(
        list(&scratch.store, ListOptions::prefix("d/z")).await,
        ["d/z"]
    );
    std::fs::remove_file(&odd).unwrap();
    std::fs::create_dir(&odd).unwrap();
    let items: Vec<_> = scratch.store.list(ListOptions::default()).collect().await;
    assert_eq!(
        items[1].as_ref().unwrap_err().resource(),
        Some("d/m\u{fffd}/")
    );
}
