//! The routes under plain hyper, without axum.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use ops_health::{Health, HealthService};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Scripted, service};

async fn serve(service: HealthService) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

async fn ask(address: SocketAddr, method: &str, uri: &str) -> (StatusCode, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "test")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = client.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn health() -> Health {
    service().check(Scripted::healthy("db")).build().unwrap()
}

#[tokio::test]
async fn the_routes_need_no_axum() {
    let health = health();
    let _scheduler = health.start().unwrap();
    let address = serve(health.service()).await;
    let (status, body) = ask(address, "GET", "/health/live").await;
    assert_eq!((status.as_u16(), body.as_str()), (200, r#"{"alive":true}"#));
    assert_eq!(ask(address, "HEAD", "/health").await.1, "");
    assert_eq!(ask(address, "POST", "/health").await.0.as_u16(), 405);
    assert_eq!(ask(address, "GET", "/orders").await.0.as_u16(), 404);
    let (_, body) = ask(address, "GET", "/health").await;
    assert!(!body.contains("db"), "{body}");
}

#[tokio::test]
async fn a_second_listener_shows_the_details_to_everybody() {
    let health = health();
    let _scheduler = health.start().unwrap();
    // A check that has never run is not well.
    while health
        .checks()
        .iter()
        .any(|check| check.checked_at.is_none())
    {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let private = serve(health.details_service()).await;
    let (_, body) = ask(private, "GET", "/health").await;
    assert!(body.contains("\"db\""), "{body}");
    let (status, body) = ask(private, "GET", "/health/checks/db").await;
    assert_eq!(status.as_u16(), 200, "{body}");
    let public = serve(health.service()).await;
    assert_eq!(
        ask(public, "GET", "/health/checks/db").await.0.as_u16(),
        401
    );
}
