//! What is sent again, how often, and what the error says then.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ops_core::{Error, ErrorKind, Result, Retry};
use ops_http::test_util::{MockServer, Reply, respond};
use ops_http::{
    ApiRequest, Auth, Operation, RetryEvent, RetryObserver, RetryPolicy, Token, TokenSource,
};

use crate::support::{GET, POST, PUT, builder, call, client, eager};

/// How often an operation is sent where the first answer is this and the next a success.
async fn sent(operation: &'static Operation, first: Reply) -> (usize, Result<String>) {
    sent_within(Duration::from_secs(60), operation, first).await
}

async fn sent_within(
    timeout: Duration,
    operation: &'static Operation,
    first: Reply,
) -> (usize, Result<String>) {
    let server = MockServer::serving({
        let asked = AtomicU32::new(0);
        move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => first.clone(),
            _ => respond(200).json(&"done"),
        }
    });
    let client = builder(server.base_url())
        .attempt_timeout(timeout)
        .build()
        .unwrap();
    let outcome = client.execute(call(operation)).await;
    (server.requests().len(), outcome)
}

#[tokio::test]
async fn what_may_have_been_executed_is_repeated_only_where_that_is_harmless() {
    for first in [
        respond(408),
        respond(500),
        respond(502),
        respond(503),
        respond(504),
        respond(200).json(&"lost").reset(),
        respond(200).json(&"lost").reset_after_headers(),
        respond(200).json(&"a longer text").truncated(),
    ] {
        for operation in [&GET, &PUT] {
            let (times, outcome) = sent(operation, first.clone()).await;
            assert_eq!((times, outcome.unwrap().as_str()), (2, "done"), "{first:?}");
        }
        let (times, outcome) = sent(&POST, first.clone()).await;
        let err = outcome.unwrap_err();
        assert_eq!(
            (times, err.retry()),
            (1, Retry::OutcomeUnknown),
            "{first:?}"
        );
    }
}

#[tokio::test]
async fn so_is_what_was_not_answered_in_time() {
    let minute = Duration::from_secs(60);
    // Long enough for the second answer on a machine that is busy.
    let timeout = Duration::from_secs(3);
    for first in [
        respond(200).json(&"late").delay(minute),
        respond(200).json(&"a slow text").drip(minute),
    ] {
        let (get, put, post) = tokio::join!(
            sent_within(timeout, &GET, first.clone()),
            sent_within(timeout, &PUT, first.clone()),
            sent_within(timeout, &POST, first.clone()),
        );
        for (times, outcome) in [get, put] {
            assert_eq!((times, outcome.unwrap().as_str()), (2, "done"), "{first:?}");
        }
        let err = post.1.unwrap_err();
        assert_eq!((err.kind(), post.0), (ErrorKind::Timeout, 1), "{first:?}");
        assert_eq!(err.retry(), Retry::OutcomeUnknown, "{first:?}");
    }
}

