//! Health routes under plain hyper: the tower service beside the application's own handler.
//!
//! ```text
//! health_no_axum & curl -i http://127.0.0.1:8080/health
//! ```

#![expect(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ops_health::checks::{Disk, Pool, PoolUsage};
use ops_health::{Beacon, DrainPlan, Health, Kind, Outcome, check_fn};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let worker = Beacon::new(Duration::from_mins(1));
    let health = Health::builder()
        .service("orders")
        .check(Disk::new("/"))
        .check(Pool::new(|| PoolUsage::new(3, 10)))
        .check(check_fn("inbox", Kind::Custom, |_| async {
            Outcome::healthy()
        }))
        .liveness("worker", worker.clone())
        .drain_plan(DrainPlan::new(
            Duration::from_secs(1),
            Duration::from_secs(5),
        ))
        .build()?;
    let _scheduler = health.start()?;
    tokio::spawn(async move {
        loop {
            worker.beat();
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    });
    let leaving = health.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            leaving.drain().await;
        }
    });

    let listener = TcpListener::bind(("127.0.0.1", 8080)).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                tokio::spawn(connection(health.clone(), TokioIo::new(stream)));
            }
            () = health.shutdown_requested() => break,
        }
    }
    health.finish().await;
    Ok(())
}

/// Serves a connection until its client, or the service, has had enough.
async fn connection(health: Health, stream: TokioIo<tokio::net::TcpStream>) {
    let answering = health.clone();
    let service = service_fn(move |request| answer(answering.clone(), request));
    let connection = http1::Builder::new().serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = health.shutdown_requested() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn answer(
    health: Health,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let path = request.uri().path();
    if path.starts_with("/health") || path == "/api/health" {
        let (parts, _) = request.into_parts();
        return Ok(health.handle(&parts).await.map(Full::new));
    }
    Ok(Response::new(Full::from("hello")))
}
