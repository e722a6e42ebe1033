//! Writers that race, in threads and in processes.

use futures_util::future::join_all;
use ops_core::object_store::{ListOptions, PutCondition, PutOptions};
use ops_core::{ErrorKind, ObjectStore};

use crate::child::{Work, increment, start};
use crate::support::{Scratch, key, list, noise, open, put, read};

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_64_racing_creators_one_wins_and_its_content_stays() {
    for round in 0..10 {
        let scratch = Scratch::new();
        let racers = (0..64_u64).map(|racer| {
            // Half of them have opened the store for themselves.
            let store = if racer % 2 == 0 {
                scratch.store.clone()
            } else {
                open(scratch.dir.path())
            };
            tokio::spawn(async move {
                let data = noise(racer, 100_000);
                let put = store
                    .put(&key("a/b"), data.into(), PutOptions::if_none_match())
                    .await;
                (racer, put)
            })
        });
        let ended: Vec<_> = join_all(racers)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let (won, lost): (Vec<_>, Vec<_>) = ended.into_iter().partition(|(_, put)| put.is_ok());
        assert_eq!(won.len(), 1, "round {round}");
        assert!(lost.iter().all(|(_, put)| {
            put.as_ref()
                .is_err_and(|err| err.kind() == ErrorKind::AlreadyExists)
        }));
        assert!(read(&scratch.store, "a/b").await.unwrap() == noise(won[0].0, 100_000));
        assert_eq!(scratch.temporary_files(), 0);
        assert_eq!(scratch.metadata_files().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_64_racing_swaps_of_one_version_one_wins() {
    let scratch = Scratch::new();
    let etag = put(&scratch.store, "x", "start").await.etag.unwrap();
    let racers = (0..64).map(|racer: u32| {
        let (store, etag) = (scratch.store.clone(), etag.clone());
        tokio::spawn(async move {
            let data = racer.to_string();
            store
                .put(&key("x"), data.into(), PutOptions::if_match(etag))
                .await
                .is_ok()
        })
    });
    let won = join_all(racers)
        .await
        .into_iter()
        .filter(|won| *won.as_ref().unwrap())
        .count();
    assert_eq!(won, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_race_by_the_same_rules() {
    let scratch = Scratch::new();
    put(&scratch.store, "from", noise(1, 50_000)).await;
    let racers = (0..16).map(|_| {
        let store = scratch.store.clone();
        tokio::spawn(async move {
            store
                .copy(&key("from"), &key("to"), PutCondition::IfNoneMatch)
                .await
                .is_ok()
        })
    });
    let won = join_all(racers)
        .await
        .into_iter()
        .filter(|won| *won.as_ref().unwrap())
        .count();
    assert_eq!(won, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_racing_processes_each_key_has_one_creator() {
    let scratch = Scratch::new();
    let work = Work::Create {
        root: scratch.dir.path(),
        keys: 200,
    };
    let children: Vec<_> = (0..4).map(|_| start(&work)).collect();
    let mut won = 0;
    for child in children {
        let text = child.finish();
        let (_, after) = text.split_once("won ").unwrap();
        won += after
            .split_whitespace()
            .next()
            .unwrap()
            .parse::<u32>()
            .unwrap();
    }
    assert_eq!(won, 200);
    assert_eq!(
        list(&scratch.store, ListOptions::default()).await.len(),
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_counter_loses_no_increment_between_processes_and_threads() {
    let scratch = Scratch::new();
    let work = Work::Count {
        root: scratch.dir.path(),
        times: 50,
    };
    let children: Vec<_> = (0..4).map(|_| start(&work)).collect();
    let tasks = (0..4).map(|_| {
        let store = scratch.store.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                increment(&store).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    for child in children {
        child.finish();
    }
    assert_eq!(read(&scratch.store, "counter").await.unwrap(), b"300");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn deletes_that_prune_folders_do_not_hurt_writes_into_them() {
    let scratch = Scratch::new();
    let workers = (0..8).map(|worker| {
        let store = scratch.store.clone();
        tokio::spawn(async move {
            let name = format!("a/b/c/{worker}");
            for round in 0..200 {
                let data = format!("{worker} {round}");
                put(&store, &name, data.clone()).await;
                assert_eq!(read(&store, &name).await.unwrap(), data.as_bytes());
                store.delete(&key(&name)).await.unwrap();
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    assert!(!scratch.path("a").exists());
    assert!(scratch.metadata_files().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn readers_beside_writers_see_one_version_each() {
    let scratch = Scratch::new();
    let versions: Vec<Vec<u8>> = (0..6).map(|seed| noise(seed, 300_000)).collect();
    put(&scratch.store, "x", versions[0].clone()).await;
    let writer = {
        let (store, versions) = (scratch.store.clone(), versions.clone());
        tokio::spawn(async move {
            for round in 0..150 {
                put(&store, "x", versions[round % versions.len()].clone()).await;
            }
        })
    };
    let readers = (0..6).map(|_| {
        let (store, versions) = (scratch.store.clone(), versions.clone());
        tokio::spawn(async move {
            for _ in 0..100 {
                let data = read(&store, "x").await.unwrap();
                assert!(versions.contains(&data));
                let listed = list(&store, ListOptions::default()).await;
                assert_eq!(listed, ["x"]);
                store.head(&key("x")).await.unwrap();
            }
        })
    });
    for reader in join_all(readers).await {
        reader.unwrap();
    }
    writer.await.unwrap();
}

#[test]
fn transfers_need_no_more_than_one_blocking_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let scratch = Scratch::new();
    runtime.block_on(async {
        put(&scratch.store, "from", noise(1, 5_000_000)).await;
        // Each of these reads from the store while it writes to it.
        let copies = (0..16).map(|n| {
            let store = scratch.store.clone();
            async move {
                let to = key(&format!("to{n}"));
                store
                    .copy(&key("from"), &to, PutCondition::Always)
                    .await
                    .unwrap();
            }
        });
        join_all(copies).await;
        assert_eq!(
            list(&scratch.store, ListOptions::prefix("to")).await.len(),
            16
        );
    });
}
