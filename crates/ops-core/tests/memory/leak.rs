//! What the providers are told in confidence is seen nowhere.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_conformance::leak::assert_no_leak;
use ops_core::hosting::{AppSecrets, EnvVars, Hosting, PlainEnv};
use ops_core::id::AppId;
use ops_core::memory::{MemoryDatabase, MemoryHosting, MemoryMonitor, MemoryObjectStore};
use ops_core::monitor::{HttpTarget, Monitor, MonitorSpec, MonitorTarget, UptimeMonitors};
use ops_core::object_store::{ObjectStore, Presign};
use ops_core::{Database, Secret};

use crate::support::{env_key, key};

#[test]
fn a_hosting_account_keeps_the_secrets_of_its_apps() {
    let canary = "canary-hosting-5f3a9c0e71d2";
    assert_no_leak(canary, |texts| async move {
        let hosting = MemoryHosting::new();
        let app = hosting.seed_app("shop").unwrap();
        let secrets = || BTreeMap::from([(env_key("GREETING"), Secret::from(canary))]);
        let set = hosting.set_secrets(&app, secrets()).await;
        let listed = hosting.list_secrets(&app).await;
        let described = hosting.app(&app).await;
        texts.debug("the answers", &(&hosting, set, listed, described));
        let plain = PlainEnv::new([("GREETING", "hello")]).unwrap();
        texts.error(
            "a conflict",
            &hosting.set_env(&app, plain).await.unwrap_err(),
        );
        let nobody = AppId::new("nobody").unwrap();
        let missing = hosting.set_secrets(&nobody, secrets()).await;
        texts.error("a missing app", &missing.unwrap_err());
    });
}

#[test]
fn a_database_keeps_its_password() {
    let database = MemoryDatabase::new();
    let canary = format!("password-of-{}", database.id());
    assert_no_leak(&canary, |texts| async move {
        let info = database.connect_info().await.unwrap();
        texts.text("an address", &info.to_string());
        let described = database.describe().await;
        texts.debug("the answers", &(&database, info, described));
    });
}

#[test]
fn a_bucket_keeps_its_signed_urls() {
    let canary = "signature=00000001";
    assert_no_leak(canary, |texts| async move {
        let store = MemoryObjectStore::new();
        let signed = store
            .presign_get(&key("a"), Duration::from_secs(60))
            .await
            .unwrap();
        assert!(signed.url.expose().ends_with(canary));
        texts.debug("the answers", &(&store, &signed));
        texts.error(
            "a missing object",
            &store.head(&key("a")).await.unwrap_err(),
        );
        texts.error(
            "a refused use",
            &store.presigned_get(&signed.url).unwrap_err(),
        );
    });
}

#[test]
fn a_monitor_keeps_headers_and_queries() {
    let canary = "canary-monitor-5f3a9c0e71d2";
    assert_no_leak(canary, |texts| async move {
        let monitor = MemoryMonitor::new();
        let headers = BTreeMap::from([("x-probe".to_owned(), Secret::from(canary))]);
        let url = format!("https://shop.example/health?token={canary}");
        let target = MonitorTarget::Http(HttpTarget::new(url).with_headers(headers.clone()));
        let made = monitor
            .ensure_monitors(vec![MonitorSpec::new("shop", target)])
            .await;
        let described = monitor.describe().await;
        texts.debug("the answers", &(&monitor, made, described));
        let bad = MonitorTarget::Http(HttpTarget::new("gopher://x").with_headers(headers));
        let refused = monitor
            .ensure_monitors(vec![MonitorSpec::new("bad", bad)])
            .await
            .unwrap();
        texts.error("a refused check", refused[0].as_ref().unwrap_err());
    });
}
