//! The contract of `ObjectStore`.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use ops_core::object_store::{
    ByteRange, Checksum, DeleteOutcome, ETag, GetOptions, ListOptions, PutCondition, PutOptions,
};
use ops_core::{Error, ErrorKind, ObjectStore};
use tokio::runtime::Handle;

use crate::support::{all, body, key, keys, put, read, read_with};

pub(crate) async fn what_was_put_is_read_and_described(store: &dyn ObjectStore) {
    let options = PutOptions::default().with_content_type("text/plain");
    let written = store
        .put(&key("a"), "content".into(), options)
        .await
        .unwrap();
    assert_eq!((written.size_bytes, written.key.as_str()), (7, "a"));
    assert_eq!(read(store, "a").await.unwrap(), "content");
    let head = store.head(&key("a")).await.unwrap();
    assert_eq!(head.etag, written.etag);
    assert_eq!(head.size_bytes, 7);
}

pub(crate) async fn an_empty_object_is_an_object(store: &dyn ObjectStore) {
    put(store, "empty", "").await;
    assert_eq!(read(store, "empty").await.unwrap(), "");
    assert_eq!(store.head(&key("empty")).await.unwrap().size_bytes, 0);
    assert_eq!(keys(store, ListOptions::default()).await, ["empty"]);
}

pub(crate) async fn a_stream_of_unknown_length_is_put(store: &dyn ObjectStore) {
    let data = body([Ok("one "), Ok(""), Ok("two "), Ok("three")]);
    let written = store
        .put_stream(&key("s"), data, PutOptions::default())
        .await
        .unwrap();
    assert_eq!(written.size_bytes, 13);
    assert_eq!(read(store, "s").await.unwrap(), "one two three");
}

pub(crate) async fn a_stream_that_fails_leaves_nothing_and_its_error_comes_back(
    store: &dyn ObjectStore,
) {
    let err = Error::new(ErrorKind::Unavailable, "the dump ended early");
    let data = body([Ok("half"), Err(err)]);
    let err = store
        .put_stream(&key("s"), data, PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        (err.kind(), err.message()),
        (ErrorKind::Unavailable, "the dump ended early")
    );
    assert!(store.head(&key("s")).await.unwrap_err().is_not_found());
}

