//! `SecretVersions`.

use ops_core::id::{IdempotencyKey, SecretName, SecretVersionId};
use ops_core::secret_store::{
    SecretMeta, SecretValue, SecretVersion, SecretVersionState, SetSecretRequest,
};
use ops_core::{ErrorKind, Result, SecretStoreExt};

use super::{NOT_MADE, SecretStoreFixture, UNSEEN, Vault};
use crate::case::Outcome;
use crate::support::{AWKWARD, done, drain, missing, missing_stream, refused, unsupported};

impl Vault<'_> {
    async fn versions(&self, name: &SecretName) -> Vec<SecretVersion> {
        let versions = self.store.as_secret_versions().unwrap();
        drain(versions.list_secret_versions(name)).await
    }

    /// The version that is current, as the description tells it.
    async fn current(&self, name: &SecretName) -> SecretVersionId {
        let described = done(self.store.secret(name).await);
        described
            .version
            .expect("a store with versions tells which one is current")
    }

    /// A secret that was set to `1` and then to `2`, with its two versions.
    async fn set_twice(&self) -> (SecretName, SecretVersionId, SecretVersionId) {
        let name = self.fixture.name("twice");
        self.set(&name, "1").await;
        let first = self.current(&name).await;
        self.set(&name, "2").await;
        let second = self.current(&name).await;
        assert_ne!(first, second);
        (name, first, second)
    }

    async fn read_version(
        &self,
        name: &SecretName,
        version: &SecretVersionId,
    ) -> Result<SecretValue> {
        let versions = self.store.as_secret_versions().unwrap();
        versions.read_secret_version(name, version).await
    }

    async fn set_with(
        &self,
        name: &SecretName,
        value: &str,
        key: &IdempotencyKey,
    ) -> Result<SecretMeta> {
        let request = SetSecretRequest::new(value).with_idempotency_key(key.clone());
        let write = self.store.as_write_secrets().unwrap();
        write.set_secret(name, request).await
    }
}

fn ids(versions: &[SecretVersion]) -> Vec<&SecretVersionId> {
    versions.iter().map(|version| &version.id).collect()
}

pub(super) async fn s_070_versions_are_listed_or_unsupported_by_name(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    if vault.store.as_secret_versions().is_none() {
        let required = vault.store.require_secret_versions();
        unsupported(required, &vault.store.provider(), "keeping versions");
        return Outcome::Passed;
    }
    let Some(name) = vault.given("versions", "1").await else {
        return NOT_MADE;
    };
    assert!(!vault.versions(&name).await.is_empty());
    Outcome::Passed
}

pub(super) async fn s_071_versions_are_listed_newest_first(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let (name, first, second) = vault.set_twice().await;
    assert_eq!(ids(&vault.versions(&name).await), [&second, &first]);
}

pub(super) async fn s_072_exactly_the_last_version_is_current(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let (name, _, second) = vault.set_twice().await;
    let mut listed = vault.versions(&name).await;
    listed.retain(|version| version.state == SecretVersionState::Current);
    assert_eq!(ids(&listed), [&second]);
}

pub(super) async fn s_073_the_value_before_is_read(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let (name, first, _) = vault.set_twice().await;
    let value = done(vault.read_version(&name, &first).await).value;
    assert_eq!(value.expose(), "1");
}

pub(super) async fn s_074_the_current_version_is_read(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let (name, _, second) = vault.set_twice().await;
    let value = done(vault.read_version(&name, &second).await).value;
    assert_eq!(value.expose(), "2");
}

pub(super) async fn s_075_a_missing_version_is_not_found(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("versions", "1").await else {
        return NOT_MADE;
    };
    missing(vault.read_version(&name, &fixture.missing_version()).await);
    Outcome::Passed
}

pub(super) async fn s_076_versions_of_a_missing_secret_are_not_found(
    fixture: &dyn SecretStoreFixture,
) {
    let store = fixture.store();
    let versions = store.as_secret_versions().unwrap();
    missing_stream(versions.list_secret_versions(&fixture.missing_secret())).await;
}

pub(super) async fn s_077_a_version_of_a_missing_secret_is_not_found(
    fixture: &dyn SecretStoreFixture,
) {
    let (name, version) = (fixture.missing_secret(), fixture.missing_version());
    missing(Vault::new(fixture).read_version(&name, &version).await);
}

fn key(fixture: &dyn SecretStoreFixture) -> IdempotencyKey {
    IdempotencyKey::new(fixture.unique("idempotency-key-of-32-characters")).unwrap()
}

pub(super) async fn s_078_one_key_makes_one_version(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let (name, key) = (fixture.name("keyed"), key(fixture));
    for _ in 0..2 {
        done(vault.set_with(&name, "1", &key).await);
    }
    assert_eq!(vault.versions(&name).await.len(), 1);
}

pub(super) async fn s_079_the_key_of_another_value_is_a_conflict(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let (name, key) = (fixture.name("keyed"), key(fixture));
    done(vault.set_with(&name, "1", &key).await);
    let other = vault.set_with(&name, "2", &key).await;
    refused(other, &[ErrorKind::Conflict]);
}

pub(super) async fn s_080_a_conflicting_set_changes_nothing(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let (name, key) = (fixture.name("keyed"), key(fixture));
    done(vault.set_with(&name, "1", &key).await);
    if vault.set_with(&name, "2", &key).await.is_ok() {
        return Outcome::NotOffered("the key of another value is no conflict");
    }
    let Some(seen) = vault.value(&name).await else {
        return UNSEEN;
    };
    assert_eq!(seen, "1");
    Outcome::Passed
}

pub(super) async fn s_081_a_long_listing_of_versions_comes_whole(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = fixture.name("often");
    let mut made = Vec::new();
    for number in 0..fixture.more_than_a_page() {
        vault.set(&name, &number.to_string()).await;
        made.push(vault.current(&name).await);
    }
    let listed = vault.versions(&name).await;
    made.retain(|id| listed.iter().filter(|version| version.id == *id).count() != 1);
    assert!(made.is_empty(), "not listed, or not once: {made:?}");
}

pub(super) async fn s_082_a_deleted_secret_has_no_versions(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = vault.gone("versions").await;
    let versions = vault.store.as_secret_versions().unwrap();
    missing_stream(versions.list_secret_versions(&name)).await;
}

pub(super) async fn s_083_a_value_names_its_version(fixture: &dyn SecretStoreFixture) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("named", "1").await else {
        return NOT_MADE;
    };
    let read = vault.store.as_read_secrets().unwrap();
    let value = done(read.read_secret(&name).await);
    assert_eq!(value.version, Some(vault.current(&name).await));
    Outcome::Passed
}

pub(super) async fn s_084_setting_answers_the_version(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = fixture.name("answered");
    for value in ["1", "2"] {
        let set = vault.set(&name, value).await;
        assert_eq!(set.version, Some(vault.current(&name).await));
    }
}

pub(super) async fn s_085_an_awkward_version_is_nobody_elses(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("versions", "1").await else {
        return NOT_MADE;
    };
    let current = vault.current(&name).await;
    for tail in AWKWARD {
        let other = SecretVersionId::new(format!("{current}{tail}")).unwrap();
        refused(
            vault.read_version(&name, &other).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
    Outcome::Passed
}
