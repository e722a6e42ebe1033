//! `Versions`.

use ops_core::object_store::{ObjectVersion, VersionId};

use super::{Folder, ObjectStoreFixture, SHARED};
use crate::case::Outcome;
use crate::support::{done, drain, missing};

/// A folder in a bucket that keeps versions, with `a` written twice.
async fn versioned(fixture: &dyn ObjectStoreFixture) -> Option<Folder> {
    if !fixture.owns_bucket() {
        return None;
    }
    let folder = Folder::new(fixture);
    done(
        folder
            .store
            .as_versions()
            .unwrap()
            .set_versioning(true)
            .await,
    );
    folder.put("a", "old").await;
    folder.put("a", "new one").await;
    Some(folder)
}

async fn listed(folder: &Folder) -> Vec<ObjectVersion> {
    let versions = folder.store.as_versions().unwrap();
    drain(versions.list_versions(&folder.prefix)).await
}

/// The version that holds `old`.
async fn old(folder: &Folder) -> VersionId {
    let versions = listed(folder).await;
    let old = versions
        .iter()
        .find(|each| each.meta.size_bytes == 3 && !each.is_delete_marker);
    old.unwrap_or_else(|| panic!("the old version is not listed: {versions:?}"))
        .version
        .clone()
}

pub(super) async fn o_140_versioning_is_told_as_it_was_set(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    if !fixture.owns_bucket() {
        return Outcome::NotOffered(SHARED);
    }
    let store = fixture.store();
    let versions = store.as_versions().unwrap();
    for enabled in [true, false] {
        done(versions.set_versioning(enabled).await);
        assert_eq!(done(versions.versioning_enabled().await), enabled);
    }
    Outcome::Passed
}

pub(super) async fn o_141_old_versions_are_listed_newest_first(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some(folder) = versioned(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let sizes: Vec<_> = listed(&folder).await;
    let sizes: Vec<_> = sizes.iter().map(|each| each.meta.size_bytes).collect();
    assert_eq!(sizes, [7, 3]);
    Outcome::Passed
}

pub(super) async fn o_142_an_old_version_is_restored(fixture: &dyn ObjectStoreFixture) -> Outcome {
    let Some(folder) = versioned(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let (key, version) = (folder.key("a"), old(&folder).await);
    // Read before as well: a wrapper that keeps what it has read must hear of the change.
    done(folder.read("a").await);
    let versions = folder.store.as_versions().unwrap();
    done(versions.restore_version(&key, &version).await);
    assert_eq!(done(folder.read("a").await), "old");
    Outcome::Passed
}

pub(super) async fn o_143_restoring_a_missing_version_is_not_found(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some(folder) = versioned(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let version = old(&folder).await;
    let versions = folder.store.as_versions().unwrap();
    missing(
        versions
            .restore_version(&folder.key("other"), &version)
            .await,
    );
    Outcome::Passed
}

pub(super) async fn o_144_a_delete_leaves_a_mark_and_the_content(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some(folder) = versioned(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    done(folder.store.delete(&folder.key("a")).await);
    let versions = listed(&folder).await;
    let marks = versions.iter().filter(|each| each.is_delete_marker).count();
    assert_eq!((marks, versions.len()), (1, 3), "{versions:?}");
    Outcome::Passed
}

pub(super) async fn o_145_a_version_is_removed_for_good(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some(folder) = versioned(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let version = old(&folder).await;
    let versions = folder.store.as_versions().unwrap();
    done(versions.delete_version(&folder.key("a"), &version).await);
    let left = listed(&folder).await;
    assert!(left.iter().all(|each| each.version != version), "{left:?}");
    Outcome::Passed
}

pub(super) async fn o_146_one_version_is_the_latest(fixture: &dyn ObjectStoreFixture) -> Outcome {
    let Some(folder) = versioned(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let latest = listed(&folder)
        .await
        .into_iter()
        .filter(|each| each.is_latest);
    let sizes: Vec<_> = latest.map(|each| each.meta.size_bytes).collect();
    assert_eq!(sizes, [7]);
    Outcome::Passed
}

pub(super) async fn o_147_versions_that_are_kept_stay_when_keeping_stops(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let Some(folder) = versioned(fixture).await else {
        return Outcome::NotOffered(SHARED);
    };
    let version = old(&folder).await;
    let versions = folder.store.as_versions().unwrap();
    done(versions.set_versioning(false).await);
    let left = listed(&folder).await;
    assert!(left.iter().any(|each| each.version == version), "{left:?}");
    Outcome::Passed
}
