//! The contract of `SecretStore`. Each case is given an empty store; a case of an ability
//! needs a store that has it.

use std::fmt::Write;

use futures_util::StreamExt;
use ops_core::id::{IdempotencyKey, SecretName, SecretVersionId};
use ops_core::object_store::DeleteOutcome;
use ops_core::secret_store::{RotationState, SecretStore, SecretVersionState, SetSecretRequest};
use ops_core::{EnsureOutcome, Error, ErrorKind, Report, Secret, SecretStoreExt};

use crate::support::all;

/// Looks like nothing else, so that it is found wherever it leaks.
pub(crate) const CANARY: &str = "canary-7f3a9d61-value";

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

pub(crate) async fn set(store: &dyn SecretStore, key: &str, value: &str) {
    let request = SetSecretRequest::new(value);
    let write = store.require_write_secrets().unwrap();
    write.set_secret(&name(key), request).await.unwrap();
}

async fn get(store: &dyn SecretStore, key: &str) -> Secret {
    let read = store.require_read_secrets().unwrap();
    read.read_secret(&name(key)).await.unwrap().value
}

async fn names(store: &dyn SecretStore) -> Vec<String> {
    let mut names: Vec<_> = all(store.list_secrets())
        .await
        .into_iter()
        .map(|meta| meta.name.into())
        .collect();
    names.sort();
    names
}

pub(crate) async fn what_was_set_is_listed_and_described_under_its_name(store: &dyn SecretStore) {
    assert!(names(store).await.is_empty());
    set(store, "STRIPE_SECRET_KEY", "a").await;
    set(store, "JWT_SECRET", "b").await;
    assert_eq!(names(store).await, ["JWT_SECRET", "STRIPE_SECRET_KEY"]);
    let meta = store.secret(&name("JWT_SECRET")).await.unwrap();
    assert_eq!(meta.name, name("JWT_SECRET"));
}

pub(crate) async fn a_secret_that_is_missing_is_not_found(store: &dyn SecretStore) {
    let missing = name("NO_SUCH_SECRET");
    assert!(store.secret(&missing).await.unwrap_err().is_not_found());
    if let Some(read) = store.as_read_secrets() {
        assert!(read.read_secret(&missing).await.unwrap_err().is_not_found());
    }
    if let Some(versions) = store.as_secret_versions() {
        let mut listed = versions.list_secret_versions(&missing);
        assert!(listed.next().await.unwrap().unwrap_err().is_not_found());
    }
    if let Some(rotate) = store.as_rotate_secrets() {
        let err = rotate.rotate_secret(&missing, None).await.unwrap_err();
        assert!(err.is_not_found());
    }
    if let Some(restore) = store.as_restore_secrets() {
        let err = restore.restore_secret(&missing).await.unwrap_err();
        assert!(err.is_not_found());
    }
}

pub(crate) async fn no_value_is_in_a_listing_an_error_or_a_debug(store: &dyn SecretStore) {
    set(store, "JWT_SECRET", CANARY).await;
    let listed = all(store.list_secrets()).await;
    let mut seen = format!("{store:?} {listed:?}");
    if let Some(read) = store.as_read_secrets() {
        let value = read.read_secret(&name("JWT_SECRET")).await.unwrap();
        assert_eq!(value.value.expose(), CANARY);
        write!(seen, "{value:?}").unwrap();
    }
    let mut refusals: Vec<Error> = Vec::new();
    let write = store.require_write_secrets().unwrap();
    if let Some(max) = store.limits().max_value_bytes {
        let long = CANARY.repeat(usize::try_from(max).unwrap() / CANARY.len() + 1);
        let request = SetSecretRequest::new(long);
        write!(seen, "{request:?}").unwrap();
        let refused = write.set_secret(&name("LONG"), request).await;
        refusals.push(refused.unwrap_err());
    }
    let broken = || async { Err(Error::new(ErrorKind::Unavailable, "no restart")) };
    let jwt = name("JWT_SECRET");
    let same = store.rotate_to(&jwt, CANARY.into(), broken).await;
    refusals.push(same.unwrap_err());
    for err in refusals {
        write!(seen, "{err} {err:?} {}", Report(&err)).unwrap();
    }
    assert!(!seen.contains("canary"), "{seen}");
}

