//! Setting.

use futures_util::future::join_all;
use ops_core::id::SecretName;
use ops_core::secret_store::{SecretMeta, SetSecretRequest};
use ops_core::{ErrorKind, Result, SecretStoreExt};

use super::{SecretStoreFixture, UNSEEN, Vault, longer};
use crate::case::Outcome;
use crate::support::{AWKWARD, drain, give_up, keeps, printed, refused, unsupported};

impl Vault<'_> {
    async fn try_set(&self, name: &SecretName, value: &str) -> Result<SecretMeta> {
        let write = self.store.as_write_secrets().unwrap();
        write.set_secret(name, SetSecretRequest::new(value)).await
    }

    /// The value is this one, where it can be seen.
    async fn has(&self, name: &SecretName, value: &str) -> Outcome {
        let Some(seen) = self.value(name).await else {
            return UNSEEN;
        };
        assert_eq!(seen, value);
        Outcome::Passed
    }

    /// A value that is longer than the limits allow.
    fn too_long(&self, what: &str) -> Option<String> {
        let max = usize::try_from(self.store.limits().max_value_bytes?).ok()?;
        Some(what.repeat(max / what.len() + 1))
    }
}

const NO_LIMIT: Outcome = Outcome::NotOffered("the limits do not tell");

pub(super) async fn s_040_a_secret_is_set_or_that_is_unsupported_by_name(
    fixture: &dyn SecretStoreFixture,
) {
    let vault = Vault::new(fixture);
    if vault.store.as_write_secrets().is_none() {
        let required = vault.store.require_write_secrets();
        return unsupported(required, &vault.store.provider(), "setting secrets");
    }
    let name = fixture.name("first");
    vault.set(&name, "1").await;
    assert!(vault.is_there(&name).await, "set and not there");
}

pub(super) async fn s_041_setting_again_replaces_the_value(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let name = fixture.name("replaced");
    for value in ["old", "a longer one", "new"] {
        vault.set(&name, value).await;
    }
    vault.has(&name, "new").await
}

pub(super) async fn s_042_setting_leaves_the_others(fixture: &dyn SecretStoreFixture) -> Outcome {
    let vault = Vault::new(fixture);
    let [kept, other] = ["kept", "other"].map(|what| fixture.name(what));
    vault.set(&kept, "kept").await;
    for value in ["1", "2"] {
        vault.set(&other, value).await;
    }
    vault.has(&kept, "kept").await
}

pub(super) async fn s_043_a_secret_that_is_set_again_is_listed_once(
    fixture: &dyn SecretStoreFixture,
) {
    let vault = Vault::new(fixture);
    let name = fixture.name("again");
    for value in ["1", "2"] {
        vault.set(&name, value).await;
    }
    assert_eq!(vault.listed(&name).await, 1);
}

pub(super) async fn s_044_setting_the_same_again_succeeds(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = fixture.name("same");
    for value in ["1", "1"] {
        vault.set(&name, value).await;
    }
}

pub(super) async fn s_045_an_empty_value_is_refused(fixture: &dyn SecretStoreFixture) {
    let set = Vault::new(fixture)
        .try_set(&fixture.name("empty"), "")
        .await;
    refused(set, &[ErrorKind::InvalidInput]);
}

pub(super) async fn s_046_a_value_over_the_limit_is_refused(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let Some(long) = vault.too_long("x") else {
        return NO_LIMIT;
    };
    let set = vault.try_set(&fixture.name("long"), &long).await;
    refused(set, &[ErrorKind::InvalidInput]);
    Outcome::Passed
}

/// Values that no store keeps, or not this one.
fn unfit(vault: &Vault<'_>) -> Vec<String> {
    let empty = Some(String::new());
    empty.into_iter().chain(vault.too_long("x")).collect()
}

pub(super) async fn s_047_a_refused_value_replaces_nothing(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let name = fixture.name("stays");
    vault.set(&name, "old").await;
    for value in unfit(&vault) {
        if vault.try_set(&name, &value).await.is_ok() {
            return Outcome::NotOffered("the value was not refused");
        }
    }
    vault.has(&name, "old").await
}

pub(super) async fn s_048_a_refused_value_makes_no_secret(fixture: &dyn SecretStoreFixture) {
    let vault = Vault::new(fixture);
    let name = fixture.name("never");
    for value in unfit(&vault) {
        if vault.try_set(&name, &value).await.is_err() {
            assert!(!vault.is_there(&name).await, "refused and there");
        }
    }
}

