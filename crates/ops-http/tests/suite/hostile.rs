//! Servers and settings that are wrong on purpose.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::TryStreamExt as _;
use ops_core::{ErrorKind, Result, Retry};
use ops_http::test_util::{MockServer, Reply, respond};
use ops_http::{
    ApiClient, ApiRequest, Auth, HttpClient, Limits, Operation, Token, TokenSource, header,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{GET, POST, PUT, TOKEN, builder, call, client, eager};

#[tokio::test]
async fn no_redirect_is_followed_whatever_its_status_and_the_credential_stays_here() {
    let elsewhere = MockServer::start([]);
    for status in [301, 302, 303, 307, 308] {
        for operation in [&GET, &PUT, &POST] {
            let to = format!("{}/steal?token={TOKEN}", elsewhere.base_url());
            let server = MockServer::start([respond(status).header("location", to)]);
            let err = client(&server).execute(call(operation)).await.unwrap_err();
            assert_eq!(
                (err.kind(), err.status(), err.retry()),
                (ErrorKind::InvalidConfig, Some(status), Retry::Never)
            );
            let text = err.to_string();
            assert!(text.contains("redirects to http://127.0.0.1"), "{text}");
            assert!(!text.contains("steal") && !text.contains(TOKEN), "{text}");
        }
    }
    let server = MockServer::start([respond(302).header("location", elsewhere.base_url())]);
    let err = client(&server).stream(call(&GET)).await.err().unwrap();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    // Nor at the same host: another path may be another's.
    let server = MockServer::start([respond(308).header("location", "/things/2")]);
    let err = client(&server).execute(call(&GET)).await.unwrap_err();
    assert_eq!(
        err.message(),
        "the server redirects, which is not followed: check the base URL"
    );
    assert!(elsewhere.requests().is_empty());
}

/// The message of the first call and how often the server was asked.
async fn failing(operation: &'static Operation, reply: Reply) -> (ErrorKind, String, usize) {
    let server = MockServer::serving(move |_| reply.clone());
    let err = client(&server).execute(call(operation)).await.unwrap_err();
    (
        err.kind(),
        err.message().to_owned(),
        server.requests().len(),
    )
}

#[tokio::test]
async fn a_page_in_html_keeps_the_meaning_of_its_status() {
    for (status, kind, times) in [
        (401, ErrorKind::Unauthenticated, 1),
        (403, ErrorKind::PermissionDenied, 1),
        (404, ErrorKind::NotFound, 1),
        (502, ErrorKind::Unavailable, 3),
        (504, ErrorKind::Timeout, 3),
    ] {
        let expected = (kind, format!("the server answered {status}"), times);
        assert_eq!(failing(&GET, respond(status).html()).await, expected);
        assert_eq!(failing(&GET, respond(status)).await, expected);
    }
}

#[tokio::test]
async fn an_error_body_that_is_too_large_keeps_the_meaning_of_its_status() {
    let body = format!(r#"{{"message": "{}"}}"#, "x".repeat(100 * 1024));
    let reply = respond(404).body("application/json", body);
    for reply in [reply.clone(), reply.chunked()] {
        let (kind, message, times) = failing(&GET, reply).await;
        assert_eq!((kind, times), (ErrorKind::NotFound, 1));
        assert_eq!(message, "the server answered 404");
    }
}

#[tokio::test]
async fn an_answer_without_an_announced_length_is_cut_off_at_the_limit() {
    let text = |size: usize| respond(200).json(&"x".repeat(size - 2)).chunked();
    let server = MockServer::start([text(100_000), text(100_001)]);
    let client = client(&server);
    let read = client.execute(call(&GET).max_body(100_000)).await.unwrap();
    assert_eq!(read.len(), 99_998);
    let err = client
        .execute(call(&GET).max_body(100_000))
        .await
        .unwrap_err();
    assert_eq!(
        (err.kind(), err.message()),
        (ErrorKind::Decode, "the answer is larger than 100000 bytes")
    );
}

/// Answers every request with these bytes and closes.
async fn raw(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = BytesMut::new();
                stream.read_buf(&mut request).await?;
                stream.write_all(answer).await?;
                stream.shutdown().await?;
                // Until the client has read: closing at once would reset what was sent.
                stream.read_buf(&mut request).await
            });
        }
    });
    format!("{address}")
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"",
        b"HTTP/1.1 999999 Nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n\"abc\"",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let address = raw(answer).await;
        let client = builder(format!("http://{address}")).build().unwrap();
        for (operation, attempts, retry) in
            [(&GET, 3, Retry::Never), (&POST, 1, Retry::OutcomeUnknown)]
        {
            let err = client.execute(call(operation)).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Unavailable, "{err:?}");
            assert_eq!((err.attempts(), err.retry()), (attempts, retry), "{err:?}");
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to() {
    let address = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\"done\"").await;
    let client = ApiClient::builder("acme", format!("https://{address}"))
        .retry(eager())
        .build()
        .unwrap();
    let err = client.execute(call(&GET)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert_eq!(
        (err.message(), err.attempts()),
        ("the TLS handshake failed", 1)
    );
}

#[tokio::test]
async fn a_server_that_keeps_silent_in_the_handshake_is_given_up() {
    // The kernel accepts for it; nobody ever answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = HttpClient::builder().connect_timeout(Duration::from_millis(200));
    let url = format!("https://{}", listener.local_addr().unwrap());
    let client = builder(url)
        .http_client(http.build().unwrap())
        .build()
        .unwrap();
    let begun = Instant::now();
    let err = client.execute(call(&POST)).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.message()),
        (
            ErrorKind::Unavailable,
            "the server did not accept a connection in time"
        )
    );
    assert_eq!(
        err.attempts(),
        3,
        "nothing was sent, so a create is repeated"
    );
    assert!(begun.elapsed() < Duration::from_secs(50));
}

