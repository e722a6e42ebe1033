//! The secret store in memory, and what is built on the trait.

use std::sync::Arc;
use std::time::Duration;

use ops_core::memory::MemorySecretStore;
use ops_core::secret_store::{RotationState, SecretStore, SetSecretRequest};
use ops_core::{Error, ErrorKind, Report, SecretStoreExt};

use crate::contract::secret_store as contract;
use crate::contract::secret_store::{CANARY, name, set};
use crate::support::{DAY, ManualClock, all};

/// Each case with a store that can be read, and those that allow it with one that cannot.
macro_rules! contract {
    (any { $($any:ident),+ $(,)? } readable { $($readable:ident),+ $(,)? }) => {
        $(
            #[tokio::test]
            async fn $any() {
                contract::$any(&MemorySecretStore::new()).await;
                contract::$any(&MemorySecretStore::new().without_reading()).await;
            }
        )+
        $(
            #[tokio::test]
            async fn $readable() {
                contract::$readable(&MemorySecretStore::new()).await;
            }
        )+
    };
}

contract!(
    any {
        what_was_set_is_listed_and_described_under_its_name,
        a_secret_that_is_missing_is_not_found,
        no_value_is_in_a_listing_an_error_or_a_debug,
        setting_again_replaces_the_value_and_nothing_else,
        a_value_that_cannot_be_kept_is_refused_and_changes_nothing,
        deleting_a_secret_twice_succeeds,
        a_deleted_name_can_be_set_again_at_once,
        a_secret_without_rotation_is_not_rotated,
        ensuring_a_secret_sets_only_what_differs,
    }
    readable {
        a_value_is_kept_byte_for_byte,
        several_secrets_are_read_in_order_and_one_missing_fails_alone,
        a_set_makes_a_version_and_the_one_before_stays_readable,
        one_idempotency_key_makes_one_version,
        a_deleted_secret_comes_back_with_its_value,
    }
);

#[tokio::test]
async fn a_rotation_replaces_the_value_when_it_has_ended() {
    let store = MemorySecretStore::new();
    set(&store, "ROTATED", "old").await;
    store.configure_rotation(&name("ROTATED"), DAY).unwrap();
    contract::a_rotation_replaces_the_value_when_it_has_ended(&store).await;
}

#[tokio::test]
async fn a_rotation_also_comes_when_its_period_is_over() {
    let clock = ManualClock::new();
    let store = MemorySecretStore::with_clock(Arc::clone(&clock) as _);
    set(&store, "A", "1").await;
    store.configure_rotation(&name("A"), DAY).unwrap();
    let first = store.secret(&name("A")).await.unwrap().version;
    clock.advance(DAY.saturating_sub(Duration::from_secs(1)));
    assert_eq!(store.secret(&name("A")).await.unwrap().version, first);
    clock.advance(Duration::from_secs(1));
    let second = store.secret(&name("A")).await.unwrap().version;
    assert_ne!(second, first);
    let rotation = store.require_rotate_secrets().unwrap();
    let seen = rotation.rotation(&name("A")).await.unwrap();
    assert_eq!(seen.state, RotationState::Idle);
    let (last, next) = (seen.last_rotated_at, seen.next_rotation_at);
    assert_eq!(next.unwrap().saturating_since(last.unwrap()), DAY);
}

#[tokio::test]
async fn a_deletion_cannot_be_taken_back_for_ever() {
    let clock = ManualClock::new();
    let store = MemorySecretStore::with_clock(Arc::clone(&clock) as _);
    let restore = store.require_restore_secrets().unwrap();
    let write = store.require_write_secrets().unwrap();
    set(&store, "A", "1").await;
    write.delete_secret(&name("A")).await.unwrap();
    clock.advance(DAY * 6);
    restore.restore_secret(&name("A")).await.unwrap();
    write.delete_secret(&name("A")).await.unwrap();
    clock.advance(DAY * 7);
    let err = restore.restore_secret(&name("A")).await.unwrap_err();
    assert!(err.is_not_found());
}

#[tokio::test]
async fn a_version_that_is_disabled_cannot_be_read() {
    let store = MemorySecretStore::new();
    set(&store, "A", "1").await;
    let current = store.secret(&name("A")).await.unwrap().version.unwrap();
    store.disable_version(&name("A"), &current).unwrap();
    let versions = store.require_secret_versions().unwrap();
    let err = versions.read_secret_version(&name("A"), &current).await;
    assert_eq!(err.unwrap_err().kind(), ErrorKind::Conflict);
    let read = store.require_read_secrets().unwrap();
    let err = read.read_secret(&name("A")).await.unwrap_err();
    assert!(err.is_not_found());
    assert_eq!(
        all(versions.list_secret_versions(&name("A"))).await.len(),
        1
    );
}

