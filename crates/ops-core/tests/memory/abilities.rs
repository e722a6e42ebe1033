//! The abilities of the bucket in memory.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use ops_core::memory::MemoryObjectStore;
use ops_core::object_store::{
    DeleteOutcome, LifecycleRule, ListOptions, PutOptions, Retention, RetentionMode,
};
use ops_core::{Clock, ErrorKind, ObjectStore, ObjectStoreExt, Secret};

use crate::support::{DAY, ManualClock, all, body, key, keys, put, read};

fn store() -> (Arc<ManualClock>, MemoryObjectStore) {
    let clock = ManualClock::new();
    let store = MemoryObjectStore::builder()
        .clock(Arc::clone(&clock) as _)
        .build();
    (clock, store)
}

#[tokio::test]
async fn a_rule_expires_what_has_its_prefix_when_its_day_has_come() {
    let (clock, store) = store();
    let rule = LifecycleRule::new("logs", "logs/").with_expire_after_days(7);
    store
        .require_lifecycle()
        .unwrap()
        .set_lifecycle_rules(vec![rule.clone()])
        .await
        .unwrap();
    put(&store, "logs/a", "x").await;
    put(&store, "data/a", "x").await;
    clock.advance(Duration::from_secs(7 * 86_400 - 1));
    assert_eq!(
        keys(&store, ListOptions::default()).await,
        ["data/a", "logs/a"]
    );
    clock.advance(Duration::from_secs(1));
    assert_eq!(keys(&store, ListOptions::default()).await, ["data/a"]);
    assert!(store.head(&key("logs/a")).await.unwrap_err().is_not_found());
    let rules = store
        .require_lifecycle()
        .unwrap()
        .lifecycle_rules()
        .await
        .unwrap();
    assert_eq!(rules, [rule]);
}