#[tokio::test]
async fn headers_that_are_no_text_are_passed_over() {
    let server = MockServer::start([
        respond(404).header("x-request-id", "é"),
        respond(302).header("location", "é"),
        respond(429).header("retry-after", "é"),
        respond(200)
            .header("content-type", "é")
            .with_body(None, "\"done\""),
    ]);
    let client = client(&server);
    let err = client.execute(call(&GET)).await.unwrap_err();
    assert_eq!(err.request_id(), None);
    let err = client.execute(call(&GET)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert_eq!(client.execute(call(&GET)).await.unwrap(), "done");
}

#[test]
fn a_credential_that_cannot_be_sent_is_refused_without_a_word_of_it() {
    let lease = header::HeaderName::from_static("x-lease");
    let strange = "the token holds a character that no token has";
    let user = "the user's name holds a colon or a control character";
    for (auth, message) in [
        (Auth::bearer(""), "the token is empty"),
        (Auth::bearer("hunter2\r\nx-evil: 1"), strange),
        (Auth::bearer("hunter2\0"), strange),
        (Auth::bearer("hünter2"), strange),
        (Auth::bearer(" hunter2"), strange),
        (Auth::bearer("hunter2 "), strange),
        (Auth::header(lease, "", "hunter2\n"), strange),
        (Auth::basic("a:b", "hunter2"), user),
        (Auth::basic("a\n", "hunter2"), user),
    ] {
        let err = builder("http://host").auth(auth).build().unwrap_err();
        assert_eq!(
            (err.kind(), err.message()),
            (ErrorKind::InvalidConfig, message)
        );
        assert!(!format!("{err:?}").contains("nter2"), "{err:?}");
    }
}

#[derive(Debug)]
struct Fixed(&'static str, Option<Duration>);

#[async_trait::async_trait]
impl TokenSource for Fixed {
    async fn fetch(&self) -> Result<Token> {
        Ok(Token::new(self.0, self.1))
    }
}

#[tokio::test]
async fn a_fetched_token_that_cannot_be_sent_sends_nothing() {
    let server = MockServer::start([]);
    for token in ["hunter2\n", "hünter2", "hunter2 "] {
        let auth = Auth::tokens(Arc::new(Fixed(token, None)));
        let client = builder(server.base_url()).auth(auth).build().unwrap();
        let err = client.execute(call(&GET)).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert!(!format!("{err:?}").contains("nter2"), "{err:?}");
    }
}

#[tokio::test]
async fn ids_of_every_kind_arrive_as_one_segment() {
    for id in [
        "/", "?", "#", "%", "%2F", "a b", "../x", "ü/ß", "…", "\n", "a\\b", ";=&+",
    ] {
        let server = MockServer::start([respond(200).json(&"done")]);
        let get = ApiRequest::new(&GET).segment("id", id).query(id, id);
        client(&server).execute(get.json::<String>()).await.unwrap();
        let request = &server.requests()[0];
        assert_eq!(request.segments(), ["things", id]);
        assert_eq!(request.query(id).as_deref(), Some(id));
        assert!(request.path_and_query.is_ascii());
    }
}

#[tokio::test]
async fn an_id_that_would_be_another_path_is_not_sent() {
    let server = MockServer::start([]);
    for id in ["", ".", ".."] {
        let get = ApiRequest::new(&GET).segment("id", id);
        let err = client(&server).execute(get).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn every_form_of_a_base_url_means_the_same() {
    for (end, arrives) in [
        ("", "GET /things/1"),
        ("/", "GET /things/1"),
        ("//", "GET /things/1"),
        ("/v1", "GET /v1/things/1"),
        ("/v1/", "GET /v1/things/1"),
        ("/a%2Fb/", "GET /a%2Fb/things/1"),
        ("/ü", "GET /%C3%BC/things/1"),
    ] {
        let server = MockServer::start([respond(200).json(&"done")]);
        let client = builder(format!("{}{end}", server.base_url()));
        client.build().unwrap().execute(call(&GET)).await.unwrap();
        server.assert_requests([arrives]);
    }
}

#[tokio::test]
async fn spans_beyond_all_clocks_are_as_good_as_for_ever() {
    let server = MockServer::start([
        respond(429).header("retry-after", "1e19"),
        respond(200).json(&"done"),
        respond(200).json(&"done"),
    ]);
    let policy = eager()
        .with_deadline(Duration::MAX)
        .with_max_retry_after(Duration::from_secs(1));
    let auth = Auth::tokens(Arc::new(Fixed("token", Some(Duration::MAX))));
    let slow = Limits::new(NonZeroU32::MIN, Duration::MAX);
    let client = |limits| {
        let client = builder(server.base_url()).retry(policy.clone());
        let client = client.auth(auth.clone()).limits(limits);
        client.attempt_timeout(Duration::MAX).build().unwrap()
    };
    let err = client(Limits::default())
        .execute(call(&GET))
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::RateLimited);
    let slow = client(slow);
    slow.execute(call(&GET)).await.unwrap();
    // One request in all eternity: the next ones wait, and do not panic.
    let waiting = tokio::join!(
        tokio::time::timeout(Duration::from_millis(50), slow.execute(call(&GET))),
        tokio::time::timeout(Duration::from_millis(50), slow.execute(call(&GET))),
    );
    assert!(waiting.0.is_err() && waiting.1.is_err());
    let fast = client(Limits::default());
    let body: Vec<_> = fast
        .stream(call(&GET))
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(body.concat(), b"\"done\"");
}
