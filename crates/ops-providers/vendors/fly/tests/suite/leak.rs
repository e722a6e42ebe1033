//! Neither the token nor a secret of an app nor the nonce of a lease is seen anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_conformance::leak::{Texts, assert_no_leak};
use ops_core::Secret;
use ops_core::hosting::{
    AppSecrets, DeployRequest, DeploySource, EnvKey, EnvVars, Hosting, PlainEnv, Restart, Scale,
};
use ops_core::id::AppId;
use ops_fly::Fly;
use ops_http::RetryPolicy;
use ops_http::test_util::{MockServer, respond};
use serde_json::json;

use crate::fake::{Fake, TOKEN};

/// A secret of an app.
const SECRET: &str = "canarySecret4b1e77";

/// The nonce of a lease.
const NONCE: &str = "canaryNonce0c9d21";

#[test]
fn nothing_that_is_secret_is_seen() {
    for canary in [TOKEN, SECRET, NONCE] {
        assert_no_leak(canary, |texts| async move {
            what_works(&texts).await;
            what_fails(&texts).await;
        });
    }
}

async fn what_works(texts: &Texts) {
    let fake = Fake::start();
    let builder = fake.builder();
    texts.debug("the builder", &builder);
    let fly = builder.build().unwrap();
    let app = fake.app_with("shop:1").await;
    // Somebody else has set it as a plain variable.
    fake.state().app("shop").machines[0].config["env"] = json!({ "API_TOKEN": SECRET });
    let secrets = BTreeMap::from([(EnvKey::new("DB_PASSWORD").unwrap(), Secret::from(SECRET))]);
    texts.debug("a change", &fly.set_secrets(&app, secrets).await.unwrap());
    texts.debug("the names", &fly.list_secrets(&app).await.unwrap());
    texts.debug("the variables", &fly.env(&app).await.unwrap());
    let env = PlainEnv::new([("MODE", "fast")]).unwrap();
    texts.debug("a change", &fly.set_env(&app, env).await.unwrap());
    let request = DeployRequest::new(DeploySource::image("shop:2"));
    texts.debug("a deployment", &fly.deploy(&app, request).await.unwrap());
    fly.restart(&app).await.unwrap();
    texts.debug("the app", &fly.app(&app).await.unwrap());
    texts.debug("the scale", &fly.scale_state(&app).await.unwrap());
    texts.debug("the provider", &fly);
}

/// Answers that quote what they were given, or hold a secret where it cannot be read.
async fn what_fails(texts: &Texts) {
    let app = AppId::new("shop").unwrap();
    let replies = [
        respond(401).json(&json!({ "error": format!("bad token {TOKEN}") })),
        respond(200).json(&json!([{ "id": 7, "config": { "env": { "X": SECRET } } }])),
        respond(200).json(&json!([{ "id": "1", "nonce": { "is": NONCE } }])),
        respond(200).json(&json!([SECRET, NONCE])),
        respond(200).body("application/json", format!("[{{\"nonce\": \"{NONCE}")),
        respond(500).html(),
        respond(200).reset(),
    ];
    for reply in replies {
        let server = MockServer::start([reply]);
        let fly = builder(&server).build().unwrap();
        texts.error("the scale", &fly.scale_state(&app).await.unwrap_err());
    }
    let server = MockServer::start([
        respond(200).json(&json!([{ "id": "1", "state": "started", "config": {} }])),
        respond(201).json(&json!({ "nonce": NONCE })),
        respond(422).json(&json!({ "error": "no" })),
        respond(200),
    ]);
    let fly = builder(&server).build().unwrap();
    texts.error("a restart", &fly.restart(&app).await.unwrap_err());
    given_back(&server).await;

    let secret = json!({ "name": "OPS_STAGED_ENV", "value": SECRET });
    let server = MockServer::start([respond(200).json(&json!([])), respond(200).json(&secret)]);
    let fly = builder(&server).build().unwrap();
    texts.error("staged variables", &fly.env(&app).await.unwrap_err());

    let errors = json!([{ "message": "no", "extensions": { "code": "X" } }]);
    let server = MockServer::start([respond(200).json(&json!({ "errors": errors }))]);
    let fly = builder(&server).build().unwrap();
    let listing = fly.list_deployments(&app).try_collect::<Vec<_>>();
    texts.error("the releases", &listing.await.unwrap_err());

    let bad = Fly::builder(format!("{TOKEN}\n")).base_url(format!("https://{SECRET}:x"));
    texts.debug("a builder", &bad);
    texts.error("a bad builder", &bad.build().unwrap_err());
}

fn builder(server: &MockServer) -> ops_fly::FlyBuilder {
    Fly::builder(TOKEN)
        .base_url(server.base_url())
        .platform_url(server.base_url())
        .allow_http(true)
        .retry(RetryPolicy::never())
}

/// A lease is given back behind the back of whoever was refused.
async fn given_back(server: &MockServer) {
    let is_back = async {
        while server.requests().len() < 4 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), is_back).await;
    assert!(waited.is_ok(), "the lease was not given back");
}
