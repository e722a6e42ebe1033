//! Neither the API key nor the password of a connection is seen anywhere.

use std::time::Duration;

use futures_util::TryStreamExt;
use ops_conformance::leak::{Texts, assert_no_leak};
use ops_core::database::{
    Branching, CreateDatabaseRequest, Database, Engine, Provision, TlsMode, TlsSettings,
};
use ops_http::RetryPolicy;
use ops_http::test_util::{MockServer, respond};
use ops_neon::Neon;
use serde_json::json;

use crate::fake::{Fake, PASSWORD, PROJECT, TOKEN};
use crate::server;

#[test]
fn neither_the_key_nor_the_password_is_seen() {
    for canary in [TOKEN, PASSWORD] {
        assert_no_leak(canary, |texts| async move {
            what_works(&texts).await;
            what_fails(&texts).await;
        });
    }
}

async fn what_works(texts: &Texts) {
    let fake = Fake::start();
    fake.state().server = Some(server::on_demand().await);
    let tls = TlsSettings::new(TlsMode::Disable);
    let builder = fake
        .builder()
        .tls(tls)
        .ping_timeout(Duration::from_secs(60));
    texts.debug("the builder", &builder);
    let neon = builder.build().unwrap();
    let info = neon.connect_info().await.unwrap();
    assert_eq!(info.password.as_ref().unwrap().expose(), PASSWORD);
    texts.text("the address", &info.to_string());
    texts.debug("the address", &info);
    let request = CreateDatabaseRequest::new("blog", Engine::Postgres);
    texts.debug(
        "what was made",
        &neon.create_database(request).await.unwrap(),
    );
    match neon.ping().await {
        Ok(ping) => texts.debug("a ping", &ping),
        Err(err) => texts.error("a ping", &err),
    }
    let branches: Vec<_> = neon.list_branches().try_collect().await.unwrap();
    texts.debug("the branches", &branches);
    texts.debug("the provider", &neon);
}

/// Answers that quote what they were given, or hold the password where it cannot be read.
async fn what_fails(texts: &Texts) {
    let broken = format!("postgresql://casey:{PASSWORD}@[half/neondb");
    let replies = [
        respond(401).json(&json!({ "code": "", "message": format!("bad key {TOKEN}") })),
        respond(200).json(&json!({ "uri": broken })),
        respond(200).json(&json!({ "uri": 7, "password": PASSWORD })),
        respond(200).json(&json!([PASSWORD])),
        respond(200).body("application/json", format!("{{\"uri\": \"{PASSWORD}")),
        respond(500).html(),
        respond(200).reset(),
    ];
    for reply in replies {
        let branches = json!({ "branches": [{ "id": "br-1", "name": "main", "default": true }] });
        let server = MockServer::start([respond(200).json(&branches), reply]);
        let neon = Neon::builder(TOKEN, PROJECT)
            .base_url(server.base_url())
            .allow_http(true)
            .database("neondb")
            .role("casey")
            .retry(RetryPolicy::never())
            .build()
            .unwrap();
        texts.error("an address", &neon.connect_info().await.unwrap_err());
    }
    let bad =
        Neon::builder(format!("{TOKEN}\n"), PROJECT).base_url(format!("https://{PASSWORD}:x"));
    texts.debug("a builder", &bad);
    texts.error("a bad builder", &bad.build().unwrap_err());
    // Nobody listens there.
    let fake = Fake::start();
    fake.state().server = Some(1);
    let tls = TlsSettings::new(TlsMode::Disable);
    let neon = fake.builder().tls(tls).build().unwrap();
    texts.error("a closed port", &neon.ping().await.unwrap_err());
}
