//! `RotateSecrets`.

use ops_core::id::{IdempotencyKey, SecretName};
use ops_core::secret_store::{RotateSecrets, Rotation, RotationState};
use ops_core::{ErrorKind, SecretStoreExt};

use super::{NOT_MADE, SecretStoreFixture, UNSEEN, Vault};
use crate::case::Outcome;
use crate::support::{done, eventually, missing, refused, unsupported};

const NOT_CONFIGURED: Outcome = Outcome::NotOffered("the fixture configures no rotation");

impl Vault<'_> {
    fn rotating(&self) -> &dyn RotateSecrets {
        self.store.as_rotate_secrets().unwrap()
    }

    /// A secret that the vendor knows how to rotate, with the value `old`.
    async fn rotated(&self) -> Option<SecretName> {
        let name = self.given("rotated", "old").await?;
        self.fixture.configure_rotation(&name).await.then_some(name)
    }

    async fn rotate(&self, name: &SecretName) -> Rotation {
        done(self.rotating().rotate_secret(name, None).await)
    }

    /// Waits until no rotation runs.
    async fn ended(&self, name: &SecretName) -> Rotation {
        eventually!(self.fixture, "the rotation ends", {
            let seen = done(self.rotating().rotation(name).await);
            (seen.state != RotationState::InProgress).then_some(seen)
        })
    }
}

pub(super) async fn s_090_a_rotation_is_told_or_unsupported_by_name(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(rotate) = vault.store.as_rotate_secrets() else {
        let required = vault.store.require_rotate_secrets();
        unsupported(required, &vault.store.provider(), "rotating secrets");
        return Outcome::Passed;
    };
    let Some(name) = vault.given("still", "1").await else {
        return NOT_MADE;
    };
    let state = done(rotate.rotation(&name).await).state;
    assert_ne!(state, RotationState::InProgress);
    Outcome::Passed
}

pub(super) async fn s_091_a_secret_without_rotation_is_not_rotated(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("still", "1").await else {
        return NOT_MADE;
    };
    let rotation = vault.rotating().rotate_secret(&name, None).await;
    refused(rotation, &[ErrorKind::Conflict]);
    Outcome::Passed
}

pub(super) async fn s_092_a_missing_secret_is_not_rotated(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = fixture.missing_secret();
    missing(vault.rotating().rotate_secret(&name, None).await);
}

pub(super) async fn s_093_the_rotation_of_a_missing_secret_is_not_found(
    fixture: &dyn SecretStoreFixture,
) {
    let vault = Vault::new(fixture);
    missing(vault.rotating().rotation(&fixture.missing_secret()).await);
}

pub(super) async fn s_094_the_old_value_stays_until_a_rotation_has_ended(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.rotated().await else {
        return NOT_CONFIGURED;
    };
    if vault.rotate(&name).await.state != RotationState::InProgress {
        return Outcome::NotOffered("a rotation ends before it is answered");
    }
    let seen = vault.value(&name).await;
    let state = done(vault.rotating().rotation(&name).await).state;
    if state == RotationState::InProgress {
        assert!(seen.is_none_or(|seen| seen == "old"), "replaced too early");
    }
    Outcome::Passed
}

pub(super) async fn s_095_a_rotation_replaces_the_value(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.rotated().await else {
        return NOT_CONFIGURED;
    };
    vault.rotate(&name).await;
    vault.ended(&name).await;
    let Some(seen) = vault.value(&name).await else {
        return UNSEEN;
    };
    assert_ne!(seen, "old");
    Outcome::Passed
}

pub(super) async fn s_096_one_key_starts_one_rotation(fixture: &dyn SecretStoreFixture) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.rotated().await else {
        return NOT_CONFIGURED;
    };
    let key = fixture.unique("idempotency-key-of-32-characters");
    let key = Some(IdempotencyKey::new(key).unwrap());
    let first = done(vault.rotating().rotate_secret(&name, key.clone()).await);
    let again = done(vault.rotating().rotate_secret(&name, key).await);
    assert_eq!(again.version, first.version);
    Outcome::Passed
}

pub(super) async fn s_097_a_rotation_beside_another_is_a_conflict(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.rotated().await else {
        return NOT_CONFIGURED;
    };
    if vault.rotate(&name).await.state != RotationState::InProgress {
        return Outcome::NotOffered("a rotation ends before it is answered");
    }
    let beside = vault.rotating().rotate_secret(&name, None).await;
    refused(beside, &[ErrorKind::Conflict]);
    Outcome::Passed
}

pub(super) async fn s_098_a_rotation_tells_when_it_has_ended(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.rotated().await else {
        return NOT_CONFIGURED;
    };
    vault.rotate(&name).await;
    vault.ended(&name).await;
    let told = done(vault.rotating().rotation(&name).await);
    assert!(told.last_rotated_at.is_some(), "{told:?}");
    Outcome::Passed
}

pub(super) async fn s_099_the_version_that_a_rotation_makes_is_current(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.rotated().await else {
        return NOT_CONFIGURED;
    };
    let Some(made) = vault.rotate(&name).await.version else {
        return Outcome::NotOffered("the vendor does not tell which version it makes");
    };
    vault.ended(&name).await;
    assert_eq!(done(vault.store.secret(&name).await).version, Some(made));
    Outcome::Passed
}
