//! Deleting.

use ops_core::DeleteOutcome;
use ops_core::id::SecretName;
use ops_core::secret_store::SetSecretRequest;

use super::{SecretStoreFixture, UNSEEN, Vault, longer};
use crate::case::Outcome;
use crate::support::{AWKWARD, done, missing};

impl Vault<'_> {
    pub(super) async fn delete(&self, name: &SecretName) -> DeleteOutcome {
        let write = self.store.as_write_secrets().unwrap();
        done(write.delete_secret(name).await)
    }

    /// A name that was set and deleted.
    pub(super) async fn gone(&self, what: &str) -> SecretName {
        let name = self.fixture.name(what);
        self.set(&name, "1").await;
        assert_ne!(self.delete(&name).await, DeleteOutcome::AlreadyGone);
        name
    }
}

pub(super) async fn s_060_a_deleted_secret_is_not_found(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = vault.gone("deleted").await;
    missing(vault.store.secret(&name).await);
}

pub(super) async fn s_061_a_deleted_secret_is_not_listed(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = vault.gone("deleted").await;
    assert_eq!(vault.listed(&name).await, 0);
}

pub(super) async fn s_062_a_deleted_secret_is_not_read(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = vault.gone("deleted").await;
    let read = vault.store.as_read_secrets().unwrap();
    missing(read.read_secret(&name).await);
}

pub(super) async fn s_063_deleting_twice_is_success(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = vault.gone("deleted").await;
    assert_ne!(vault.delete(&name).await, DeleteOutcome::Deleted);
}

pub(super) async fn s_064_deleting_what_never_was_is_success(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let outcome = vault.delete(&fixture.missing_secret()).await;
    assert_ne!(outcome, DeleteOutcome::Deleted);
}

pub(super) async fn s_065_deleting_leaves_the_others(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let [name, other] = ["deleted", "other"].map(|what| fixture.name(what));
    let begins_alike = longer(&name, "_2");
    for name in [&name, &begins_alike, &other] {
        vault.set(name, "1").await;
    }
    vault.delete(&name).await;
    for kept in [begins_alike, other] {
        assert!(vault.is_there(&kept).await, "{kept} is gone as well");
    }
}

pub(super) async fn s_066_a_deleted_name_can_be_set_again_at_once(
    fixture: &dyn SecretStoreFixture,
) {
    let vault = Vault::new(fixture);
    let name = vault.gone("reused").await;
    vault.set(&name, "2").await;
    assert!(vault.is_there(&name).await, "set again and not there");
}

pub(super) async fn s_067_a_name_that_is_set_again_has_the_new_value(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let name = vault.gone("reused").await;
    let write = vault.store.as_write_secrets().unwrap();
    let set = write.set_secret(&name, SetSecretRequest::new("2")).await;
    if set.is_err() {
        return Outcome::NotOffered("a deleted name cannot be set again");
    }
    let Some(seen) = vault.value(&name).await else {
        return UNSEEN;
    };
    assert_eq!(seen, "2");
    Outcome::Passed
}

pub(super) async fn s_068_deleting_an_awkward_name_deletes_nobody_else(
    fixture: &dyn SecretStoreFixture,
) {
    let vault = Vault::new(fixture);
    let name = fixture.name("kept");
    vault.set(&name, "1").await;
    let write = vault.store.as_write_secrets().unwrap();
    for tail in AWKWARD {
        // Refused or not: it is another secret's name.
        let _ = write.delete_secret(&longer(&name, tail)).await;
        assert!(vault.is_there(&name).await, "deleted by {tail:?}");
    }
}
