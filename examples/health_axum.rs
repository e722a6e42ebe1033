//! Health routes in an axum service, and an end that drops no request.

use axum::{Router, routing::get};
use ops_health::{Health, Host, checks::Disk, checks::Memory};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let health = Health::builder()
        .service("orders")
        .host(Host::DOCKER)
        .check(Disk::new("/"))
        .check(Memory::new())
        .build()?;
    let _scheduler = health.start()?;

    let (leaving, mut term) = (health.clone(), signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        term.recv().await;
        leaving.drain().await;
    });

    let app = Router::new().route("/", get(|| async { "hello" }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 8080)).await?;
    health.serve(listener, app.merge(health.router())).await?;
    Ok(())
}
