//! Which secrets there are, and what is known of them.

use futures_util::StreamExt;
use futures_util::future::join_all;
use ops_core::ErrorKind;

use super::{NOT_MADE, SecretStoreFixture, Vault, longer};
use crate::case::Outcome;
use crate::support::{AWKWARD, done, drain, keeps, missing, refused};

pub(super) async fn s_010_a_secret_is_listed_once(fixture: &dyn SecretStoreFixture) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("listed", "1").await else {
        return NOT_MADE;
    };
    assert_eq!(vault.listed(&name).await, 1);
    Outcome::Passed
}

pub(super) async fn s_011_a_secret_is_described_under_its_name(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("described", "1").await else {
        return NOT_MADE;
    };
    assert_eq!(done(vault.store.secret(&name).await).name, name);
    Outcome::Passed
}

pub(super) async fn s_012_a_missing_secret_is_not_found(fixture: &dyn SecretStoreFixture) {
    missing(fixture.store().secret(&fixture.missing_secret()).await);
}

pub(super) async fn s_013_a_long_listing_comes_whole_and_once(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let mut wanted = Vec::new();
    for _ in 0..fixture.more_than_a_page() {
        let Some(name) = vault.given("many", "1").await else {
            return NOT_MADE;
        };
        wanted.push(name);
    }
    let listed = drain(vault.store.list_secrets()).await;
    let mut seen: Vec<_> = listed.into_iter().map(|meta| meta.name).collect();
    seen.retain(|name| wanted.contains(name));
    seen.sort();
    wanted.sort();
    assert_eq!(seen, wanted);
    Outcome::Passed
}

pub(super) async fn s_014_a_listing_that_is_given_up_does_not_disturb_the_next(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("again", "1").await else {
        return NOT_MADE;
    };
    drop(vault.store.list_secrets().next().await);
    assert_ne!(vault.listed(&name).await, 0);
    Outcome::Passed
}

pub(super) async fn s_015_an_awkward_name_is_nobody_elses(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("awkward", "1").await else {
        return NOT_MADE;
    };
    for tail in AWKWARD {
        refused(
            vault.store.secret(&longer(&name, tail)).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
    Outcome::Passed
}

pub(super) async fn s_016_no_value_is_in_a_listing(fixture: &dyn SecretStoreFixture) -> Outcome {
    let vault = Vault::new(fixture);
    let canary = fixture.unique("canary");
    let Some(name) = vault.given("printed", &canary).await else {
        return NOT_MADE;
    };
    let listed = drain(vault.store.list_secrets()).await;
    let described = done(vault.store.secret(&name).await);
    let store = &vault.store;
    keeps(&canary, &format!("{store:?} {listed:?} {described:?}"));
    Outcome::Passed
}

pub(super) async fn s_017_a_secret_is_not_changed_before_it_is_made(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(name) = vault.given("dated", "1").await else {
        return NOT_MADE;
    };
    let described = done(vault.store.secret(&name).await);
    let (Some(made), Some(changed)) = (described.created_at, described.updated_at) else {
        return Outcome::NotOffered("the vendor does not tell when");
    };
    assert!(made <= changed, "{described:?}");
    Outcome::Passed
}

pub(super) async fn s_018_concurrent_looks_do_not_mix(fixture: &dyn SecretStoreFixture) -> Outcome {
    let vault = Vault::new(fixture);
    let mut names = Vec::new();
    for _ in 0..3 {
        let Some(name) = vault.given("concurrent", "1").await else {
            return NOT_MADE;
        };
        names.push(name);
    }
    let asked: Vec<_> = names.iter().cycle().take(12).collect();
    let answers = join_all(asked.iter().map(|name| vault.store.secret(name))).await;
    for (name, answer) in asked.into_iter().zip(answers) {
        assert_eq!(done(answer).name, *name);
    }
    Outcome::Passed
}