pub(crate) async fn a_value_is_kept_byte_for_byte(store: &dyn SecretStore) {
    let odd = [
        " spaces at both ends ",
        "-----BEGIN KEY-----\r\nabc\n\n-----END KEY-----\n",
        "quotes \" ' ` and $HOME ${X} %s \\n # =",
        "日本語 🗝",
        "\t",
    ];
    for (n, value) in odd.iter().enumerate() {
        let key = format!("ODD_{n}");
        set(store, &key, value).await;
        assert_eq!(get(store, &key).await.expose(), *value);
    }
}

pub(crate) async fn several_secrets_are_read_in_order_and_one_missing_fails_alone(
    store: &dyn SecretStore,
) {
    set(store, "A", "1").await;
    set(store, "B", "2").await;
    let read = store.require_read_secrets().unwrap();
    let asked = vec![name("B"), name("NO_SUCH_SECRET"), name("A"), name("B")];
    let answers = read.read_secrets(asked).await.unwrap();
    let seen: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(value) => value.value.expose().to_owned(),
            Err(err) => err.kind().to_string(),
        })
        .collect();
    assert_eq!(seen, ["2", "not_found", "1", "2"]);
    assert!(read.read_secrets(Vec::new()).await.unwrap().is_empty());
}

pub(crate) async fn setting_again_replaces_the_value_and_nothing_else(store: &dyn SecretStore) {
    set(store, "A", "1").await;
    set(store, "B", "2").await;
    set(store, "A", "3").await;
    assert_eq!(names(store).await, ["A", "B"]);
    if store.as_read_secrets().is_some() {
        assert_eq!(get(store, "A").await.expose(), "3");
        assert_eq!(get(store, "B").await.expose(), "2");
    }
}

pub(crate) async fn a_value_that_cannot_be_kept_is_refused_and_changes_nothing(
    store: &dyn SecretStore,
) {
    let write = store.require_write_secrets().unwrap();
    set(store, "A", "1").await;
    let mut refused = vec![String::new()];
    let max = store.limits().max_value_bytes;
    refused.extend(max.map(|max| "x".repeat(usize::try_from(max).unwrap() + 1)));
    for value in refused {
        for key in ["A", "NEW"] {
            let request = SetSecretRequest::new(value.as_str());
            let err = write.set_secret(&name(key), request).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput);
        }
    }
    assert_eq!(names(store).await, ["A"]);
    if store.as_read_secrets().is_some() {
        assert_eq!(get(store, "A").await.expose(), "1");
    }
    if let Some(max) = max {
        set(store, "A", &"x".repeat(usize::try_from(max).unwrap())).await;
    }
}

pub(crate) async fn deleting_a_secret_twice_succeeds(store: &dyn SecretStore) {
    let write = store.require_write_secrets().unwrap();
    set(store, "A", "1").await;
    let first = write.delete_secret(&name("A")).await.unwrap();
    assert_ne!(first, DeleteOutcome::AlreadyGone);
    assert!(names(store).await.is_empty());
    assert!(store.secret(&name("A")).await.unwrap_err().is_not_found());
    if let Some(read) = store.as_read_secrets() {
        let err = read.read_secret(&name("A")).await.unwrap_err();
        assert!(err.is_not_found());
    }
    let second = write.delete_secret(&name("A")).await.unwrap();
    assert_ne!(second, DeleteOutcome::Deleted);
}

pub(crate) async fn a_deleted_name_can_be_set_again_at_once(store: &dyn SecretStore) {
    let write = store.require_write_secrets().unwrap();
    set(store, "A", "1").await;
    write.delete_secret(&name("A")).await.unwrap();
    set(store, "A", "2").await;
    assert_eq!(names(store).await, ["A"]);
    if store.as_read_secrets().is_some() {
        assert_eq!(get(store, "A").await.expose(), "2");
    }
}

pub(crate) async fn a_set_makes_a_version_and_the_one_before_stays_readable(
    store: &dyn SecretStore,
) {
    let versions = store.require_secret_versions().unwrap();
    set(store, "A", "1").await;
    let first = store.secret(&name("A")).await.unwrap().version.unwrap();
    set(store, "A", "2").await;
    let second = store.secret(&name("A")).await.unwrap().version.unwrap();
    assert_ne!(first, second);
    let listed = all(versions.list_secret_versions(&name("A"))).await;
    let ids: Vec<_> = listed.iter().map(|version| &version.id).collect();
    assert_eq!(ids, [&second, &first]);
    let current: Vec<_> = listed
        .iter()
        .filter(|version| version.state == SecretVersionState::Current)
        .map(|version| &version.id)
        .collect();
    assert_eq!(current, [&second]);
    assert_eq!(listed[1].state, SecretVersionState::Earlier);
    for (id, value) in [(&first, "1"), (&second, "2")] {
        let read = versions.read_secret_version(&name("A"), id).await.unwrap();
        assert_eq!(
            (read.value.expose(), read.version.as_ref()),
            (value, Some(id))
        );
    }
    let none = SecretVersionId::new("999999").unwrap();
    let err = versions.read_secret_version(&name("A"), &none).await;
    assert!(err.unwrap_err().is_not_found());
}

