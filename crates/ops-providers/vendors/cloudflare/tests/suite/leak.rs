//! The token is seen nowhere.

use ops_cloudflare::Cloudflare;
use ops_conformance::leak::assert_no_leak;
use ops_core::cdn::{Cdn as _, PurgeRequest};
use ops_core::dns::{Dns as _, DnsName, ZoneTls as _};
use ops_core::id::ZoneId;
use ops_http::RetryPolicy;
use ops_http::test_util::{MockServer, respond};
use serde_json::json;

use crate::fake::TOKEN;

#[test]
fn the_token_is_in_no_log_and_no_error() {
    // A vendor that repeats what it was sent.
    let echo =
        json!({"success": false, "errors": [{"code": 9106, "message": format!("Bearer {TOKEN}")}]});
    let replies = [
        respond(400).json(&echo),
        respond(401).json(&echo),
        respond(403).html(),
        respond(200).json(&json!({"success": true, "result": {"id": "z1", "name": [TOKEN]}})),
        respond(200).body("application/json", "{"),
        respond(503).header("retry-after", "0"),
        respond(200).json(&echo).reset(),
        respond(200).json(&echo).truncated(),
    ];
    assert_no_leak(TOKEN, |texts| async move {
        for reply in replies {
            let server = MockServer::serving(move |_| reply.clone());
            let builder = Cloudflare::builder(TOKEN)
                .base_url(server.base_url())
                .allow_http(true)
                .retry(RetryPolicy::never());
            texts.debug("the builder", &builder);
            let cloudflare = builder.build().unwrap();
            texts.debug("the provider", &cloudflare);
            let zone = ZoneId::new("z1").unwrap();
            texts.error("zone", &cloudflare.zone(&zone).await.unwrap_err());
            texts.error(
                "settings",
                &cloudflare
                    .tls_settings(&zone)
                    .await
                    .err()
                    .unwrap_or_else(|| ops_core::Error::not_found("nothing went wrong")),
            );
            let cdn = cloudflare.cdn(zone, DnsName::new("shop.example").unwrap());
            texts.debug("the cache", &cdn);
            if let Err(err) = cdn.purge(PurgeRequest::everything()).await {
                texts.error("purge", &err);
            }
        }
        let err = Cloudflare::builder(format!("{TOKEN}\n"))
            .build()
            .unwrap_err();
        texts.error("a token with a line break", &err);
    });
}
