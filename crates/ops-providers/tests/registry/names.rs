//! Names that are known, and names that are not.

use std::sync::Arc;

use ops_core::memory::MemoryDatabase;
use ops_core::{Database, ErrorKind};
use ops_providers::registry::Registry;
use serde_json::json;

use crate::support::{open, registry, settings};

#[tokio::test]
async fn a_name_that_is_not_known_lists_those_that_are() {
    for (trait_name, name, message) in [
        (
            "Database",
            "oracle",
            "no Database is called \"oracle\"; there are memory, neon, postgres",
        ),
        // Known, but not as this.
        (
            "Dns",
            "neon",
            "no Dns is called \"neon\"; there are cloudflare, memory",
        ),
        (
            "Pipeline",
            "",
            "no Pipeline is called \"\"; there are memory",
        ),
    ] {
        let err = open(trait_name, name, json!({})).await.unwrap_err();
        assert_eq!(
            (err.kind(), err.message()),
            (ErrorKind::InvalidConfig, message)
        );
    }
}

#[tokio::test]
async fn a_provider_whose_feature_is_off_names_the_feature() {
    let known: Vec<_> = registry().known().collect();
    for it in known {
        let Some(feature) = it.missing_feature else {
            continue;
        };
        let err = open(it.trait_name, &it.name, json!({})).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        let text = format!("turn on the feature {feature} of ops-providers");
        assert!(err.message().ends_with(&text), "{err}");
    }
}

#[test]
fn every_feature_is_one_of_this_crate() {
    let manifest: toml::Table = toml::from_str(include_str!("../../Cargo.toml")).unwrap();
    let features = manifest["features"].as_table().unwrap();
    for it in registry().known() {
        if let Some(feature) = it.missing_feature {
            assert!(features.contains_key(feature), "{it:?}");
        }
    }
}

#[tokio::test]
async fn an_application_adds_providers_and_replaces_ours() {
    let registry = Registry::from_env().with_database("neon", |mut fields| {
        Box::pin(async move {
            let _region: String = fields.required("region", String::new());
            let opened = fields.finish(Ok(MemoryDatabase::new()))?;
            Ok(Arc::new(opened) as Arc<dyn Database>)
        })
    });
    let region = settings(json!({ "region": "here" }));
    let database = registry.open_database("neon", &region).await.unwrap();
    assert_eq!(database.provider().as_str(), "memory");
    let err = registry
        .open_database("neon", &settings(json!({})))
        .await
        .unwrap_err();
    assert_eq!(err.to_string(), "neon: region is missing");
    let known = registry.known().find(|it| it.name == "neon").unwrap();
    assert_eq!(known.missing_feature, None);
}
