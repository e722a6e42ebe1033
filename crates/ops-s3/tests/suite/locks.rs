//! Objects under retention.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use hyper::Request;
use ops_core::object_store::{ObjectVersion, Retention, RetentionMode};
use ops_core::{Clock, ErrorKind, ObjectStore, ObjectStoreExt, SystemClock, Timestamp};
use ops_s3::{S3Credentials, S3Store};
use ops_testkit::s3::contract::Held;
use ops_testkit::s3::{S3Client, S3Server};

use crate::support::{Server, key, put, read};

const MINUTE: u64 = 60;

/// Makes a bucket in which objects can be locked.
async fn make_bucket(client: &S3Client, name: &str) {
    let request = Request::put(format!("/{name}"))
        .header("x-amz-bucket-object-lock-enabled", "true")
        .body(Bytes::new())
        .unwrap();
    let made = client.send(request).await.unwrap();
    assert_eq!(made.status, 200, "{}", made.text());
}

async fn open(endpoint: &str, bucket: &str, access_key: &str, secret_key: &str) -> S3Store {
    S3Store::builder(bucket)
        .endpoint(endpoint)
        .allow_http(true)
        .credentials(S3Credentials::new(access_key, secret_key))
        .open()
        .await
        .unwrap()
}

async fn at_fake() -> (Held, S3Store) {
    let server = Held::start().await;
    make_bucket(&server.client(), "locked").await;
    let (access, secret) = (server.access_key(), server.secret_key());
    let store = open(&server.endpoint(), "locked", &access, &secret).await;
    (server, store)
}

/// So many seconds from now. Stores keep whole ones.
fn in_seconds(seconds: u64) -> Timestamp {
    let now = SystemClock.now().unix_seconds();
    let whole = Timestamp::from_unix_seconds(now).unwrap();
    whole.saturating_add(Duration::from_secs(seconds))
}

async fn versions(store: &S3Store) -> Vec<ObjectVersion> {
    let versions = store.require_versions().unwrap().list_versions("");
    versions.try_collect().await.unwrap()
}

/// Locks an object and tries to get rid of it, in every way there is.
async fn keeps(store: &S3Store, mode: RetentionMode, seconds: u64) {
    put(store, "a", "kept").await;
    let (lock, a) = (store.require_object_lock().unwrap(), key("a"));
    let until = in_seconds(seconds);
    let retention = Retention { mode, until };
    lock.set_retention(&a, retention).await.unwrap();
    assert_eq!(lock.retention(&a).await.unwrap(), Some(retention));

    let old = store.require_versions().unwrap();
    let locked = versions(store).await.remove(0).version;
    let refused = old.delete_version(&a, &locked).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused:?}");
    // What a plain delete leaves is a mark, under which the version lives on.
    store.delete(&a).await.unwrap();
    assert!(store.head(&a).await.unwrap_err().is_not_found());
    assert!(versions(store).await.iter().any(|it| it.version == locked));
    put(store, "a", "other").await;
    let refused = old.delete_version(&a, &locked).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    old.restore_version(&a, &locked).await.unwrap();
    assert_eq!(read(store, "a").await.unwrap(), "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_cannot_be_removed() {
    for mode in [RetentionMode::Governance, RetentionMode::Compliance] {
        let (_server, store) = at_fake().await;
        keeps(&store, mode, MINUTE * 60).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_cannot_be_removed_from_localstack() {
    let Some(server) = S3Server::localstack().await else {
        return;
    };
    for mode in [RetentionMode::Governance, RetentionMode::Compliance] {
        let bucket = format!("{}-locked", server.create_bucket().await);
        make_bucket(&server.client(), &bucket).await;
        let (access, secret) = (server.access_key(), server.secret_key());
        let store = open(server.endpoint(), &bucket, access, secret).await;
        keeps(&store, mode, MINUTE * 60).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_locked_can_be_removed_after_its_time() {
    let (server, store) = at_fake().await;
    keeps(&store, RetentionMode::Compliance, MINUTE * 5).await;
    server.behave(|it| it.clock_ahead_seconds = 6 * 60);
    let old = store.require_versions().unwrap();
    for version in versions(&store).await {
        let removed = old.delete_version(&key("a"), &version.version).await;
        removed.unwrap();
    }
    assert!(versions(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_locks_says_that_they_are_unsupported() {
    for server in [Server::start().await, Server::fake().await] {
        let store = server.builder().open().await.unwrap();
        assert!(!store.profile().object_lock);
        let err = store.require_object_lock().unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported);
        assert!(err.message().contains("locking objects"), "{err}");
    }
}