pub(super) async fn s_049_a_name_over_the_limit_is_refused(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let limit = vault.store.limits().max_name_bytes;
    let Some(limit) = limit.and_then(|max| usize::try_from(max).ok()) else {
        return NO_LIMIT;
    };
    let Ok(name) = SecretName::new("N".repeat(limit + 1)) else {
        return Outcome::NotOffered("no name is that long");
    };
    refused(vault.try_set(&name, "1").await, &[ErrorKind::InvalidInput]);
    Outcome::Passed
}

/// Sets a name, which must be refused or come back as it is.
async fn kept_or_refused(vault: &Vault<'_>, name: &SecretName) -> bool {
    match vault.try_set(name, "1").await {
        Ok(_) => {
            let listed = drain(vault.store.list_secrets()).await;
            let mut names = listed.iter().map(|meta| &meta.name);
            assert!(names.any(|listed| listed == name), "{name} is not listed");
            assert!(vault.is_there(name).await, "{name} is not there");
            true
        }
        refusal => {
            refused(refusal, &[ErrorKind::InvalidInput]);
            false
        }
    }
}

pub(super) async fn s_050_an_awkward_name_is_kept_as_it_is_or_refused(
    fixture: &dyn SecretStoreFixture,
) {
    let vault = Vault::new(fixture);
    let name = fixture.name("awkward");
    for tail in AWKWARD.into_iter().chain([".a", "-a", "__", "=", "*"]) {
        kept_or_refused(&vault, &longer(&name, tail)).await;
    }
}

pub(super) async fn s_051_names_that_differ_in_case_do_not_mix(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let name = fixture.name("case");
    let other = match name.as_str().to_ascii_lowercase() {
        lower if lower == name.as_str() => lower.to_ascii_uppercase(),
        lower => lower,
    };
    let other = SecretName::new(other).unwrap();
    vault.set(&name, "as the fixture writes it").await;
    if !kept_or_refused(&vault, &other).await {
        return Outcome::Passed;
    }
    vault.has(&name, "as the fixture writes it").await
}

pub(super) async fn s_052_a_refusal_does_not_repeat_the_value(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let canary = fixture.unique("canary");
    let Some(long) = vault.too_long(&canary) else {
        return NO_LIMIT;
    };
    if let Err(err) = vault.try_set(&fixture.name("long"), &long).await {
        keeps(&canary, &printed(&err));
    }
    Outcome::Passed
}

pub(super) async fn s_053_concurrent_sets_do_not_mix(fixture: &dyn SecretStoreFixture) -> Outcome {
    let vault = Vault::new(fixture);
    let names: Vec<_> = (0..6).map(|_| fixture.name("concurrent")).collect();
    join_all(names.iter().map(|name| vault.set(name, name.as_str()))).await;
    for name in &names {
        let outcome = vault.has(name, name.as_str()).await;
        if outcome != Outcome::Passed {
            return outcome;
        }
    }
    Outcome::Passed
}

pub(super) async fn s_054_concurrent_sets_of_one_secret_leave_one_of_the_values(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let name = fixture.name("contended");
    let values = ["one", "another", "a third", "a fourth"];
    // Some may be refused because others are under way.
    let sets = join_all(values.iter().map(|value| vault.try_set(&name, value))).await;
    assert!(sets.iter().any(Result::is_ok), "nobody has won");
    let Some(seen) = vault.value(&name).await else {
        return UNSEEN;
    };
    assert!(values.contains(&seen.as_str()), "{seen}");
    Outcome::Passed
}

pub(super) async fn s_055_a_set_that_is_given_up_leaves_a_whole_value(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let vault = Vault::new(fixture);
    let name = fixture.name("dropped");
    vault.set(&name, "old").await;
    for _ in 0..20 {
        give_up(vault.try_set(&name, "new"));
    }
    let seen = vault.value(&name).await;
    let is_whole = |seen: &String| seen == "old" || seen == "new";
    assert!(seen.as_ref().is_none_or(is_whole), "{seen:?}");
    vault.set(&name, "after").await;
    Outcome::Passed
}

pub(super) async fn s_056_setting_answers_the_secret(fixture: &dyn SecretStoreFixture) {
    let name = fixture.name("answered");
    assert_eq!(Vault::new(fixture).set(&name, "1").await.name, name);
}
