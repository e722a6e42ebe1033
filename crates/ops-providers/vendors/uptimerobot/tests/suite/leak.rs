//! Neither the API key, nor the address of a heartbeat, nor a header of a check is seen.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use ops_conformance::leak::{Texts, assert_no_leak};
use ops_core::id::HeartbeatId;
use ops_core::monitor::{
    Beat, Heartbeat, HeartbeatSpec, HeartbeatState, Heartbeats, HttpTarget, MaintenanceWindows,
    Monitor, MonitorSpec, MonitorTarget, StatusPages, UptimeMonitors,
};
use ops_core::{MonitorExt, Secret};
use ops_http::RetryPolicy;
use ops_http::test_util::{MockServer, Reply, respond};
use ops_uptimerobot::UptimeRobot;
use serde_json::json;

use crate::fake::{BEAT_SECRET, Fake, TOKEN};

const HEADER: &str = "canaryHeader91c0ffee";
const PASSWORD: &str = "canaryPassword4b1e";

#[test]
fn no_secret_is_seen() {
    for canary in [TOKEN, BEAT_SECRET, HEADER, PASSWORD] {
        assert_no_leak(canary, |texts| async move {
            what_works(&texts).await;
            what_fails(&texts).await;
            what_fails_to_beat(&texts).await;
        });
    }
}

fn secret_check() -> MonitorSpec {
    let headers = BTreeMap::from([("authorization".to_owned(), Secret::from(HEADER))]);
    let url = format!("https://casey:{PASSWORD}@shop.example/health?token={PASSWORD}");
    let target = HttpTarget::new(url).with_headers(headers);
    MonitorSpec::new("shop", MonitorTarget::Http(target))
}

async fn what_works(texts: &Texts) {
    let fake = Fake::start();
    let builder = fake.builder();
    texts.debug("the builder", &builder);
    let robot = builder.build().unwrap();
    texts.debug("the provider", &robot);
    texts.debug("the account", &robot.describe().await.unwrap());
    for _ in 0..2 {
        let ensured = robot.ensure_monitor(secret_check()).await.unwrap();
        texts.debug("a check", &ensured);
    }
    let checks: Vec<_> = robot.list_monitors().try_collect().await.unwrap();
    texts.debug("the checks", &checks);
    let spec = HeartbeatSpec::new("nightly", std::time::Duration::from_secs(3_600));
    let made = robot.ensure_heartbeat(spec).await.unwrap();
    texts.debug("a heartbeat", &made);
    assert!(
        made.resource
            .url
            .as_ref()
            .unwrap()
            .expose()
            .contains(BEAT_SECRET)
    );
    robot.beat(&made.resource, Beat::success()).await.unwrap();
    let all: Vec<_> = robot.list_heartbeats().try_collect().await.unwrap();
    texts.debug("the heartbeats", &all);
    robot.delete_heartbeat(&made.resource.id).await.unwrap();
    let gone = robot.beat(&made.resource, Beat::success()).await;
    texts.error("a beat that nobody hears", &gone.unwrap_err());
    texts.debug("a self-test", &robot.self_test().await.unwrap());
    let windows: Vec<_> = robot.list_maintenance().try_collect().await.unwrap();
    let pages: Vec<_> = robot.list_status_pages().try_collect().await.unwrap();
    texts.debug("the rest", &(windows, pages));
}

fn robot(server: &MockServer) -> UptimeRobot {
    UptimeRobot::builder(TOKEN)
        .base_url(server.base_url())
        .heartbeat_url(server.base_url())
        .allow_http(true)
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

/// Answers that quote what they were given, or hold secrets where they cannot be read.
fn replies() -> Vec<Reply> {
    vec![
        respond(401).json(&json!({ "message": format!("bad key {TOKEN}"), "code": TOKEN })),
        respond(200).json(&json!({ "id": BEAT_SECRET, "url": HEADER })),
        respond(200).json(&json!({ "id": 1, "friendlyName": [PASSWORD] })),
        respond(200).json(&json!([TOKEN, BEAT_SECRET])),
        respond(200).body("application/json", format!("{{\"url\": \"{BEAT_SECRET}")),
        respond(500).html(),
        respond(302).header(
            "location",
            format!("https://evil.example/{BEAT_SECRET}?{TOKEN}"),
        ),
        respond(200).reset(),
    ]
}

async fn what_fails(texts: &Texts) {
    for reply in replies() {
        let server = MockServer::start([reply]);
        let id = HeartbeatId::new("7").unwrap();
        let seen = robot(&server).heartbeat(&id).await;
        texts.error("a heartbeat", &seen.unwrap_err());
    }
    let link = format!("https://evil.example/{BEAT_SECRET}/{TOKEN}");
    let page = json!({ "nextLink": link, "data": [] });
    let server = MockServer::start([respond(200).json(&page)]);
    let listing = robot(&server).list_monitors().try_collect::<Vec<_>>().await;
    texts.error("a listing", &listing.unwrap_err());
    let bad = UptimeRobot::builder(format!("{TOKEN}\n"))
        .base_url(format!("https://{PASSWORD}:x"))
        .heartbeat_url(format!("https://beats.example/?{BEAT_SECRET}"));
    texts.debug("a builder", &bad);
    texts.error("a bad builder", &bad.build().unwrap_err());
    let spec = MonitorSpec::http("shop", format!("gopher://{PASSWORD}@shop.example"));
    let server = MockServer::start([]);
    let refused = robot(&server).ensure_monitor(spec).await;
    texts.error("a bad check", &refused.unwrap_err());
}

/// The address of a heartbeat is a secret of its own, and answers may quote it.
async fn what_fails_to_beat(texts: &Texts) {
    let quoting = format!("no heartbeat m7-{BEAT_SECRET}");
    for reply in [
        respond(404).json(&json!({ "message": quoting, "code": BEAT_SECRET })),
        respond(404).body("text/plain", quoting.clone()),
        respond(503),
        respond(302).header("location", format!("https://evil.example/{BEAT_SECRET}")),
        respond(200).reset(),
    ] {
        let server = MockServer::start([reply]);
        let url = format!("{}/m7-{BEAT_SECRET}", server.base_url());
        let id = HeartbeatId::new("7").unwrap();
        let heartbeat = Heartbeat::new(id, "x", HeartbeatState::Up).with_url(url.as_str());
        let beaten = robot(&server).beat(&heartbeat, Beat::success()).await;
        texts.error("a beat", &beaten.unwrap_err());
    }
    let id = HeartbeatId::new("7").unwrap();
    let strange = format!("https://evil.example/m7-{BEAT_SECRET}");
    let strange = Heartbeat::new(id, "x", HeartbeatState::Up).with_url(strange.as_str());
    let fake = Fake::start();
    let refused = fake.robot().beat(&strange, Beat::success()).await;
    texts.error("a strange address", &refused.unwrap_err());
}
