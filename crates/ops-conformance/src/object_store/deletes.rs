//! Deleting.

use ops_core::DeleteOutcome;

use super::objects::NAMES;
use super::{Folder, ObjectStoreFixture};
use crate::support::done;

pub(super) async fn o_070_a_deleted_object_is_not_found(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    folder.put("a", "x").await;
    let outcome = done(folder.store.delete(&folder.key("a")).await);
    assert_ne!(outcome, DeleteOutcome::AlreadyGone);
    // By which error is another case.
    assert!(folder.read("a").await.is_err());
}

pub(super) async fn o_071_deleting_what_is_missing_is_success(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let outcome = done(folder.store.delete(&folder.key("never")).await);
    assert_ne!(outcome, DeleteOutcome::Deleted);
}

pub(super) async fn o_072_a_deleted_object_is_not_listed(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    folder.put("a", "x").await;
    folder.put("b", "x").await;
    done(folder.store.delete(&folder.key("a")).await);
    assert_eq!(folder.names("", None).await, ["b"]);
}

pub(super) async fn o_073_deleting_one_object_leaves_those_that_begin_alike(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    folder.put("a", "x").await;
    folder.put("a2", "kept").await;
    done(folder.store.delete(&folder.key("a")).await);
    assert_eq!(done(folder.read("a2").await), "kept");
}

pub(super) async fn o_074_deleting_many_leaves_the_others(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    for name in ["a", "b", "kept"] {
        folder.put(name, "x").await;
    }
    let keys = vec![folder.key("a"), folder.key("b")];
    for outcome in done(folder.store.delete_many(keys).await) {
        done(outcome);
    }
    assert!(!folder.is_missing("kept").await);
}

pub(super) async fn o_075_each_of_many_is_answered_in_order(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    folder.put("there", "x").await;
    let keys = vec![folder.key("missing"), folder.key("there")];
    let outcomes = done(folder.store.delete_many(keys).await);
    assert_eq!(outcomes.len(), 2);
    assert_ne!(*outcomes[0].as_ref().unwrap(), DeleteOutcome::Deleted);
    assert_ne!(*outcomes[1].as_ref().unwrap(), DeleteOutcome::AlreadyGone);
}

pub(super) async fn o_076_more_than_a_request_of_many_are_deleted(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    let count = fixture.more_than_a_page();
    let names: Vec<String> = (0..count).map(|number| format!("{number:05}")).collect();
    let last = names.last().unwrap();
    folder.put(&names[0], "x").await;
    folder.put(last, "x").await;
    let keys = names.iter().map(|name| folder.key(name)).collect();
    assert_eq!(done(folder.store.delete_many(keys).await).len(), count);
    assert!(folder.is_missing(last).await, "the last one is still there");
}

pub(super) async fn o_077_deleting_none_is_success(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    assert!(done(folder.store.delete_many(Vec::new()).await).is_empty());
}

pub(super) async fn o_078_awkward_keys_are_deleted_with_many(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    for name in NAMES {
        folder.put(name, "x").await;
    }
    let keys = NAMES.iter().map(|name| folder.key(name)).collect();
    for outcome in done(folder.store.delete_many(keys).await) {
        done(outcome);
    }
    for name in NAMES {
        assert!(folder.is_missing(name).await, "{name} is still there");
    }
}
