//! Settings that are wrong, told together.

use std::sync::Arc;
use std::time::Duration;

use ops_core::memory::{MemoryDatabase, MemorySecretStore};
use ops_core::{Database, Error, ErrorKind, Result, Retry};
use ops_providers::registry::{Fields, Registry, Secrets, Settings};
use serde_json::json;

use crate::support::{CANARY, settings, variable};

/// A provider of the test with a setting of each kind.
async fn acme(mut fields: Fields<'_>) -> Result<Arc<dyn Database>> {
    let token = fields.secret("token", "stand-in").await;
    let other = fields.secret_opt("other_token").await;
    let project = fields.required("project", "stand-in".to_owned());
    let port: Option<u16> = fields.optional("port");
    let timeout: Option<Duration> = fields.optional("timeout");
    let size = fields.choice("size", &[("small", 1), ("large", 2)]);
    let mut problems = Vec::new();
    if project.len() > 10 {
        problems.push("the project's name is too long");
    }
    if let (Some(2), Some(port)) = (size, port) {
        assert_eq!((port, timeout), (5432, Some(Duration::from_secs(30))));
        assert_eq!(token.expose(), CANARY);
        assert_eq!(other.unwrap().expose(), CANARY);
    }
    let built = if problems.is_empty() {
        Ok(MemoryDatabase::new())
    } else {
        Err(Error::invalid_config(problems).with_provider("acme"))
    };
    Ok(Arc::new(fields.finish(built)?))
}

async fn open(settings: &Settings) -> Result<()> {
    let store = Arc::new(MemorySecretStore::new());
    let secrets = Secrets::from_variables(variable).with_store("empty", store);
    let registry = Registry::new(secrets);
    let registry = registry.with_database("acme", |fields| Box::pin(acme(fields)));
    registry.open_database("acme", settings).await.map(drop)
}

#[tokio::test]
async fn settings_are_read_from_json_and_toml() {
    let from_json = settings(json!({
        "token": { "env": "SECRET" },
        "other_token": { "env": "SECRET" },
        "project": "shop",
        "port": 5432,
        "timeout": "30s",
        "size": "large",
    }));
    open(&from_json).await.unwrap();
    let from_toml: Settings = toml::from_str(
        r#"
        token = { env = "SECRET" }
        project = "shop"
        port = 5432
        timeout = "30s"
        size = "large"
        [other_token]
        env = "SECRET"
        "#,
    )
    .unwrap();
    open(&from_toml).await.unwrap();
}

#[tokio::test]
async fn all_problems_are_told_at_once() {
    let wrong = settings(json!({
        "token": CANARY,
        "other_token": { "env": "UNSET" },
        "project": "a name that is too long",
        "port": 65536,
        "timeout": 30,
        "size": "huge",
        "colour": "red",
        "shape": { "round": true },
    }));
    let err = open(&wrong).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    let there_are = "is no setting; there are other_token, port, project, size, timeout, token";
    let expected = [
        "acme: token: a secret is not written here itself, but where it is found: \
         { env = \"NAME\" }, { file = \"PATH\" } or { store = \"NAME\", key = \"KEY\" }",
        "other_token: the variable UNSET is not set",
        "port is not a whole number from 0 to 65535",
        "timeout is not a span of time such as \"30s\"",
        "size is none of small, large",
        &format!("\"colour\" {there_are}"),
        &format!("\"shape\" {there_are}"),
        "the project's name is too long",
    ];
    assert_eq!(err.to_string(), expected.join("; "));
    assert!(!format!("{err:?}{wrong:?}").contains(CANARY));
}

#[tokio::test]
async fn what_is_missing_is_told_with_the_rest_and_stands_for_nothing() {
    let err = open(&settings(json!({ "port": "x" }))).await.unwrap_err();
    assert_eq!(
        err.to_string(),
        "acme: token is missing; project is missing; port is not a whole number from 0 to 65535"
    );
    assert!(!format!("{err:?}").contains("stand-in"));
}

#[tokio::test]
async fn the_builders_problem_alone_is_the_builders_error() {
    let long = json!({ "token": { "env": "SECRET" }, "project": "a name that is too long" });
    let err = open(&settings(long)).await.unwrap_err();
    assert_eq!(err.to_string(), "acme: the project's name is too long");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_no_mistake_in_the_settings() {
    let reference = json!({ "store": "empty", "key": "TOKEN" });
    let err = open(&settings(json!({ "token": reference, "project": "shop" })))
        .await
        .unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::NotFound, Retry::Never)
    );
    assert!(
        err.message()
            .starts_with("token: TOKEN of the secret store empty")
    );
    let err = open(&settings(json!({ "token": reference })))
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.message().ends_with("; project is missing"), "{err}");
}

#[tokio::test]
async fn a_setting_that_is_null_is_no_value() {
    let null = json!({ "token": { "env": "SECRET" }, "project": null });
    let err = open(&settings(null)).await.unwrap_err();
    assert_eq!(err.to_string(), "acme: project is not a text");
}
