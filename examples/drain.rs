//! A client that keeps its connection, through the end of the service: every request that
//! it sends is answered.
//!
//! ```text
//! drain
//! ```

#![expect(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use ops_health::{DrainPlan, Health, Host};
use tokio::net::{TcpListener, TcpStream};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long a request takes.
const REQUEST: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<()> {
    // Longer than the host waits: refused before anything runs.
    let host = Host::PM2;
    let refused = Health::builder()
        .host(host)
        .drain_plan(DrainPlan::new(
            Duration::from_secs(5),
            Duration::from_secs(25),
        ))
        .build();
    println!(
        "a plan that is too long: {}",
        refused.err().ok_or("it was accepted")?
    );

    let health = Health::builder()
        .host(host)
        .flush("logs", async { println!("flushed") })
        .build()?;
    let _scheduler = health.start()?;
    let app = Router::new()
        .route("/", get(|| async { tokio::time::sleep(REQUEST).await }))
        .merge(health.router());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let serving = health.clone();
    let server = tokio::spawn(async move { serving.serve(listener, app).await });

    let client = tokio::spawn(requests(address));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    println!(
        "ready: {}",
        ask(&mut connect(address).await?, "/health/ready").await?.0
    );
    let shutdown = health.drain();
    println!(
        "draining, ready: {}",
        ask(&mut connect(address).await?, "/health/ready").await?.0
    );
    shutdown.await;
    println!("connections were asked to end after {:?}", begun.elapsed());
    server.await??;
    println!("the service ended after {:?}", begun.elapsed());
    let (answered, failed) = client.await??;
    println!("answered: {answered}, failed: {failed}");
    Ok(())
}

/// Sends one request after another, and connects again where the server asks for it.
async fn requests(address: SocketAddr) -> Result<(u32, u32)> {
    let mut client = connect(address).await?;
    let (mut answered, mut failed) = (0, 0);
    loop {
        match ask(&mut client, "/").await {
            Ok((StatusCode::OK, close)) => {
                answered += 1;
                if !close {
                    continue;
                }
            }
            Ok(_) | Err(_) => failed += 1,
        }
        match connect(address).await {
            Ok(again) => client = again,
            // Nobody listens any more: another instance has the traffic by now.
            Err(_) => return Ok((answered, failed)),
        }
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    let (client, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The status of the answer, and whether the server wants the connection closed.
async fn ask(client: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<(StatusCode, bool)> {
    client.ready().await?;
    let request = Request::get(path).header("host", "x").body(Empty::new())?;
    let response = client.send_request(request).await?;
    let status = response.status();
    let close = response
        .headers()
        .get("connection")
        .is_some_and(|value| value == "close");
    response.into_body().collect().await?;
    Ok((status, close))
}
