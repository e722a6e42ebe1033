//! `AppSecrets`.

use std::collections::BTreeMap;

use ops_core::hosting::{EnvChange, EnvKey, Hosting, PlainEnv};
use ops_core::id::AppId;
use ops_core::{ErrorKind, Secret};

use super::env::name;
use super::{HostingFixture, release};
use crate::support::{done, missing, refused};

fn secret(key: &str, value: &str) -> BTreeMap<EnvKey, Secret> {
    BTreeMap::from([(name(key), Secret::from(value))])
}

/// The names of an app's secrets.
async fn names(hosting: &dyn Hosting, app: &AppId) -> Vec<EnvKey> {
    let secrets = hosting.as_app_secrets().unwrap();
    let listed = done(secrets.list_secrets(app).await);
    listed.into_iter().map(|secret| secret.key).collect()
}

pub(super) async fn h_090_secrets_are_listed_by_name(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let secrets = hosting.as_app_secrets().unwrap();
    let mut both = secret("ZULU_TOKEN", "1");
    both.extend(secret("ALPHA_TOKEN", "2"));
    let change = done(secrets.set_secrets(&app, both).await);
    assert_ne!(change, EnvChange::Unchanged);
    let expected = [name("ALPHA_TOKEN"), name("ZULU_TOKEN")];
    assert_eq!(names(&*hosting, &app).await, expected);
}

pub(super) async fn h_091_a_value_never_comes_back_in_debug(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let secrets = hosting.as_app_secrets().unwrap();
    let canary = fixture.unique("canary");
    let change = done(
        secrets
            .set_secrets(&app, secret("API_TOKEN", &canary))
            .await,
    );
    let listed = done(secrets.list_secrets(&app).await);
    let described = done(hosting.app(&app).await);
    let text = format!("{hosting:?} {change:?} {listed:?} {described:?}");
    assert!(!text.contains(&canary), "a value of a secret is printed");
}

pub(super) async fn h_092_a_secret_is_not_among_the_variables(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let secrets = hosting.as_app_secrets().unwrap();
    // A name that does not give it away: it is a secret because it was set as one.
    done(
        secrets
            .set_secrets(&app, secret("GREETING", "hidden"))
            .await,
    );
    let env = hosting.as_env_vars().unwrap();
    assert_eq!(done(env.env(&app).await).get("GREETING"), None);
}

pub(super) async fn h_093_setting_a_secret_leaves_the_others(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let secrets = hosting.as_app_secrets().unwrap();
    done(secrets.set_secrets(&app, secret("FIRST_TOKEN", "1")).await);
    done(secrets.set_secrets(&app, secret("SECOND_TOKEN", "2")).await);
    assert!(names(&*hosting, &app).await.contains(&name("FIRST_TOKEN")));
}

pub(super) async fn h_094_a_secret_never_replaces_a_variable(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    let set = PlainEnv::new([("GREETING", "hello")]).unwrap();
    done(env.set_env(&app, set).await);
    let secrets = hosting.as_app_secrets().unwrap();
    refused(
        secrets
            .set_secrets(&app, secret("GREETING", "hidden"))
            .await,
        &[ErrorKind::Conflict],
    );
}

pub(super) async fn h_095_a_secret_is_removed(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let secrets = hosting.as_app_secrets().unwrap();
    done(secrets.set_secrets(&app, secret("API_TOKEN", "1")).await);
    done(secrets.remove_secrets(&app, vec![name("API_TOKEN")]).await);
    assert!(!names(&*hosting, &app).await.contains(&name("API_TOKEN")));
}

pub(super) async fn h_096_removing_a_missing_secret_is_unchanged(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let secrets = hosting.as_app_secrets().unwrap();
    let change = done(secrets.remove_secrets(&app, vec![name("NEVER_SET")]).await);
    assert_eq!(change, EnvChange::Unchanged);
}

pub(super) async fn h_097_secrets_survive_a_deployment(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let secrets = hosting.as_app_secrets().unwrap();
    done(secrets.set_secrets(&app, secret("API_TOKEN", "1")).await);
    release(fixture, &app, 1).await;
    assert!(names(&*hosting, &app).await.contains(&name("API_TOKEN")));
}

pub(super) async fn h_098_secrets_of_a_missing_app_are_not_found(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let secrets = hosting.as_app_secrets().unwrap();
    missing(secrets.list_secrets(&fixture.missing_app()).await);
}

pub(super) async fn h_099_setting_secrets_of_a_missing_app_is_not_found(
    fixture: &dyn HostingFixture,
) {
    let hosting = fixture.hosting();
    let secrets = hosting.as_app_secrets().unwrap();
    let set = secret("API_TOKEN", "1");
    missing(secrets.set_secrets(&fixture.missing_app(), set).await);
}