#[tokio::test]
async fn a_rule_abandons_an_upload_that_never_ends() {
    let (clock, store) = store();
    let rule = LifecycleRule::new("uploads", "").with_abort_uploads_after_days(1);
    store
        .require_lifecycle()
        .unwrap()
        .set_lifecycle_rules(vec![rule])
        .await
        .unwrap();
    // The stream stays open until `end` is dropped.
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let name = key("s");
    let rest = stream::once(ended).filter_map(async |_| None);
    let data = body([Ok("half")]).chain(rest);
    let mut upload = store.put_stream(&name, Box::pin(data), PutOptions::default());
    assert!((&mut upload).now_or_never().is_none());
    clock.advance(DAY);
    assert!(keys(&store, ListOptions::default()).await.is_empty());
    assert_eq!(store.pending_uploads(), 0);
    drop(end);
    assert_eq!(upload.await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(store.head(&name).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn two_rules_of_one_name_are_refused() {
    let (_, store) = store();
    let rules = vec![LifecycleRule::new("a", "x/"), LifecycleRule::new("a", "y/")];
    let lifecycle = store.require_lifecycle().unwrap();
    let err = lifecycle.set_lifecycle_rules(rules).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert!(lifecycle.lifecycle_rules().await.unwrap().is_empty());
}

#[tokio::test]
async fn old_versions_are_kept_listed_restored_and_removed() {
    let (_, store) = store();
    let versions = store.require_versions().unwrap();
    put(&store, "a", "before").await;
    versions.set_versioning(true).await.unwrap();
    put(&store, "a", "one").await;
    put(&store, "a", "two").await;
    assert_eq!(
        store.delete(&key("a")).await.unwrap(),
        DeleteOutcome::Deleted
    );
    assert!(store.head(&key("a")).await.unwrap_err().is_not_found());
    assert!(keys(&store, ListOptions::default()).await.is_empty());

    let listed = all(versions.list_versions("")).await;
    let shape: Vec<_> = listed
        .iter()
        .map(|v| (v.meta.size_bytes, v.is_latest, v.is_delete_marker))
        .collect();
    assert_eq!(
        shape,
        [
            (0, true, true),
            (3, false, false),
            (3, false, false),
            (6, false, false)
        ]
    );

    versions
        .restore_version(&key("a"), &listed[2].version)
        .await
        .unwrap();
    assert_eq!(read(&store, "a").await.unwrap(), "one");
    versions
        .delete_version(&key("a"), &listed[2].version)
        .await
        .unwrap();
    versions
        .delete_version(&key("a"), &listed[2].version)
        .await
        .unwrap();
    let gone = versions
        .restore_version(&key("a"), &listed[2].version)
        .await;
    assert!(gone.unwrap_err().is_not_found());
    let marker = versions
        .restore_version(&key("a"), &listed[0].version)
        .await;
    assert!(marker.unwrap_err().is_not_found());
}

#[tokio::test]
async fn without_versions_the_old_content_is_gone() {
    let (_, store) = store();
    let versions = store.require_versions().unwrap();
    assert!(!versions.versioning_enabled().await.unwrap());
    put(&store, "a", "one").await;
    put(&store, "a", "two").await;
    assert_eq!(all(versions.list_versions("")).await.len(), 1);
    store.delete(&key("a")).await.unwrap();
    assert!(all(versions.list_versions("")).await.is_empty());
}

#[tokio::test]
async fn versions_that_are_kept_stay_when_keeping_stops() {
    let (_, store) = store();
    let versions = store.require_versions().unwrap();
    versions.set_versioning(true).await.unwrap();
    put(&store, "a", "kept").await;
    versions.set_versioning(false).await.unwrap();
    put(&store, "a", "x").await;
    put(&store, "a", "y").await;
    let sizes: Vec<_> = all(versions.list_versions("a"))
        .await
        .iter()
        .map(|v| v.meta.size_bytes)
        .collect();
    assert_eq!(sizes, [1, 4]);
}

fn until(clock: &ManualClock, days: u32) -> Retention {
    let until = clock.now().saturating_add(DAY * days);
    Retention {
        mode: RetentionMode::Compliance,
        until,
    }
}

#[tokio::test]
async fn what_is_under_lock_is_neither_deleted_nor_overwritten_until_its_day() {
    let (clock, store) = store();
    let lock = store.require_object_lock().unwrap();
    put(&store, "a", "kept").await;
    lock.set_retention(&key("a"), until(&clock, 10))
        .await
        .unwrap();

    let denied = store.delete(&key("a")).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    let many = store.delete_many(vec![key("a")]).await.unwrap();
    assert_eq!(
        many[0].as_ref().unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    let put_over = store
        .put(&key("a"), "x".into(), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(put_over.kind(), ErrorKind::PermissionDenied);
    assert_eq!(read(&store, "a").await.unwrap(), "kept");

    clock.advance(DAY * 10);
    assert_eq!(lock.retention(&key("a")).await.unwrap(), None);
    store.delete(&key("a")).await.unwrap();
}

#[tokio::test]
async fn a_lock_gets_longer_not_shorter_and_not_weaker() {
    let (clock, store) = store();
    let lock = store.require_object_lock().unwrap();
    put(&store, "a", "kept").await;
    lock.set_retention(&key("a"), until(&clock, 10))
        .await
        .unwrap();
    let shorter = lock
        .set_retention(&key("a"), until(&clock, 9))
        .await
        .unwrap_err();
    assert_eq!(shorter.kind(), ErrorKind::Conflict);
    let weaker = Retention {
        mode: RetentionMode::Governance,
        ..until(&clock, 20)
    };
    let weaker = lock.set_retention(&key("a"), weaker).await.unwrap_err();
    assert_eq!(weaker.kind(), ErrorKind::Conflict);
    lock.set_retention(&key("a"), until(&clock, 20))
        .await
        .unwrap();
    assert_eq!(
        lock.retention(&key("a")).await.unwrap(),
        Some(until(&clock, 20))
    );
    assert!(lock.retention(&key("no")).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_delete_in_a_versioned_bucket_leaves_the_locked_version() {
    let (clock, store) = store();
    let versions = store.require_versions().unwrap();
    versions.set_versioning(true).await.unwrap();
    put(&store, "a", "kept").await;
    let lock = store.require_object_lock().unwrap();
    lock.set_retention(&key("a"), until(&clock, 10))
        .await
        .unwrap();
    store.delete(&key("a")).await.unwrap();
    let listed = all(versions.list_versions("a")).await;
    let denied = versions
        .delete_version(&key("a"), &listed[1].version)
        .await
        .unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    versions
        .restore_version(&key("a"), &listed[1].version)
        .await
        .unwrap();
    assert_eq!(read(&store, "a").await.unwrap(), "kept");
}

#[tokio::test]
async fn a_rule_leaves_what_is_under_lock() {
    let (clock, store) = store();
    put(&store, "a", "kept").await;
    store
        .require_object_lock()
        .unwrap()
        .set_retention(&key("a"), until(&clock, 10))
        .await
        .unwrap();
    let rule = LifecycleRule::new("all", "").with_expire_after_days(1);
    store
        .require_lifecycle()
        .unwrap()
        .set_lifecycle_rules(vec![rule])
        .await
        .unwrap();
    clock.advance(DAY * 9);
    assert_eq!(read(&store, "a").await.unwrap(), "kept");
    clock.advance(DAY);
    assert!(read(&store, "a").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_signed_url_allows_one_thing_for_a_while() {
    let (clock, store) = store();
    let presign = store.require_presign().unwrap();
    let hour = Duration::from_secs(3600);
    let write = presign.presign_put(&key("a"), hour).await.unwrap();
    store.presigned_put(&write.url, "x".into()).unwrap();
    let get = presign.presign_get(&key("a"), hour).await.unwrap();
    assert_eq!(store.presigned_get(&get.url).unwrap(), "x");
    assert!(!format!("{get:?}").contains("signature"));

    let denied = ErrorKind::PermissionDenied;
    assert_eq!(store.presigned_get(&write.url).unwrap_err().kind(), denied);
    assert_eq!(
        store
            .presigned_put(&get.url, "y".into())
            .unwrap_err()
            .kind(),
        denied
    );
    let made_up = Secret::from("memory://bucket/a?signature=0");
    assert_eq!(store.presigned_get(&made_up).unwrap_err().kind(), denied);
    clock.advance(hour);
    assert_eq!(store.presigned_get(&get.url).unwrap_err().kind(), denied);

    let too_long = presign.presign_get(&key("a"), DAY * 8).await.unwrap_err();
    assert_eq!(too_long.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_bucket_is_removed_empty_and_made_again() {
    let (_, store) = store();
    let admin = store.require_bucket_admin().unwrap();
    put(&store, "a", "x").await;
    assert_eq!(
        admin.delete_bucket().await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    store.delete(&key("a")).await.unwrap();
    admin.delete_bucket().await.unwrap();
    admin.delete_bucket().await.unwrap();
    let err = store
        .put(&key("a"), "x".into(), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        err.to_string(),
        "memory: object_store.put: the bucket does not exist"
    );
    let listed = store.list(ListOptions::default()).next().await.unwrap();
    assert!(listed.unwrap_err().is_not_found());
    admin.create_bucket().await.unwrap();
    admin.create_bucket().await.unwrap();
    put(&store, "a", "x").await;
}