pub(crate) async fn one_idempotency_key_makes_one_version(store: &dyn SecretStore) {
    let write = store.require_write_secrets().unwrap();
    let versions = store.require_secret_versions().unwrap();
    let key = IdempotencyKey::new("5b0f6c1e-2a77-4a52-9a39-0d6f9d6d3f11").unwrap();
    let request = |value: &str| SetSecretRequest::new(value).with_idempotency_key(key.clone());
    let a = name("A");
    let first = write.set_secret(&a, request("1")).await.unwrap();
    let again = write.set_secret(&a, request("1")).await.unwrap();
    assert_eq!(first.version, again.version);
    assert_eq!(all(versions.list_secret_versions(&a)).await.len(), 1);
    let err = write.set_secret(&a, request("2")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
    assert_eq!(get(store, "A").await.expose(), "1");
}

/// The secret `ROTATED` is there and configured for rotation.
pub(crate) async fn a_rotation_replaces_the_value_when_it_has_ended(store: &dyn SecretStore) {
    let rotate = store.require_rotate_secrets().unwrap();
    let rotated = name("ROTATED");
    let old = get(store, "ROTATED").await;
    let key = Some(IdempotencyKey::new("8c2c7a34-6f0f-47f7-8f0c-2f3d1f7f8a01").unwrap());
    let started = rotate.rotate_secret(&rotated, key.clone()).await.unwrap();
    assert_eq!(started.state, RotationState::InProgress);
    assert!(old.matches(get(store, "ROTATED").await.expose()));
    let again = rotate.rotate_secret(&rotated, key).await.unwrap();
    assert_eq!(again.version, started.version);
    let running = rotate.rotate_secret(&rotated, None).await.unwrap_err();
    assert_eq!(running.kind(), ErrorKind::Conflict);
    let mut looks = 0;
    while rotate.rotation(&rotated).await.unwrap().state == RotationState::InProgress {
        looks += 1;
        assert!(looks < 10, "the rotation does not end");
    }
    assert!(!old.matches(get(store, "ROTATED").await.expose()));
    let ended = rotate.rotation(&rotated).await.unwrap();
    assert!(ended.last_rotated_at.is_some());
    let current = store.secret(&rotated).await.unwrap().version;
    assert_eq!(current, started.version);
}

pub(crate) async fn a_secret_without_rotation_is_not_rotated(store: &dyn SecretStore) {
    let rotate = store.require_rotate_secrets().unwrap();
    set(store, "A", "1").await;
    let seen = rotate.rotation(&name("A")).await.unwrap();
    assert_eq!(seen.state, RotationState::NotConfigured);
    let err = rotate.rotate_secret(&name("A"), None).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
}

pub(crate) async fn a_deleted_secret_comes_back_with_its_value(store: &dyn SecretStore) {
    let write = store.require_write_secrets().unwrap();
    let restore = store.require_restore_secrets().unwrap();
    set(store, "A", "1").await;
    write.delete_secret(&name("A")).await.unwrap();
    restore.restore_secret(&name("A")).await.unwrap();
    assert_eq!(get(store, "A").await.expose(), "1");
    restore.restore_secret(&name("A")).await.unwrap();
    assert_eq!(get(store, "A").await.expose(), "1");
}

pub(crate) async fn ensuring_a_secret_sets_only_what_differs(store: &dyn SecretStore) {
    let reads = store.as_read_secrets().is_some();
    let again = if reads {
        EnsureOutcome::Unchanged
    } else {
        EnsureOutcome::Updated
    };
    let wanted = [
        ("1", EnsureOutcome::Created),
        ("1", again),
        ("2", EnsureOutcome::Updated),
    ];
    for (value, outcome) in wanted {
        let ensured = store.ensure_secret(&name("A"), value.into()).await.unwrap();
        assert_eq!(ensured.outcome, outcome, "{value}");
    }
}