#[test]
fn a_view_without_reading_or_writing_lacks_the_abilities() {
    let ci = MemorySecretStore::new().without_reading();
    assert!(ci.as_read_secrets().is_none() && ci.as_secret_versions().is_none());
    let file = MemorySecretStore::new().without_writing();
    assert!(file.as_write_secrets().is_none() && file.as_rotate_secrets().is_none());
    assert!(file.as_restore_secrets().is_none() && file.as_read_secrets().is_some());
    let err = ci.require_read_secrets().unwrap_err();
    assert_eq!(
        err.to_string(),
        "memory: reading secrets back is not supported"
    );
}

#[tokio::test]
async fn weak_missing_and_equal_secrets_are_named_together() {
    let store = MemorySecretStore::new();
    let strong = format!("{CANARY}-{CANARY}");
    set(&store, "JWT_SECRET", &strong).await;
    set(&store, "JWT_REFRESH_SECRET", &strong).await;
    set(&store, "SESSION_SECRET", CANARY).await;
    let names = [
        "JWT_SECRET",
        "JWT_REFRESH_SECRET",
        "SESSION_SECRET",
        "CSRF_SECRET",
    ]
    .map(name);
    let err = store.read_strong(&names, 32).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    let text = "JWT_REFRESH_SECRET is the same as JWT_SECRET; \
        SESSION_SECRET has fewer than 32 characters; CSRF_SECRET does not exist";
    assert_eq!(err.message(), text);
    assert!(!format!("{err:?}").contains("canary"));

    set(&store, "JWT_REFRESH_SECRET", &format!("other-{strong}")).await;
    let [jwt, refresh, ..] = names;
    let read = store.read_strong(&[refresh, jwt], 32).await.unwrap();
    let read: Vec<_> = read.iter().map(|secret| secret.expose().len()).collect();
    assert_eq!(read, [strong.len() + 6, strong.len()]);
}

fn broken() -> Error {
    Error::new(ErrorKind::Unavailable, "the app did not restart")
}

#[tokio::test]
async fn a_rotation_that_cannot_be_applied_is_taken_back() {
    let store = MemorySecretStore::new();
    set(&store, "A", "old").await;
    let read = store.require_read_secrets().unwrap();
    let err = store
        .rotate_to(&name("A"), "new".into(), || async {
            let set = read.read_secret(&name("A")).await?.value;
            assert_eq!(set.expose(), "new");
            Err(broken())
        })
        .await
        .unwrap_err();
    assert_eq!(err.message(), "the app did not restart");
    let now = read.read_secret(&name("A")).await.unwrap().value;
    assert_eq!(now.expose(), "old");

    store
        .rotate_to(&name("A"), "new".into(), || async { Ok(()) })
        .await
        .unwrap();
    let now = read.read_secret(&name("A")).await.unwrap().value;
    assert_eq!(now.expose(), "new");
}

#[tokio::test]
async fn a_rotation_that_cannot_be_taken_back_says_so() {
    let store = MemorySecretStore::new();
    set(&store, "A", "old").await;
    let ci = store.clone().without_reading();
    let err = ci
        .rotate_to(&name("A"), CANARY.into(), || async { Err(broken()) })
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert_eq!(
        Report(&err).to_string(),
        "memory: secret_store.rotate_to: A was set but not brought into use, and stays: \
         the old value is not known: the app did not restart",
    );
    let read = store.require_read_secrets().unwrap();
    let now = read.read_secret(&name("A")).await.unwrap().value;
    assert_eq!(now.expose(), CANARY);
}

#[tokio::test]
async fn a_rotation_needs_a_secret_and_another_value() {
    let store = MemorySecretStore::new();
    let applied = || async { panic!("nothing was set") };
    let missing = store.rotate_to(&name("A"), "new".into(), applied).await;
    assert!(missing.unwrap_err().is_not_found());
    set(&store, "A", "same").await;
    let same = store.rotate_to(&name("A"), "same".into(), applied).await;
    assert_eq!(same.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn clones_are_the_same_store() {
    let store = MemorySecretStore::new();
    let request = SetSecretRequest::new("1");
    let write = store.require_write_secrets().unwrap();
    write.set_secret(&name("A"), request).await.unwrap();
    assert_eq!(all(store.clone().list_secrets()).await.len(), 1);
}
