//! The gRPC health protocol, over a real connection.

use std::time::Duration;

use ops_health::{DrainPlan, GrpcBridge, Health, Outcome};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::{Channel, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Scripted, seconds, service};

fn request(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

async fn serve(health: &Health) -> HealthClient<Channel> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = futures_util::stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let shutdown = health.shutdown_requested();
    let server = Server::builder()
        .add_service(GrpcBridge::new(health).into_service())
        .serve_with_incoming_shutdown(incoming, shutdown);
    tokio::spawn(server);
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.connect().await.unwrap();
    HealthClient::new(channel)
}

async fn check(client: &mut HealthClient<Channel>, name: &str) -> ServingStatus {
    let answer = client.check(request(name)).await.unwrap();
    answer.into_inner().status()
}

#[tokio::test]
async fn names_answer_as_their_routes_do() {
    let db = Scripted::failing("db");
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let health = service()
        .startup_gate("migrations", async {
            let _ = gate.await;
            Ok(())
        })
        .check(db.clone())
        .policy(|policy| {
            policy
                .with_interval(Duration::from_millis(10))
                .with_thresholds(1, 1)
        })
        .build()
        .unwrap();
    let mut client = serve(&health).await;
    for name in ["", "live", "ready", "startup", "health"] {
        assert_eq!(
            check(&mut client, name).await,
            ServingStatus::NotServing,
            "{name}"
        );
    }
    let unknown = client.check(request("orders")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let _scheduler = health.start().unwrap();
    open.send(()).unwrap();
    ops_testkit::wait_until("the start", seconds(10), async || {
        check(&mut client.clone(), "live").await == ServingStatus::Serving
    })
    .await;
    assert_eq!(check(&mut client, "ready").await, ServingStatus::NotServing);
    assert_eq!(check(&mut client, "").await, ServingStatus::NotServing);
    db.returns(Outcome::healthy());
    ops_testkit::wait_until("the recovery", seconds(10), async || {
        check(&mut client.clone(), "").await == ServingStatus::Serving
    })
    .await;
}

#[tokio::test]
async fn a_watch_tells_changes_and_ends_with_the_drain() {
    let health = service()
        .check(Scripted::healthy("db"))
        .drain_plan(DrainPlan::new(seconds(2), seconds(20)))
        .build()
        .unwrap();
    let mut client = serve(&health).await;
    let mut watch = client.watch(request("")).await.unwrap().into_inner();
    let mut unknown = client.watch(request("orders")).await.unwrap().into_inner();
    let first = unknown.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let mut next = async || watch.message().await.unwrap().map(|answer| answer.status());
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    let _scheduler = health.start().unwrap();
    assert_eq!(next().await, Some(ServingStatus::Serving));
    let drained = health.drain();
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    // Long before the server shuts down, so that no watcher holds it up.
    let ended = timeout(Duration::from_millis(1500), next()).await.unwrap();
    assert_eq!(ended, None);
    assert!(unknown.message().await.unwrap().is_none());
    for name in ["live", "startup", "ready"] {
        assert_eq!(
            check(&mut client, name).await,
            ServingStatus::NotServing,
            "{name}"
        );
    }
    drained.await;
}

#[tokio::test]
async fn the_number_of_watchers_is_bounded() {
    let health = service().build().unwrap();
    let mut client = serve(&health).await;
    let mut held = Vec::new();
    let refused = loop {
        match client.watch(request("live")).await {
            Ok(watch) => held.push(watch),
            Err(status) => break status,
        }
        assert!(held.len() <= 256);
    };
    assert_eq!((refused.code(), held.len()), (Code::ResourceExhausted, 256));
    drop(held);
    ops_testkit::wait_until("a place", seconds(10), async || {
        client.clone().watch(request("live")).await.is_ok()
    })
    .await;
}
