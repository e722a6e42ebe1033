//! Requests as they arrive, and answers that are none.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _};
use ops_core::{ErrorKind, Retry};
use ops_http::test_util::{MockServer, respond};
use ops_http::{ApiClient, ApiRequest, Limits};
use ops_testkit::{RefusedPort, wait_until};

use crate::support::{GET, POST, builder, call, client};

#[tokio::test]
async fn a_base_url_may_end_in_a_slash_and_have_a_path() {
    let server = MockServer::start([respond(200).json(&"a"), respond(200).json(&"b")]);
    for base in [
        format!("{}/v1", server.base_url()),
        format!("{}/v1/", server.base_url()),
    ] {
        builder(base)
            .build()
            .unwrap()
            .execute(call(&GET))
            .await
            .unwrap();
    }
    server.assert_requests(["GET /v1/things/1", "GET /v1/things/1"]);
}

#[tokio::test]
async fn awkward_ids_arrive_encoded_once() {
    let server = MockServer::start([respond(200).json(&"done")]);
    let id = "a/b?c#d%e+f gé";
    let get = ApiRequest::new(&GET)
        .segment("id", id)
        .query("q", id)
        .json::<String>();
    client(&server).execute(get).await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.segments(), ["things", id]);
    assert_eq!(request.query("q").as_deref(), Some(id));
    server.assert_requests([
        "GET /things/a%2Fb%3Fc%23d%25e%2Bf%20g%C3%A9?q=a%2Fb%3Fc%23d%25e%2Bf%20g%C3%A9",
    ]);
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    for base in [
        "nowhere",
        "ftp://host",
        "http://host",
        "https://u:p@host",
        "https://host/?q=1",
        "https://host/#f",
    ] {
        let err = ApiClient::builder("acme", base).build().unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{base}");
        assert!(!format!("{err:?}").contains("u:p"), "{err:?}");
    }
    let bad = builder("http://host").auth(ops_http::Auth::bearer("two\nlines"));
    let err = bad.attempt_timeout(Duration::ZERO).build().unwrap_err();
    assert_eq!(
        err.message(),
        "the token holds a character that no token has; the time of an attempt is zero"
    );
}

#[tokio::test]
async fn answers_that_are_none_are_told_apart() {
    for (reply, message) in [
        (
            respond(200).html(),
            "the answer is a page in HTML, not JSON: check the base URL",
        ),
        (respond(200), "the answer has no body"),
        (
            respond(200).body("application/json", "\"a"),
            "the answer is not JSON",
        ),
        (
            respond(200).json(&17),
            "the answer is not what it should be",
        ),
        (
            respond(200).body("application/json", vec![b' '; 9 * 1024 * 1024]),
            "the answer is larger than 8388608 bytes",
        ),
    ] {
        for (operation, retry) in [(&GET, Retry::Never), (&POST, Retry::OutcomeUnknown)] {
            let server = MockServer::start([reply.clone()]);
            let err = client(&server).execute(call(operation)).await.unwrap_err();
            assert_eq!((err.kind(), err.message()), (ErrorKind::Decode, message));
            assert_eq!(err.retry(), retry, "{message}");
        }
    }
}

#[tokio::test]
async fn a_page_in_html_is_not_quoted_in_an_error() {
    let server = MockServer::start([respond(400).html()]);
    let err = client(&server).execute(call(&GET)).await.unwrap_err();
    assert_eq!(err.message(), "the server answered 400");
}

#[tokio::test]
async fn a_thing_that_may_be_absent_is_an_option() {
    let server = MockServer::start([
        respond(404),
        respond(200).json(&"there"),
        respond(410),
        respond(204),
        respond(403),
    ]);
    let client = client(&server);
    let get = || ApiRequest::new(&GET).segment("id", "1");
    assert_eq!(
        client
            .execute(get().json_or_absent::<String>())
            .await
            .unwrap(),
        None
    );
    let there = client
        .execute(get().json_or_absent::<String>())
        .await
        .unwrap();
    assert_eq!(there.as_deref(), Some("there"));
    assert!(!client.execute(get().existed()).await.unwrap());
    assert!(client.execute(get().existed()).await.unwrap());
    let err = client.execute(get().existed()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_even_for_a_create() {
    let port = RefusedPort::take();
    let client = builder(format!("http://127.0.0.1:{}", port.port()))
        .build()
        .unwrap();
    let err = client.execute(call(&POST)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert_eq!(
        (err.attempts(), err.message()),
        (3, "the server cannot be reached")
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = MockServer::start([]);
    let to = format!("{}/steal", elsewhere.base_url());
    let server = MockServer::start([respond(307).header("location", to)]);
    let err = client(&server).execute(call(&GET)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_body_comes_as_a_stream_and_holds_its_place_until_it_ends() {
    let server = MockServer::serving(|_| respond(200).body("text/plain", "abcdef"));
    let one = Limits::default().with_concurrency(1.try_into().unwrap());
    let client = builder(server.base_url()).limits(one).build().unwrap();
    let body = client.stream(call(&GET)).await.unwrap();
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.stream(call(&GET)).await.map(drop) })
    };
    tokio::task::yield_now().await;
    assert_eq!(server.requests().len(), 1, "the only place is taken");
    let text: Vec<u8> = body
        .try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
        .unwrap();
    assert_eq!(text, b"abcdef");
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error() {
    let server = MockServer::start([respond(200).body("text/plain", "abcdef").truncated()]);
    let mut body = client(&server).stream(call(&GET)).await.unwrap();
    let mut read = Vec::new();
    let err = loop {
        match body.next().await.unwrap() {
            Ok(chunk) => read.extend_from_slice(&chunk),
            Err(err) => break err,
        }
    };
    assert_eq!(read, b"abc");
    assert_eq!(err.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_back_its_place() {
    let server = MockServer::serving(|request| match request.path() {
        "/things/slow" => respond(200).json(&"late").delay(Duration::from_secs(60)),
        _ => respond(200).json(&"done"),
    });
    let one = Limits::default().with_concurrency(1.try_into().unwrap());
    let client = builder(server.base_url()).limits(one).build().unwrap();
    let slow = ApiRequest::new(&GET).segment("id", "slow").json::<String>();
    let slow = {
        let client = client.clone();
        tokio::spawn(async move { client.execute(slow).await })
    };
    wait_until(
        "the slow call arrives",
        Duration::from_secs(10),
        async || !server.requests().is_empty(),
    )
    .await;
    slow.abort();
    let begun = Instant::now();
    client.execute(call(&GET)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(50));
}

#[tokio::test]
async fn concurrent_calls_do_not_mix() {
    let server = MockServer::serving(|request| respond(200).json(&request.segments()[1]));
    let client = client(&server);
    let calls = (0..100).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            let get = ApiRequest::new(&GET)
                .segment("id", number.to_string())
                .json::<String>();
            (number, client.execute(get).await.unwrap())
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let (number, answer) = call.await.unwrap();
        assert_eq!(answer, number.to_string());
    }
}