pub(crate) async fn a_stream_that_fails_leaves_the_old_version(store: &dyn ObjectStore) {
    put(store, "s", "old").await;
    let data = body([Ok("new"), Err(Error::new(ErrorKind::Unavailable, "cut"))]);
    store
        .put_stream(&key("s"), data, PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(read(store, "s").await.unwrap(), "old");
}

pub(crate) async fn dropping_put_stream_leaves_nothing(store: &dyn ObjectStore) {
    let endless = body([Ok("half")]).chain(stream::pending());
    let name = key("s");
    let mut upload = store.put_stream(&name, Box::pin(endless), PutOptions::default());
    assert!((&mut upload).now_or_never().is_none());
    drop(upload);
    assert!(store.head(&name).await.unwrap_err().is_not_found());
    assert!(keys(store, ListOptions::default()).await.is_empty());
}

pub(crate) async fn nothing_is_visible_before_a_stream_has_ended(store: &dyn ObjectStore) {
    let endless = body([Ok("half")]).chain(stream::pending());
    let name = key("s");
    let mut upload = store.put_stream(&name, Box::pin(endless), PutOptions::default());
    assert!((&mut upload).now_or_never().is_none());
    assert!(store.head(&name).await.unwrap_err().is_not_found());
    assert!(keys(store, ListOptions::default()).await.is_empty());
}

pub(crate) async fn ranges_are_cut_at_the_end_and_refused_behind_it(store: &dyn ObjectStore) {
    put(store, "r", "0123456789").await;
    let cases = [
        (
            ByteRange::Bounded {
                offset: 2,
                length: 3,
            },
            Some("234"),
        ),
        (
            ByteRange::Bounded {
                offset: 8,
                length: 100,
            },
            Some("89"),
        ),
        (
            ByteRange::Bounded {
                offset: 0,
                length: u64::MAX,
            },
            Some("0123456789"),
        ),
        (ByteRange::From(7), Some("789")),
        (ByteRange::Suffix(4), Some("6789")),
        (ByteRange::Suffix(100), Some("0123456789")),
        (
            ByteRange::Bounded {
                offset: 10,
                length: 1,
            },
            None,
        ),
        (ByteRange::From(10), None),
        (ByteRange::From(u64::MAX), None),
    ];
    for (range, expected) in cases {
        let answer = read_with(store, "r", GetOptions::range(range)).await;
        match expected {
            Some(expected) => assert_eq!(answer.unwrap(), expected, "{range:?}"),
            None => {
                assert_eq!(
                    answer.unwrap_err().kind(),
                    ErrorKind::InvalidInput,
                    "{range:?}"
                );
            }
        }
    }
    let options = GetOptions::range(ByteRange::Suffix(4));
    let object = store.get(&key("r"), options).await.unwrap();
    assert_eq!((object.range, object.meta.size_bytes), (6..10, 10));
}

pub(crate) async fn what_is_missing_is_not_found(store: &dyn ObjectStore) {
    assert!(store.head(&key("no")).await.unwrap_err().is_not_found());
    assert!(read(store, "no").await.unwrap_err().is_not_found());
    let copied = store
        .copy(&key("no"), &key("b"), PutCondition::Always)
        .await;
    assert!(copied.unwrap_err().is_not_found());
}

pub(crate) async fn deleting_what_is_missing_succeeds(store: &dyn ObjectStore) {
    put(store, "a", "x").await;
    let there = store.delete(&key("a")).await.unwrap();
    assert_ne!(there, DeleteOutcome::AlreadyGone);
    let missing = store.delete(&key("a")).await.unwrap();
    assert_ne!(missing, DeleteOutcome::Deleted);
    assert!(store.head(&key("a")).await.unwrap_err().is_not_found());
}

pub(crate) async fn many_are_deleted_and_answered_in_order(store: &dyn ObjectStore) {
    put(store, "a", "x").await;
    put(store, "c", "x").await;
    let wanted = vec![key("c"), key("b"), key("a")];
    let outcomes = store.delete_many(wanted).await.unwrap();
    assert_eq!(outcomes.len(), 3);
    assert_ne!(*outcomes[1].as_ref().unwrap(), DeleteOutcome::Deleted);
    assert!(outcomes.iter().all(Result::is_ok));
    assert!(keys(store, ListOptions::default()).await.is_empty());
    assert!(store.delete_many(Vec::new()).await.unwrap().is_empty());
}

pub(crate) async fn listing_is_in_the_order_of_bytes(store: &dyn ObjectStore) {
    let names = [
        "a", "a/b", "a-b", "Z", "b c", "é", "z", "日本", "🦀", "a+b", "a%20b", "~", "b?c#d",
    ];
    for name in names {
        put(store, name, "x").await;
    }
    let mut sorted = names.map(str::to_owned).to_vec();
    sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(keys(store, ListOptions::default()).await, sorted);
    assert_eq!(
        keys(store, ListOptions::prefix("a")).await,
        ["a", "a%20b", "a+b", "a-b", "a/b"]
    );
    assert_eq!(keys(store, ListOptions::prefix("日")).await, ["日本"]);
    let after = ListOptions::default().with_start_after(key("z"));
    assert_eq!(keys(store, after).await, ["~", "é", "日本", "🦀"]);
    let between = ListOptions::prefix("a").with_start_after(key("a+b"));
    assert_eq!(keys(store, between).await, ["a-b", "a/b"]);
    let before = ListOptions::prefix("b").with_start_after(key("a"));
    assert_eq!(keys(store, before).await, ["b c", "b?c#d"]);
    assert!(keys(store, ListOptions::prefix("none/")).await.is_empty());
}

pub(crate) async fn a_long_listing_comes_whole_and_once(store: &dyn ObjectStore) {
    for number in 0..2_050 {
        let name = key(&format!("n/{number:05}"));
        store
            .put(&name, Bytes::new(), PutOptions::default())
            .await
            .unwrap();
    }
    let listed = keys(store, ListOptions::prefix("n/")).await;
    assert_eq!(listed.len(), 2_050);
    assert!(listed.is_sorted_by(|a, b| a < b));
}

pub(crate) async fn of_racing_creates_one_wins(store: &dyn ObjectStore) {
    let handle = Handle::current();
    let name = key("lease");
    let results: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..50)
            .map(|number| {
                let (handle, name) = (&handle, &name);
                scope.spawn(move || {
                    let data = Bytes::from(format!("writer {number}"));
                    let options = PutOptions::if_none_match();
                    (number, handle.block_on(store.put(name, data, options)))
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    let winners: Vec<_> = results
        .iter()
        .filter(|(_, result)| result.is_ok())
        .collect();
    assert_eq!(winners.len(), 1);
    for (_, result) in &results {
        if let Err(err) = result {
            assert_eq!(err.kind(), ErrorKind::AlreadyExists);
        }
    }
    let content = read(store, "lease").await.unwrap();
    assert_eq!(content, format!("writer {}", winners[0].0));
}

pub(crate) async fn racing_swaps_lose_no_update(store: &dyn ObjectStore) {
    put(store, "counter", "0").await;
    let handle = Handle::current();
    let name = key("counter");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| handle.block_on(async { increment(store, &name, 10).await }));
        }
    });
    assert_eq!(read(store, "counter").await.unwrap(), "80");
}

