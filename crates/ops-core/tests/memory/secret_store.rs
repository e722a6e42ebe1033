//! The secret store in memory, and what is built on the trait.

use std::sync::Arc;
use std::time::Duration;

use ops_core::id::SecretName;
use ops_core::memory::MemorySecretStore;
use ops_core::secret_store::{RotationState, SecretStore, SetSecretRequest};
use ops_core::{EnsureOutcome, Error, ErrorKind, Report, SecretStoreExt};

use crate::support::{DAY, ManualClock, all};

mod suite {
    use ops_conformance::memory::MemorySecretStoreFixture;

    ops_conformance::secret_store!(MemorySecretStoreFixture::new());
}

mod read_only {
    use ops_conformance::memory::MemorySecretStoreFixture;

    ops_conformance::secret_store!(MemorySecretStoreFixture::read_only());
}

mod write_only {
    use ops_conformance::memory::MemorySecretStoreFixture;

    ops_conformance::secret_store!(MemorySecretStoreFixture::write_only());
}

/// Looks like nothing else, so that it is found wherever it leaks.
const CANARY: &str = "canary-7f3a9d61-value";

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

async fn set(store: &dyn SecretStore, key: &str, value: &str) {
    let request = SetSecretRequest::new(value);
    let write = store.require_write_secrets().unwrap();
    write.set_secret(&name(key), request).await.unwrap();
}

#[tokio::test]
async fn ensuring_a_secret_sets_only_what_is_known_to_differ() {
    let whole = MemorySecretStore::new();
    let write_only = MemorySecretStore::new().without_reading();
    for (store, again) in [
        (whole, EnsureOutcome::Unchanged),
        (write_only, EnsureOutcome::Updated),
    ] {
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
}

#[tokio::test]
async fn a_rotation_to_the_same_value_does_not_repeat_it() {
    let store = MemorySecretStore::new();
    set(&store, "JWT_SECRET", CANARY).await;
    let broken = || async { Err(broken()) };
    let name = name("JWT_SECRET");
    let same = store.rotate_to(&name, CANARY.into(), broken);
    let err = same.await.unwrap_err();
    let seen = format!("{err} {err:?} {}", Report(&err));
    assert!(!seen.contains("canary"), "{seen}");
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
