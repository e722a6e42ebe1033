//! Writing from streams.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use ops_core::object_store::{GetOptions, PutOptions};
use ops_core::{Error, ErrorKind, ObjectStore};

use crate::support::{Random, Scratch, key, noise, put, read, stream, wait_until};

#[tokio::test]
async fn a_stream_of_any_parts_is_written_whole() {
    let scratch = Scratch::new();
    let data = noise(1, 3_333_333);
    for largest in [1_u64, 700, 65_536, 1_048_576, 5_000_000] {
        let data = if largest == 1 {
            &data[..10_000]
        } else {
            &data[..]
        };
        let mut random = Random(largest);
        let mut parts = vec![Ok(Bytes::new())];
        let mut rest = data;
        while !rest.is_empty() {
            let length = usize::try_from(random.below(largest) + 1)
                .unwrap()
                .min(rest.len());
            let (part, later) = rest.split_at(length);
            parts.push(Ok(Bytes::copy_from_slice(part)));
            rest = later;
        }
        let meta = scratch
            .store
            .put_stream(&key("x"), stream(parts), PutOptions::default())
            .await
            .unwrap();
        assert_eq!(meta.size_bytes, data.len() as u64);
        assert!(
            read(&scratch.store, "x").await.unwrap() == data,
            "parts up to {largest}"
        );
    }
    let empty = scratch
        .store
        .put_stream(&key("e"), stream(vec![]), PutOptions::default())
        .await;
    assert_eq!(empty.unwrap().size_bytes, 0);
}

#[tokio::test]
async fn an_error_of_the_stream_abandons_the_write_and_comes_back_as_it_is() {
    let scratch = Scratch::new();
    put(&scratch.store, "x", "old").await;
    for parts in [0, 1, 30] {
        let mut items: Vec<_> = (0..parts).map(|n| Ok(noise(n, 200_000).into())).collect();
        items.push(Err(
            Error::new(ErrorKind::RateLimited, "slow down").with_provider("source")
        ));
        let err = scratch
            .store
            .put_stream(&key("x"), stream(items), PutOptions::default())
            .await
            .unwrap_err();
        assert_eq!(err.to_string(), "source: slow down");
        assert_eq!(err.kind(), ErrorKind::RateLimited);
        assert_eq!(scratch.temporary_files(), 0);
    }
    assert_eq!(read(&scratch.store, "x").await.unwrap(), b"old");
}

#[tokio::test]
async fn a_write_that_is_dropped_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let parts = futures_util::stream::iter((0..30).map(|n| Ok(noise(n, 200_000).into())));
    let parts = Box::pin(parts.chain(futures_util::stream::pending()));
    let store = scratch.store.clone();
    let writing = tokio::spawn(async move {
        store
            .put_stream(&key("a/x"), parts, PutOptions::default())
            .await
    });
    wait_until(|| scratch.temporary_files() == 2).await;
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    wait_until(|| scratch.temporary_files() == 0).await;
    assert!(!scratch.path("a").exists());
}

#[test]
fn a_write_that_is_dropped_with_its_runtime_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = scratch.store.clone();
    runtime.spawn(async move {
        let parts = futures_util::stream::iter((0..30).map(|n| Ok(noise(n, 200_000).into())));
        let parts = Box::pin(parts.chain(futures_util::stream::pending()));
        store
            .put_stream(&key("x"), parts, PutOptions::default())
            .await
    });
    runtime.block_on(wait_until(|| scratch.temporary_files() == 2));
    drop(runtime);
    assert_eq!(scratch.temporary_files(), 0);
}

#[tokio::test]
async fn a_create_that_has_lost_already_does_not_read_its_stream() {
    let scratch = Scratch::new();
    put(&scratch.store, "x", "old").await;
    let endless = Box::pin(futures_util::stream::pending());
    let err = scratch
        .store
        .put_stream(&key("x"), endless, PutOptions::if_none_match())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_create_that_loses_while_it_streams_leaves_the_winner_alone() {
    let scratch = Scratch::new();
    let (sender, gate) = tokio::sync::oneshot::channel::<()>();
    let last = gate.map(|_| Ok(Bytes::from("late"))).into_stream();
    let parts = futures_util::stream::iter([Ok(Bytes::from("early"))]).chain(last);
    let store = scratch.store.clone();
    let writing = tokio::spawn(async move {
        store
            .put_stream(&key("x"), Box::pin(parts), PutOptions::if_none_match())
            .await
    });
    wait_until(|| scratch.temporary_files() == 2).await;
    put(&scratch.store, "x", "winner").await;
    sender.send(()).unwrap();
    let err = writing.await.unwrap().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::AlreadyExists);
    assert_eq!(read(&scratch.store, "x").await.unwrap(), b"winner");
    assert_eq!(scratch.temporary_files(), 0);
}

#[tokio::test]
async fn nothing_is_visible_before_the_stream_has_ended() {
    let scratch = Scratch::new();
    let parts = futures_util::stream::iter((0..10).map(|n| Ok(noise(n, 300_000).into())));
    let parts = Box::pin(parts.chain(futures_util::stream::pending()));
    let key = key("a/x");
    let mut writing = scratch.store.put_stream(&key, parts, PutOptions::default());
    for _ in 0..50 {
        let wait = tokio::time::sleep(std::time::Duration::from_millis(2));
        tokio::select! {
            _ = &mut writing => panic!("an endless stream ended"),
            () = wait => {}
        }
        assert!(!scratch.path("a").exists());
    }
    drop(writing);
}

#[tokio::test]
async fn a_body_that_is_not_read_reads_no_more_than_one_item_ahead() {
    let scratch = Scratch::new();
    put(&scratch.store, "x", noise(1, 4_000_000)).await;
    let mut body = scratch
        .store
        .get(&key("x"), GetOptions::default())
        .await
        .unwrap()
        .body;
    let mut largest = 0;
    while let Some(part) = body.next().await {
        largest = largest.max(part.unwrap().len());
    }
    assert_eq!(largest, 1024 * 1024);
}
