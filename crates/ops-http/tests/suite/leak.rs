//! The credential is seen nowhere, whatever fails.

use std::time::Duration;

use ops_conformance::leak::assert_no_leak;
use ops_http::test_util::{MockServer, respond};
use ops_http::{ApiRequest, HttpClient};
use ops_testkit::RefusedPort;
use serde_json::json;

use crate::support::{GET, POST, TOKEN, builder, call, client};

#[test]
fn the_token_is_in_no_trace_no_error_and_no_debug() {
    assert_no_leak(TOKEN, |texts| async move {
        let echo = json!({ "message": format!("the token {TOKEN} is not valid") });
        for reply in [
            respond(401).json(&echo),
            respond(500).json(&echo),
            respond(302).header("location", format!("https://else.example/?token={TOKEN}")),
            respond(200).json(&json!({ "secret": TOKEN })),
            respond(200).html(),
            respond(200).json(&"x").reset(),
            respond(200).json(&"a longer text").truncated(),
            respond(200).json(&"x").delay(Duration::from_secs(5)),
        ] {
            let server = MockServer::start([reply]);
            let timeout = Duration::from_millis(300);
            let client = builder(server.base_url())
                .attempt_timeout(timeout)
                .build()
                .unwrap();
            texts.debug("client", &client);
            let request = call(&POST).query("signature", TOKEN).body_json(&TOKEN);
            texts.debug("request", &request);
            let err = client.execute(request).await.unwrap_err();
            texts.error("error", &err);
        }
    });
}

#[test]
fn neither_is_the_password_of_a_proxy() {
    assert_no_leak(TOKEN, |texts| async move {
        let port = RefusedPort::take();
        let proxy = format!("http://user:{TOKEN}@127.0.0.1:{}", port.port());
        let http = HttpClient::builder().proxy(proxy);
        texts.debug("builder", &http);
        let http = http.build().unwrap();
        texts.debug("http client", &http);
        let client = builder("http://api.example")
            .http_client(http)
            .build()
            .unwrap();
        let err = client.execute(call(&GET)).await.unwrap_err();
        texts.error("error", &err);
    });
}

#[test]
fn nor_a_secret_header_or_a_page_elsewhere() {
    assert_no_leak(TOKEN, |texts| async move {
        let server = MockServer::start([respond(403)]);
        let name = ops_http::header::HeaderName::from_static("x-lease");
        let request = ApiRequest::new(&GET)
            .segment("id", TOKEN)
            .secret_header(name, &TOKEN.into());
        texts.debug("request", &request);
        let err = client(&server).execute(request).await.unwrap_err();
        texts.error("error", &err);
        assert_eq!(server.requests()[0].header("x-lease"), Some(TOKEN));
    });
}
