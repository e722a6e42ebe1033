//! Clients that ask on and on while the service leaves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use ops_health::{DrainPlan, Health, Lifecycle};
use ops_testkit::wait_until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Scripted, service};

const BODY: &str = "all of the answer";

/// A service that leaves by that plan, whose answers take a while.
async fn serve(plan: DrainPlan) -> (Health, SocketAddr, JoinHandle<()>) {
    let health = service()
        .check(Scripted::healthy("db"))
        .drain_plan(plan)
        .build()
        .unwrap();
    let takes = |millis| {
        get(move || async move {
            sleep(Duration::from_millis(millis)).await;
            BODY
        })
    };
    let app = Router::new()
        .route("/quick", takes(5))
        .route("/slow", takes(400))
        .merge(health.router());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = health.clone();
    let server = tokio::spawn(async move {
        let _scheduler = serving.start().unwrap();
        serving.serve(listener, app).await.unwrap();
    });
    (health, address, server)
}

#[derive(Debug, Default)]
struct Tally {
    /// Whole answers.
    answered: u32,
    /// Connections with more than one answer.
    kept: u32,
    /// Those among them that came after the drain had begun.
    late: u32,
    failed: Vec<String>,
}

/// Asks one time after the other on a connection that it keeps for as long as the server
/// does, until nobody listens any more.
async fn requests(
    address: SocketAddr,
    path: &'static str,
    health: Health,
    keeping: Arc<AtomicUsize>,
) -> Tally {
    let mut tally = Tally::default();
    while let Ok(stream) = TcpStream::connect(address).await {
        let connected = Instant::now();
        let (mut client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        for nth in 0_u32.. {
            match ask(&mut client, path).await {
                Asked::Answered { close } => {
                    tally.answered += 1;
                    tally.late += u32::from(health.is_leaving());
                    if nth == 1 {
                        tally.kept += 1;
                    }
                    if nth == 1 && tally.kept == 1 {
                        keeping.fetch_add(1, Ordering::SeqCst);
                    }
                    if close {
                        break;
                    }
                }
                Asked::Unsent => break,
                Asked::Failed(err) => {
                    let after = connected.elapsed();
                    let failed = format!("request {nth}, {after:?} after connecting: {err:?}");
                    tally.failed.push(failed);
                    break;
                }
            }
        }
    }
    tally
}

enum Asked {
    Answered {
        close: bool,
    },
    /// The connection had ended before the client could send anything.
    Unsent,
    Failed(hyper::Error),
}

async fn ask(client: &mut SendRequest<Body>, path: &str) -> Asked {
    if client.ready().await.is_err() {
        return Asked::Unsent;
    }
    let request = Request::get(path).header("host", "test");
    let request = request.body(Body::empty()).unwrap();
    let response = match client.try_send_request(request).await {
        Ok(response) => response,
        Err(err) if err.message().is_some() => return Asked::Unsent,
        Err(err) => return Asked::Failed(err.into_error()),
    };
    let close = response.headers().get("connection");
    let close = close.is_some_and(|it| it == "close");
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(err) => return Asked::Failed(err),
    };
    if path.starts_with("/health") {
        assert!(body.ends_with(b"}"), "{body:?}");
    } else {
        assert_eq!(body, BODY);
    }
    Asked::Answered { close }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_through_a_drain_gets_every_answer() {
    let plan = DrainPlan::new(Duration::from_millis(700), Duration::from_secs(10));
    let (health, address, server) = serve(plan).await;
    let paths = [
        "/quick",
        "/quick",
        "/quick",
        "/slow",
        "/slow",
        "/health",
        "/health/ready",
    ];
    let keeping = Arc::new(AtomicUsize::new(0));
    let clients = paths.map(|path| {
        let client = requests(address, path, health.clone(), Arc::clone(&keeping));
        (path, tokio::spawn(client))
    });
    wait_until(
        "connections are kept",
        Duration::from_secs(20),
        async || keeping.load(Ordering::SeqCst) == paths.len(),
    )
    .await;
    let begun = Instant::now();
    health.drain().await;
    let (mut answered, mut late) = (0, 0);
    for (path, client) in clients {
        let tally = timeout(Duration::from_secs(15), client)
            .await
            .unwrap()
            .unwrap();
        assert!(tally.failed.is_empty(), "{path}: {tally:?}");
        assert!(tally.kept > 0 && tally.late > 0, "{path}: {tally:?}");
        answered += tally.answered;
        late += tally.late;
    }
    timeout(Duration::from_secs(15), server)
        .await
        .unwrap()
        .unwrap();
    let took = begun.elapsed();
    println!("{answered} answers, {late} of them in the drain, no failure; it took {took:?}");
    assert!(took < plan.delay + plan.cap, "the cap ended it: {took:?}");
    assert_eq!(health.lifecycle(), Lifecycle::Stopped);
}

#[tokio::test]
async fn who_has_just_connected_when_the_service_closes_gets_to_ask() {
    let plan = DrainPlan::new(Duration::ZERO, Duration::from_secs(10));
    let (health, address, server) = serve(plan).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    health.drain().await;
    wait_until("nobody can connect", Duration::from_secs(5), async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
    // Long enough for whoever would close it at once, and short beside the half second.
    sleep(Duration::from_millis(20)).await;
    let request = b"GET /quick HTTP/1.1\r\nhost: test\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    assert!(answer.ends_with(BODY), "{answer:?}");
    timeout(Duration::from_secs(15), server)
        .await
        .unwrap()
        .unwrap();
}
