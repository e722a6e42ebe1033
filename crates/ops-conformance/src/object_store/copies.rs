//! Copies within the store.

use ops_core::ErrorKind;
use ops_core::object_store::PutCondition;

use super::objects::NAMES;
use super::{Folder, ObjectStoreFixture, noise};
use crate::support::{done, missing, refused};

const ALWAYS: PutCondition = PutCondition::Always;

pub(super) async fn o_080_a_copy_has_the_content(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let data = noise(80, 100_000);
    folder.put("from", data.clone()).await;
    let (from, to) = (folder.key("from"), folder.key("to"));
    done(folder.store.copy(&from, &to, ALWAYS).await);
    assert!(done(folder.read("to").await) == data, "other bytes");
}

pub(super) async fn o_081_a_copy_answers_the_new_key_and_the_size(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    folder.put("from", "content").await;
    let (from, to) = (folder.key("from"), folder.key("to"));
    let copied = done(folder.store.copy(&from, &to, ALWAYS).await);
    assert_eq!((copied.key, copied.size_bytes), (to, 7));
}

pub(super) async fn o_082_a_copy_leaves_the_source(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    folder.put("from", "content").await;
    let (from, to) = (folder.key("from"), folder.key("to"));
    done(folder.store.copy(&from, &to, ALWAYS).await);
    assert_eq!(done(folder.read("from").await), "content");
}

pub(super) async fn o_083_copying_what_is_missing_is_not_found(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let (from, to) = (folder.key("no"), folder.key("to"));
    missing(folder.store.copy(&from, &to, ALWAYS).await);
}

pub(super) async fn o_084_a_copy_takes_the_place_of_what_is_there(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    folder.put("from", "new").await;
    folder.put("to", "old").await;
    let (from, to) = (folder.key("from"), folder.key("to"));
    done(folder.store.copy(&from, &to, ALWAYS).await);
    assert_eq!(done(folder.read("to").await), "new");
}

pub(super) async fn o_085_a_copy_that_creates_loses_to_what_is_there(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    folder.put("from", "new").await;
    folder.put("to", "old").await;
    let (from, to) = (folder.key("from"), folder.key("to"));
    let create = PutCondition::IfNoneMatch;
    refused(
        folder.store.copy(&from, &to, create).await,
        &[ErrorKind::AlreadyExists],
    );
    assert_eq!(done(folder.read("to").await), "old");
}

pub(super) async fn o_086_awkward_keys_are_copied(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    for (number, name) in NAMES.into_iter().enumerate() {
        folder.put(name, name).await;
        let (from, to) = (folder.key(name), folder.key(&format!("to/{number}")));
        done(folder.store.copy(&from, &to, ALWAYS).await);
        assert_eq!(done(folder.read(&format!("to/{number}")).await), name);
    }
}
