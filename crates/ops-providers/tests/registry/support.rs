//! A registry whose secrets lead to canaries, and providers of any trait.

use std::ffi::OsString;

use ops_core::{ProviderId, Result};
use ops_providers::registry::{Registry, Secrets, Settings};
use serde_json::Value;

/// What every variable that is set holds.
pub(crate) const CANARY: &str = "canary-4f1c9a7e2b";

/// `SECRET` holds a token, `URL` the URL of a database, `EMPTY` nothing.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    match name {
        "SECRET" => Some(CANARY.into()),
        "URL" => Some(format!("postgres://app:{CANARY}@db.internal/shop").into()),
        "EMPTY" => Some(OsString::new()),
        _ => None,
    }
}

pub(crate) fn registry() -> Registry {
    Registry::new(Secrets::from_variables(variable))
}

pub(crate) fn settings(json: Value) -> Settings {
    serde_json::from_value(json).unwrap()
}

/// Opens a provider of a trait, and asks for its name.
pub(crate) async fn open(trait_name: &str, name: &str, json: Value) -> Result<ProviderId> {
    let (registry, settings) = (registry(), settings(json));
    macro_rules! by_trait {
        ($($trait_name:literal => $open:ident,)+) => {
            match trait_name {
                $($trait_name => registry.$open(name, &settings).await.map(|it| it.provider()),)+
                other => unreachable!("{other} is no trait"),
            }
        };
    }
    by_trait! {
        "Cdn" => open_cdn,
        "Database" => open_database,
        "Dns" => open_dns,
        "Hosting" => open_hosting,
        "Monitor" => open_monitor,
        "Notifier" => open_notifier,
        "ObjectStore" => open_object_store,
        "Pipeline" => open_pipeline,
        "SecretStore" => open_secret_store,
    }
}
