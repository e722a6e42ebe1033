//! A drain with a real server and a client that keeps its connection.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use ops_health::{DrainPlan, Health, Lifecycle, Question};
use ops_testkit::wait_until;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Scripted, service};

/// A client on the bytes of one connection.
async fn client(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ask(client: &mut SendRequest<Body>, uri: &str) -> (StatusCode, Option<String>, String) {
    client.ready().await.unwrap();
    let request = Request::get(uri)
        .header("host", "test")
        .body(Body::empty())
        .unwrap();
    let response = client.send_request(request).await.unwrap();
    let status = response.status();
    let connection = response
        .headers()
        .get("connection")
        .map(|v| v.to_str().unwrap().to_owned());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (
        status,
        connection,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

async fn serve(health: &Health) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let slow = get(|| async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        "done"
    });
    let app = Router::new().route("/slow", slow).merge(health.router());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = health.shutdown_requested();
    let server = tokio::spawn(async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(shutdown)
            .await
            .unwrap();
    });
    (address, server)
}

#[tokio::test]
async fn a_drain_drops_no_request_and_ends_the_server() {
    let plan = DrainPlan::new(Duration::from_millis(300), Duration::from_secs(10));
    let health = service()
        .check(Scripted::healthy("db"))
        .drain_plan(plan)
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    let (address, server) = serve(&health).await;
    let (mut probe, mut worker) = (client(address).await, client(address).await);
    wait_until("the first result", Duration::from_secs(5), async || {
        health.verdict(Question::Ready).status.is_up()
    })
    .await;
    let (status, connection, body) = ask(&mut probe, "/health/ready").await;
    assert_eq!(
        (status.as_u16(), connection, &*body),
        (200, None, r#"{"ready":true}"#)
    );

    let slow = tokio::spawn(async move { ask(&mut worker, "/slow").await });
    let drained = tokio::spawn(health.drain());
    let (status, connection, _) = ask(&mut probe, "/health/ready").await;
    assert_eq!(
        (status.as_u16(), connection.as_deref()),
        (503, Some("close"))
    );
    // Within the delay new connections are still served.
    let (status, ..) = ask(&mut client(address).await, "/health/live").await;
    assert_eq!(status, 200);

    drained.await.unwrap();
    let (status, _, body) = slow.await.unwrap();
    assert_eq!((status.as_u16(), &*body), (200, "done"));
    tokio::time::timeout(Duration::from_secs(5), server)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(health.lifecycle(), Lifecycle::Draining);
    health.stop();
    health.stopped().await;
    assert_eq!(health.lifecycle(), Lifecycle::Stopped);
}

#[tokio::test]
async fn head_over_a_real_connection_has_the_length_and_no_body() {
    let health = service().build().unwrap();
    let _scheduler = health.start().unwrap();
    let (address, server) = serve(&health).await;
    let mut client = client(address).await;
    for _ in 0..3 {
        client.ready().await.unwrap();
        let head = Request::head("/health/live")
            .header("host", "test")
            .body(Body::empty())
            .unwrap();
        let response = client.send_request(head).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-length"], "14");
        assert!(
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .is_empty()
        );
        let (_, _, body) = ask(&mut client, "/health/live").await;
        assert_eq!(body, r#"{"alive":true}"#);
    }
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn a_drain_keeps_to_its_plan() {
    let health = service().build().unwrap();
    let _scheduler = health.start().unwrap();
    let start = tokio::time::Instant::now();
    let first = health.drain();
    drop(health.drain());
    first.await;
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(health.lifecycle(), Lifecycle::Draining);
    health.stopped().await;
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(health.lifecycle(), Lifecycle::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_delay_of_zero_is_zero() {
    let plan = DrainPlan::new(Duration::ZERO, Duration::from_secs(1));
    let health = service().drain_plan(plan).build().unwrap();
    let start = tokio::time::Instant::now();
    health.drain().await;
    // Timers have a resolution of a millisecond.
    assert!(
        start.elapsed() <= Duration::from_millis(1),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_service_that_serves_itself_closes_what_it_answers_and_ends() {
    let health = service()
        .drain_plan(DrainPlan::new(
            Duration::from_millis(300),
            Duration::from_secs(20),
        ))
        .check(Scripted::healthy("db"))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .merge(health.router());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = health.clone();
    let server = tokio::spawn(async move { serving.serve(listener, app).await });
    let mut idle = client(address).await;
    assert_eq!(ask(&mut idle, "/").await.1, None);
    let shutdown = health.drain();
    let mut late = client(address).await;
    let (status, connection, body) = ask(&mut late, "/").await;
    assert_eq!((status.as_u16(), body.as_str()), (200, "hello"));
    assert_eq!(connection.as_deref(), Some("close"));
    shutdown.await;
    // The idle connection holds nothing up: the cap is far away.
    tokio::time::timeout(Duration::from_secs(10), server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(health.lifecycle(), Lifecycle::Stopped);
}