async fn increment(store: &dyn ObjectStore, name: &ops_core::ObjectKey, times: u32) {
    let mut left = times;
    while left > 0 {
        let object = store.get(name, GetOptions::default()).await.unwrap();
        let etag = object.meta.etag.clone().unwrap();
        let text: Vec<Bytes> = all(object.body).await;
        let value: u32 = String::from_utf8(text.concat()).unwrap().parse().unwrap();
        let next = Bytes::from((value + 1).to_string());
        match store.put(name, next, PutOptions::if_match(etag)).await {
            Ok(_) => left -= 1,
            Err(err) => assert_eq!(err.kind(), ErrorKind::Conflict),
        }
    }
}

pub(crate) async fn a_swap_needs_the_version_that_is_there(store: &dyn ObjectStore) {
    let first = store
        .put(&key("a"), "1".into(), PutOptions::default())
        .await
        .unwrap();
    let etag = first.etag.unwrap();
    let swap = PutOptions::if_match(etag.clone());
    store
        .put(&key("a"), "2".into(), swap.clone())
        .await
        .unwrap();
    let lost = store
        .put(&key("a"), "3".into(), swap.clone())
        .await
        .unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Conflict);
    assert_eq!(read(store, "a").await.unwrap(), "2");
    let stale = GetOptions::default().with_if_match(etag);
    assert_eq!(
        read_with(store, "a", stale).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );

    store.delete(&key("a")).await.unwrap();
    let gone = store.put(&key("a"), "4".into(), swap).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Conflict);
    let never = PutOptions::if_match(ETag::new("never"));
    let never = store.put(&key("new"), "4".into(), never).await.unwrap_err();
    assert_eq!(never.kind(), ErrorKind::Conflict);
}

pub(crate) async fn a_streamed_create_loses_to_what_is_there(store: &dyn ObjectStore) {
    put(store, "a", "first").await;
    let data = body([Ok("second")]);
    let err = store
        .put_stream(&key("a"), data, PutOptions::if_none_match())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::AlreadyExists);
    assert_eq!(read(store, "a").await.unwrap(), "first");
}

pub(crate) async fn equal_content_written_again_may_be_created_after_a_delete(
    store: &dyn ObjectStore,
) {
    put(store, "a", "x").await;
    store.delete(&key("a")).await.unwrap();
    store
        .put(&key("a"), "x".into(), PutOptions::if_none_match())
        .await
        .unwrap();
}

pub(crate) async fn a_wrong_checksum_leaves_nothing(store: &dyn ObjectStore) {
    let wrong = PutOptions::default().with_checksum(Checksum::Crc32c(1));
    let err = store
        .put(&key("a"), "123456789".into(), wrong.clone())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    let streamed = store
        .put_stream(&key("a"), body([Ok("123456789")]), wrong)
        .await;
    assert_eq!(streamed.unwrap_err().kind(), ErrorKind::Integrity);
    assert!(store.head(&key("a")).await.unwrap_err().is_not_found());

    let right = PutOptions::default().with_checksum(Checksum::Crc32c(0xe306_9283));
    store
        .put(&key("a"), "123456789".into(), right)
        .await
        .unwrap();
}

pub(crate) async fn a_copy_is_whole_and_obeys_its_condition(store: &dyn ObjectStore) {
    put(store, "from", "content").await;
    let copied = store
        .copy(&key("from"), &key("to"), PutCondition::IfNoneMatch)
        .await
        .unwrap();
    assert_eq!((copied.key.as_str(), copied.size_bytes), ("to", 7));
    assert_eq!(read(store, "to").await.unwrap(), "content");
    let again = store
        .copy(&key("from"), &key("to"), PutCondition::IfNoneMatch)
        .await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    store
        .copy(&key("from"), &key("to"), PutCondition::Always)
        .await
        .unwrap();
    let mut after: BTreeSet<_> = keys(store, ListOptions::default())
        .await
        .into_iter()
        .collect();
    assert!(after.remove("from") && after.remove("to") && after.is_empty());
}

pub(crate) async fn a_reader_sees_one_version(store: &dyn ObjectStore) {
    put(store, "a", "old old old").await;
    let object = store.get(&key("a"), GetOptions::default()).await.unwrap();
    put(store, "a", "new").await;
    let chunks: Vec<Bytes> = all(object.body).await;
    assert_eq!(chunks.concat(), b"old old old");
}
