//! `ObjectLock`.

use std::time::Duration;

use ops_core::object_store::{Retention, RetentionMode};
use ops_core::{ErrorKind, Timestamp};

use super::{Folder, ObjectStoreFixture, SHARED};
use crate::case::Outcome;
use crate::support::{done, drain, missing, refused};

/// So many minutes after an object was written. Short: what is locked cannot be cleaned up.
fn until(written: Timestamp, minutes: u64) -> Retention {
    // Stores keep whole seconds.
    let seconds = written.unix_seconds();
    let whole = Timestamp::from_unix_seconds(seconds).unwrap();
    Retention {
        mode: RetentionMode::Governance,
        until: whole.saturating_add(Duration::from_secs(minutes * 60)),
    }
}

/// A folder in a bucket that keeps versions, as locks ask for, with an object `a`.
async fn lockable(fixture: &dyn ObjectStoreFixture) -> Option<(Folder, Timestamp)> {
    if !fixture.owns_bucket() {
        return None;
    }
    let folder = Folder::new(fixture);
    if let Some(versions) = folder.store.as_versions() {
        done(versions.set_versioning(true).await);
    }
    folder.put("a", "kept").await;
    let head = done(folder.store.head(&folder.key("a")).await);
    Some((folder, head.last_modified))
}

pub(super) async fn o_150_an_object_without_a_lock_tells_none(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some((folder, _)) = lockable(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let lock = folder.store.as_object_lock().unwrap();
    assert_eq!(done(lock.retention(&folder.key("a")).await), None);
    Outcome::Passed
}

pub(super) async fn o_151_a_retention_is_read_as_it_was_set(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some((folder, written)) = lockable(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let (lock, key) = (folder.store.as_object_lock().unwrap(), folder.key("a"));
    let retention = until(written, 3);
    done(lock.set_retention(&key, retention).await);
    assert_eq!(done(lock.retention(&key).await), Some(retention));
    Outcome::Passed
}

pub(super) async fn o_152_a_retention_gets_longer(fixture: &dyn ObjectStoreFixture) -> Outcome {
    let Some((folder, written)) = lockable(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let (lock, key) = (folder.store.as_object_lock().unwrap(), folder.key("a"));
    done(lock.set_retention(&key, until(written, 3)).await);
    done(lock.set_retention(&key, until(written, 4)).await);
    Outcome::Passed
}

pub(super) async fn o_153_a_retention_does_not_get_shorter(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some((folder, written)) = lockable(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let (lock, key) = (folder.store.as_object_lock().unwrap(), folder.key("a"));
    done(lock.set_retention(&key, until(written, 4)).await);
    refused(
        lock.set_retention(&key, until(written, 3)).await,
        &[ErrorKind::Conflict],
    );
    Outcome::Passed
}

pub(super) async fn o_154_the_retention_of_a_missing_object_is_not_found(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    let lock = folder.store.as_object_lock().unwrap();
    missing(lock.retention(&folder.key("no")).await);
}

pub(super) async fn o_155_a_locked_version_is_not_removed(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some((folder, written)) = lockable(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let (lock, key) = (folder.store.as_object_lock().unwrap(), folder.key("a"));
    done(lock.set_retention(&key, until(written, 3)).await);
    let versions = folder.store.as_versions().unwrap();
    let listed = drain(versions.list_versions(&folder.prefix)).await;
    refused(
        versions.delete_version(&key, &listed[0].version).await,
        &[ErrorKind::PermissionDenied],
    );
    Outcome::Passed
}