#[tokio::test]
async fn what_was_not_executed_is_repeated_for_everyone() {
    for first in [
        respond(425),
        respond(429),
        respond(429).header("retry-after", "0.05"),
        respond(503).header("retry-after", "0.05"),
    ] {
        for operation in [&GET, &PUT, &POST] {
            let (times, outcome) = sent(operation, first.clone()).await;
            assert_eq!((times, outcome.unwrap().as_str()), (2, "done"), "{first:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [
        301, 400, 401, 402, 403, 404, 405, 409, 410, 412, 413, 422, 423, 501,
    ] {
        let (times, outcome) = sent(&GET, respond(status)).await;
        let err = outcome.unwrap_err();
        assert_eq!(
            (times, err.retry(), err.status()),
            (1, Retry::Never, Some(status))
        );
        assert_eq!(err.operation(), Some("get-thing"));
        assert_eq!(err.provider().unwrap().as_str(), "acme");
    }
}

#[tokio::test]
async fn a_request_that_keeps_failing_is_sent_three_times_and_is_final_then() {
    let server = MockServer::start([respond(503), respond(502), respond(500)]);
    let err = client(&server).execute(call(&GET)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert_eq!((err.attempts(), err.retry()), (3, Retry::Never));
    server.assert_requests(["GET /things/1"; 3]);
}

#[tokio::test]
async fn a_create_with_a_key_is_repeated_with_the_same_key() {
    let server = MockServer::start([respond(504), respond(200).json(&"done")]);
    let key = ops_http::header::HeaderName::from_static("idempotency-key");
    let create = call(&POST).header(key, "k-1").body_json(&"x").idempotent();
    client(&server).execute(create).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].header("idempotency-key"), Some("k-1"));
    assert_eq!(requests[0].headers, requests[1].headers);
    assert_eq!(requests[0].body, requests[1].body);
}

#[tokio::test]
async fn the_vendor_is_left_alone_for_as_long_as_it_asks() {
    let server = MockServer::start([
        respond(429).header("retry-after", "1"),
        respond(200).json(&"done"),
    ]);
    let begun = Instant::now();
    client(&server).execute(call(&GET)).await.unwrap();
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_handed_to_the_caller() {
    let server = MockServer::start([respond(429).header("retry-after", "3600")]);
    let begun = Instant::now();
    let err = client(&server).execute(call(&GET)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::RateLimited);
    assert_eq!(err.retry(), Retry::After(Duration::from_secs(3600)));
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn the_longest_wait_can_be_set() {
    let policy = eager().with_max_retry_after(Duration::from_secs(1));
    for (asked, requests) in [("1", 2), ("2", 1)] {
        let server = MockServer::serving(move |_| respond(429).header("retry-after", asked));
        let policy = policy.clone().with_max_attempts(2);
        let client = builder(server.base_url()).retry(policy).build().unwrap();
        let err = client.execute(call(&GET)).await.unwrap_err();
        let asked = Duration::from_secs(asked.parse().unwrap());
        assert_eq!(err.retry(), Retry::After(asked), "also when giving up");
        assert_eq!(server.requests().len(), requests);
    }
}

#[tokio::test]
async fn a_policy_that_never_retries_leaves_the_advice_to_the_caller() {
    let server = MockServer::start([respond(503)]);
    let client = builder(server.base_url()).retry(RetryPolicy::never());
    let err = client
        .build()
        .unwrap()
        .execute(call(&GET))
        .await
        .unwrap_err();
    assert_eq!((err.attempts(), err.retry()), (1, Retry::Safe));
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    let seconds = Duration::from_secs;
    for (policy, message) in [
        (
            RetryPolicy::default().with_max_attempts(0),
            "a request must be sent once at least",
        ),
        (
            RetryPolicy::default().with_backoff(seconds(2), seconds(1)),
            "the first wait is longer than the longest",
        ),
        (
            RetryPolicy::default().with_deadline(Duration::ZERO),
            "the time for all attempts is zero",
        ),
    ] {
        let client = builder("http://host").retry(policy);
        assert_eq!(client.build().unwrap_err().message(), message);
    }
    let equal = RetryPolicy::default().with_backoff(seconds(1), seconds(1));
    builder("http://host").retry(equal).build().unwrap();
}

#[tokio::test]
async fn nobody_sleeps_past_the_deadline() {
    let server = MockServer::start([respond(503).header("retry-after", "30")]);
    let policy = eager().with_deadline(Duration::from_secs(25));
    let client = builder(server.base_url()).retry(policy).build().unwrap();
    let begun = Instant::now();
    let err = client.execute(call(&GET)).await.unwrap_err();
    assert_eq!(err.retry(), Retry::After(Duration::from_secs(30)));
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn an_outage_does_not_multiply_the_traffic() {
    let server = MockServer::serving(|_| respond(503));
    let client = client(&server);
    for _ in 0..200 {
        client.execute(call(&GET)).await.unwrap_err();
    }
    // 200 first attempts, and what the budget of 100 retries allows.
    assert_eq!(server.requests().len(), 300);
}

#[derive(Debug, Default)]
struct Counting(Mutex<Vec<(u32, ErrorKind)>>);

impl RetryObserver for Counting {
    fn on_retry(&self, event: RetryEvent<'_>) {
        assert_eq!(event.operation, "get-thing");
        self.0.lock().unwrap().push((event.attempts, event.kind));
    }
}

#[tokio::test]
async fn an_observer_is_told_of_each_retry() {
    let server = MockServer::start([respond(429), respond(504), respond(200).json(&"done")]);
    let observer = Arc::new(Counting::default());
    let client = builder(server.base_url())
        .retry_observer(Arc::<Counting>::clone(&observer))
        .build()
        .unwrap();
    client.execute(call(&GET)).await.unwrap();
    let seen = observer.0.lock().unwrap().clone();
    assert_eq!(seen, [(1, ErrorKind::RateLimited), (2, ErrorKind::Timeout)]);
}

#[derive(Debug, Default)]
struct Source(AtomicU32);

#[async_trait::async_trait]
impl TokenSource for Source {
    async fn fetch(&self) -> Result<Token> {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Token::new(format!("token-{number}"), None))
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = MockServer::start([
        respond(401),
        respond(200).json(&"done"),
        respond(401),
        respond(401),
    ]);
    let auth = Auth::tokens(Arc::new(Source::default()));
    let client = builder(server.base_url()).auth(auth).build().unwrap();
    client.execute(call(&POST)).await.unwrap();
    let err = client.execute(call(&POST)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unauthenticated);
    let tokens: Vec<String> = server
        .requests()
        .iter()
        .map(|it| it.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(
        tokens,
        [
            "Bearer token-1",
            "Bearer token-2",
            "Bearer token-2",
            "Bearer token-3"
        ]
    );
}

#[tokio::test]
async fn a_stream_is_sent_once() {
    let server = MockServer::start([respond(503)]);
    let chunks = futures_util::stream::iter([Ok::<_, Error>("ab".into()), Ok("cd".into())]);
    let upload = ApiRequest::new(&PUT).segment("id", "1").body_stream(
        "application/octet-stream",
        None,
        Box::pin(chunks),
    );
    let err = client(&server).execute(upload).await.unwrap_err();
    assert_eq!((err.kind(), err.attempts()), (ErrorKind::Unavailable, 1));
    assert_eq!(server.requests()[0].body, "abcd");
}
