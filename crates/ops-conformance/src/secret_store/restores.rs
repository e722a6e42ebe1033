//! `RestoreSecrets`.

use ops_core::SecretStoreExt;
use ops_core::id::SecretName;

use super::{SecretStoreFixture, UNSEEN, Vault};
use crate::case::Outcome;
use crate::support::{done, missing, unsupported};

impl Vault<'_> {
    async fn restore(&self, name: &SecretName) -> SecretName {
        let restore = self.store.as_restore_secrets().unwrap();
        done(restore.restore_secret(name).await).name
    }
}

pub(super) async fn s_110_a_deleted_secret_is_restored_or_that_is_unsupported_by_name(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    if vault.store.as_restore_secrets().is_none() {
        let required = vault.store.require_restore_secrets();
        unsupported(required, &vault.store.provider(), "restoring secrets");
        return Outcome::Passed;
    }
    if vault.store.as_write_secrets().is_none() {
        return Outcome::NotOffered("nothing can be deleted");
    }
    let name = vault.gone("restored").await;
    assert_eq!(vault.restore(&name).await, name);
    Outcome::Passed
}

pub(super) async fn s_111_a_restored_secret_has_its_value(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let name = vault.gone("restored").await;
    vault.restore(&name).await;
    let Some(seen) = vault.value(&name).await else {
        return UNSEEN;
    };
    assert_eq!(seen, "1");
    Outcome::Passed
}

pub(super) async fn s_112_restoring_what_is_there_leaves_it(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = fixture.name("there");
    vault.set(&name, "1").await;
    vault.restore(&name).await;
    let seen = vault.value(&name).await;
    assert!(seen.is_none_or(|seen| seen == "1"), "another value");
}

pub(super) async fn s_113_restoring_what_never_was_is_not_found(fixture: &dyn SecretStoreFixture) {
    let store = fixture.store();
    let restore = store.as_restore_secrets().unwrap();
    missing(restore.restore_secret(&fixture.missing_secret()).await);
}

pub(super) async fn s_114_a_restored_secret_is_listed(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = vault.gone("restored").await;
    vault.restore(&name).await;
    assert_ne!(vault.listed(&name).await, 0);
}
