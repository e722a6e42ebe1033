//! What is known of the provider itself.

use super::{SecretStoreFixture, Vault};
use crate::case::Outcome;
use crate::support::{assert_abilities, keeps, names, printed};

pub(super) async fn s_001_the_abilities_are_those_that_are_declared(
    fixture: &dyn SecretStoreFixture,
) {
    let store = fixture.store();
    let offered = [
        ("as_read_secrets", store.as_read_secrets().is_some()),
        ("as_write_secrets", store.as_write_secrets().is_some()),
        ("as_secret_versions", store.as_secret_versions().is_some()),
        ("as_rotate_secrets", store.as_rotate_secrets().is_some()),
        ("as_restore_secrets", store.as_restore_secrets().is_some()),
    ];
    assert_abilities(&offered, fixture.abilities());
}

pub(super) async fn s_002_a_refusal_names_the_provider(fixture: &dyn SecretStoreFixture) {
    let store = fixture.store();
    if let Err(err) = store.secret(&fixture.missing_secret()).await {
        names(&err, &store.provider());
    }
}

pub(super) async fn s_003_the_credential_is_not_printed(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let Some(credential) = fixture.credential() else {
        return Outcome::NotOffered("there is no credential");
    };
    let vault = Vault::new(fixture);
    keeps(&credential, &format!("{:?}", vault.store));
    if let Err(err) = vault.store.secret(&fixture.missing_secret()).await {
        keeps(&credential, &printed(&err));
    }
    Outcome::Passed
}
