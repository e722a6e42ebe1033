//! `ReadSecrets`.

use futures_util::future::join_all;
use ops_core::id::SecretName;
use ops_core::secret_store::SecretValue;
use ops_core::{ErrorKind, Result, SecretStoreExt};

use super::{NOT_MADE, SecretStoreFixture, Vault, longer};
use crate::case::Outcome;
use crate::support::{AWKWARD, done, missing, refused, unsupported};

pub(super) async fn s_020_a_value_is_read_or_that_is_unsupported_by_name(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(read) = vault.store.as_read_secrets() else {
        let required = vault.store.require_read_secrets();
        unsupported(required, &vault.store.provider(), "reading secrets back");
        return Outcome::Passed;
    };
    let Some(name) = vault.given("read", "as it was put").await else {
        return NOT_MADE;
    };
    let value = done(read.read_secret(&name).await).value;
    assert_eq!(value.expose(), "as it was put");
    Outcome::Passed
}

pub(super) async fn s_021_a_missing_value_is_not_found(fixture: &dyn SecretStoreFixture) {
    let store = fixture.store();
    let read = store.as_read_secrets().unwrap();
    missing(read.read_secret(&fixture.missing_secret()).await);
}

/// Secrets whose values are their numbers.
async fn numbered(vault: &Vault<'_>, many: usize) -> Option<Vec<SecretName>> {
    let mut names = Vec::new();
    for number in 0..many {
        names.push(vault.given("one", &number.to_string()).await?);
    }
    Some(names)
}

/// What is read of these, with the kinds of the errors.
async fn read_all(vault: &Vault<'_>, names: Vec<SecretName>) -> Vec<String> {
    let text = |answer: Result<SecretValue>| match answer {
        Ok(value) => value.value.expose().to_owned(),
        Err(err) => err.kind().to_string(),
    };
    let read = vault.store.as_read_secrets().unwrap();
    let answers = done(read.read_secrets(names).await);
    answers.into_iter().map(text).collect()
}

pub(super) async fn s_022_several_values_are_read_in_their_order(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(mut names) = numbered(&vault, 3).await else {
        return NOT_MADE;
    };
    names.rotate_left(1);
    assert_eq!(read_all(&vault, names).await, ["1", "2", "0"]);
    Outcome::Passed
}

pub(super) async fn s_023_one_missing_value_fails_alone(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(mut names) = numbered(&vault, 2).await else {
        return NOT_MADE;
    };
    names.insert(1, fixture.missing_secret());
    assert_eq!(read_all(&vault, names).await, ["0", "not_found", "1"]);
    Outcome::Passed
}

pub(super) async fn s_024_reading_nothing_answers_nothing(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    assert!(read_all(&vault, Vec::new()).await.is_empty());
}

pub(super) async fn s_025_a_name_that_is_asked_twice_is_answered_twice(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(mut names) = numbered(&vault, 2).await else {
        return NOT_MADE;
    };
    names.extend_from_within(..);
    assert_eq!(read_all(&vault, names).await, ["0", "1", "0", "1"]);
    Outcome::Passed
}

pub(super) async fn s_026_more_values_than_a_page_are_read(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let many = fixture.more_than_a_page();
    let Some(names) = numbered(&vault, many).await else {
        return NOT_MADE;
    };
    let wanted: Vec<_> = (0..many).map(|number| number.to_string()).collect();
    assert_eq!(read_all(&vault, names).await, wanted);
    Outcome::Passed
}

pub(super) async fn s_027_concurrent_reads_do_not_mix(fixture: &dyn SecretStoreFixture) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(names) = numbered(&vault, 4).await else {
        return NOT_MADE;
    };
    let read = vault.store.as_read_secrets().unwrap();
    let answers = join_all(names.iter().map(|name| read.read_secret(name))).await;
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(done(answer).value.expose(), number.to_string());
    }
    Outcome::Passed
}

pub(super) async fn s_028_the_value_of_an_awkward_name_is_nobody_elses(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("awkward", "1").await else {
        return NOT_MADE;
    };
    let read = vault.store.as_read_secrets().unwrap();
    for tail in AWKWARD {
        refused(
            read.read_secret(&longer(&name, tail)).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
    Outcome::Passed
}
