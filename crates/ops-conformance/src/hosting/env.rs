//! `EnvVars`.

use std::collections::BTreeMap;

use ops_core::ErrorKind;
use ops_core::Secret;
use ops_core::hosting::{EnvChange, EnvKey, PlainEnv};

use super::{HostingFixture, release};
use crate::support::{done, missing, refused};

/// The name of a variable.
pub(super) fn name(name: &str) -> EnvKey {
    EnvKey::new(name).unwrap()
}

fn plain<const N: usize>(pairs: [(&str, &str); N]) -> PlainEnv {
    PlainEnv::new(pairs).unwrap()
}

pub(super) async fn h_070_variables_are_read_as_they_were_set(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    let change = done(env.set_env(&app, plain([("MODE", "fast")])).await);
    assert_ne!(change, EnvChange::Unchanged);
    assert_eq!(done(env.env(&app).await).get("MODE"), Some("fast"));
}

pub(super) async fn h_071_values_with_odd_characters_survive(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    let odd = [
        ("SPACES", "two  words "),
        ("QUOTES", "say \"hi\" and 'bye'"),
        ("SIGNS", "a=b&c?d#e%20f+g;h\\i$J`k"),
        ("FOREIGN", "größer 日本 🦀"),
    ];
    done(env.set_env(&app, plain(odd)).await);
    let seen = done(env.env(&app).await);
    for (name, value) in odd {
        assert_eq!(seen.get(name), Some(value));
    }
}

pub(super) async fn h_072_setting_a_variable_leaves_the_others(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    done(env.set_env(&app, plain([("FIRST", "1")])).await);
    done(env.set_env(&app, plain([("SECOND", "2")])).await);
    let seen = done(env.env(&app).await);
    assert_eq!(
        (seen.get("FIRST"), seen.get("SECOND")),
        (Some("1"), Some("2"))
    );
}

pub(super) async fn h_073_setting_the_same_again_is_unchanged(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    done(env.set_env(&app, plain([("MODE", "fast")])).await);
    let again = done(env.set_env(&app, plain([("MODE", "fast")])).await);
    assert_eq!(again, EnvChange::Unchanged);
}

pub(super) async fn h_074_a_variable_is_removed(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    done(
        env.set_env(&app, plain([("KEPT", "1"), ("GONE", "2")]))
            .await,
    );
    let change = done(env.remove_env(&app, vec![name("GONE")]).await);
    assert_ne!(change, EnvChange::Unchanged);
    let seen = done(env.env(&app).await);
    assert_eq!((seen.get("KEPT"), seen.get("GONE")), (Some("1"), None));
}

pub(super) async fn h_075_removing_a_missing_variable_is_unchanged(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    let change = done(env.remove_env(&app, vec![name("NEVER_SET")]).await);
    assert_eq!(change, EnvChange::Unchanged);
}

/// An app with the secret `GREETING`, whose name does not give it away.
async fn with_secret(fixture: &dyn HostingFixture) -> ops_core::id::AppId {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let secrets = hosting.as_app_secrets().unwrap();
    let set = BTreeMap::from([(name("GREETING"), Secret::from("hidden"))]);
    done(secrets.set_secrets(&app, set).await);
    app
}

pub(super) async fn h_076_a_variable_never_replaces_a_secret(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), with_secret(fixture).await);
    let env = hosting.as_env_vars().unwrap();
    refused(
        env.set_env(&app, plain([("GREETING", "hello")])).await,
        &[ErrorKind::Conflict],
    );
}

pub(super) async fn h_077_a_refused_change_sets_no_variable_at_all(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), with_secret(fixture).await);
    let env = hosting.as_env_vars().unwrap();
    let both = plain([("AARDVARK", "1"), ("GREETING", "hello"), ("ZEBRA", "1")]);
    if env.set_env(&app, both).await.is_err() {
        let seen = done(env.env(&app).await);
        assert_eq!((seen.get("AARDVARK"), seen.get("ZEBRA")), (None, None));
    }
}

pub(super) async fn h_078_removing_variables_leaves_secrets_alone(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), with_secret(fixture).await);
    let env = hosting.as_env_vars().unwrap();
    // Whether that is an error is another case.
    drop(env.remove_env(&app, vec![name("GREETING")]).await);
    let secrets = hosting.as_app_secrets().unwrap();
    let left = done(secrets.list_secrets(&app).await);
    assert!(left.iter().any(|secret| secret.key == name("GREETING")));
}

pub(super) async fn h_079_variables_survive_a_deployment(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    done(env.set_env(&app, plain([("KEEP", "me")])).await);
    release(fixture, &app, 1).await;
    assert_eq!(done(env.env(&app).await).get("KEEP"), Some("me"));
}

pub(super) async fn h_080_variables_of_a_missing_app_are_not_found(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let env = hosting.as_env_vars().unwrap();
    missing(env.env(&fixture.missing_app()).await);
}

pub(super) async fn h_081_setting_variables_of_a_missing_app_is_not_found(
    fixture: &dyn HostingFixture,
) {
    let hosting = fixture.hosting();
    let env = hosting.as_env_vars().unwrap();
    missing(
        env.set_env(&fixture.missing_app(), plain([("A", "1")]))
            .await,
    );
}

pub(super) async fn h_082_variables_of_two_apps_do_not_mix(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let (one, other) = (fixture.new_app().await, fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    done(env.set_env(&one, plain([("MODE", "one")])).await);
    assert_eq!(done(env.env(&other).await).get("MODE"), None);
}
