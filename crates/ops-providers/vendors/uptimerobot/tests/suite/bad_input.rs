//! Nonsense from both sides: what callers ask for, and what servers answer.

use std::time::Duration;

use futures_util::TryStreamExt;
use ops_core::id::{HeartbeatId, MaintenanceId, MonitorId, StatusPageId};
use ops_core::monitor::{
    Beat, CreateMaintenanceRequest, Heartbeat, HeartbeatState, Heartbeats, MaintenanceWindows,
    Monitor, MonitorSpec, StatusPages, StatusUpdate, UptimeMonitors, UptimeReport,
};
use ops_core::usage::Period;
use ops_core::{Clock, DeleteOutcome, Error, ErrorKind, MonitorExt, Retry};
use ops_http::RetryPolicy;
use ops_http::test_util::{MockServer, Reply, respond};
use ops_uptimerobot::UptimeRobot;
use serde_json::{Value, json};

use crate::fake::{Fake, TOKEN};

const AWKWARD: [&str; 10] = [
    "a/b", "7?b=c", "7#b", "7%2Fb", "7 b", "ünï", "日本", "+7", "-7", "7.0",
];

fn robot(server: &MockServer) -> UptimeRobot {
    UptimeRobot::builder(TOKEN)
        .base_url(server.base_url())
        .heartbeat_url(server.base_url())
        .allow_http(true)
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

/// What comes of reading the account where the server answers this.
async fn described(reply: Reply) -> Error {
    let server = MockServer::start([reply]);
    robot(&server).describe().await.unwrap_err()
}

#[tokio::test]
async fn a_refused_key_is_unauthenticated_and_not_tried_again() {
    let fake = Fake::start();
    let stranger = UptimeRobot::builder("u1-wrong")
        .base_url(fake.base_url())
        .allow_http(true)
        .build()
        .unwrap();
    let err = stranger.describe().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unauthenticated);
    assert_eq!(err.code(), Some("unauthorized"));
    assert_eq!(fake.requests().len(), 1);
    let err = stranger.self_test().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unauthenticated);
}

#[test]
fn what_cannot_work_is_refused_with_all_problems() {
    let err = UptimeRobot::builder("")
        .base_url("nowhere")
        .heartbeat_url("http://beats.example")
        .min_interval(Duration::ZERO)
        .utc_offset_minutes(15 * 60)
        .build()
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    let text = err.to_string();
    for part in ["API key", "the API:", "the heartbeats:", "interval", "UTC"] {
        assert!(text.contains(part), "{part} is not named: {text}");
    }
    for key in ["u1\nkey", "u1-ключ\u{7f}"] {
        let err = UptimeRobot::builder(key).build().unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert!(!err.to_string().contains("u1"), "{err}");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_base_url_changes_nothing() {
    let fake = Fake::start();
    let beats = fake.base_url().replace("/v3", "/beat");
    for slash in ["", "/"] {
        let robot = fake
            .builder()
            .base_url(format!("{}{slash}", fake.base_url()))
            .heartbeat_url(format!("{beats}{slash}"))
            .build()
            .unwrap();
        assert!(robot.self_test().await.unwrap().passed());
    }
    let requests = fake.requests();
    let (one, other) = requests.split_at(requests.len() / 2);
    let shape = |it: &[String]| {
        it.iter()
            .map(|it| it.matches('/').count())
            .collect::<Vec<_>>()
    };
    assert_eq!(shape(one), shape(other));
}

#[tokio::test]
async fn an_id_that_is_no_number_is_nobodys_and_is_not_sent() {
    let fake = Fake::start();
    let robot = fake.robot();
    let now = fake.clock.now();
    let hour = Duration::from_secs(3_600);
    let period = Period::new(now.saturating_sub(hour), now).unwrap();
    for awkward in AWKWARD {
        let check = MonitorId::new(awkward).unwrap();
        let beat = HeartbeatId::new(awkward).unwrap();
        let page = StatusPageId::new(awkward).unwrap();
        let window = CreateMaintenanceRequest::new("Deploy", now, hour);
        let window = window.with_monitors(vec![check.clone()]);
        let update = StatusUpdate::new("title", "text");
        let without_url = Heartbeat::new(beat.clone(), "x", HeartbeatState::Pending);
        let errors = [
            robot.monitor(&check).await.unwrap_err(),
            robot.pause_monitor(&check).await.unwrap_err(),
            robot.resume_monitor(&check).await.unwrap_err(),
            robot.uptime(&check, period).await.unwrap_err(),
            robot.heartbeat(&beat).await.unwrap_err(),
            robot.beat(&without_url, Beat::success()).await.unwrap_err(),
            robot.status_page(&page).await.unwrap_err(),
            robot.post_status_update(&page, update).await.unwrap_err(),
            robot.create_maintenance(window).await.unwrap_err(),
        ];
        for err in errors {
            assert_eq!(err.kind(), ErrorKind::NotFound, "{awkward}: {err:?}");
        }
        let window = MaintenanceId::new(awkward).unwrap();
        let gone = [
            robot.delete_monitor(&check).await.unwrap(),
            robot.delete_heartbeat(&beat).await.unwrap(),
            robot.delete_maintenance(&window).await.unwrap(),
        ];
        assert_eq!(gone, [DeleteOutcome::AlreadyGone; 3]);
    }
    assert_eq!(fake.requests(), [""; 0]);
}

#[tokio::test]
async fn an_awkward_key_comes_back_as_it_was() {
    let fake = Fake::start();
    let robot = fake.robot();
    for key in AWKWARD {
        let spec = MonitorSpec::http(key, "https://shop.example");
        let made = robot.ensure_monitor(spec.clone()).await.unwrap();
        assert_eq!(made.resource.key.as_deref(), Some(key));
        let again = robot.ensure_monitor(spec).await.unwrap();
        assert_eq!(again.resource.id, made.resource.id);
    }
    assert_eq!(fake.state().monitors.len(), AWKWARD.len());
}

#[tokio::test]
async fn a_beat_goes_to_uptimerobot_and_nowhere_else() {
    let elsewhere = MockServer::start([]);
    let fake = Fake::start();
    let robot = fake.robot();
    let base = fake.base_url().replace("/v3", "/beat");
    for url in [
        format!("{}/m1-x", elsewhere.base_url()),
        "https://beats.example/m1-x".to_owned(),
        format!("{base}.example/m1-x"),
        base.clone(),
        format!("{base}/"),
        format!("{base}/m1/x"),
        format!("{base}/m1?x=1"),
        format!("{base}/m1%2Fx"),
        format!("{base}/é"),
        String::new(),
    ] {
        let id = HeartbeatId::new("1").unwrap();
        let heartbeat = Heartbeat::new(id, "x", HeartbeatState::Pending).with_url(url.as_str());
        let err = robot.beat(&heartbeat, Beat::success()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput, "{url}: {err:?}");
        assert!(!err.to_string().contains("m1"), "{err}");
    }
    assert_eq!(fake.requests(), [""; 0]);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_field_that_is_not_what_it_should_be_is_named() {
    let monitor = json!({ "id": "new", "friendlyName": "shop" });
    let server = MockServer::start([respond(200).json(&monitor)]);
    let id = MonitorId::new("7").unwrap();
    let err = robot(&server).monitor(&id).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Decode);
    assert!(err.message().contains("the field id "), "{err}");
}

#[tokio::test]
async fn an_answer_to_a_create_that_is_not_understood_leaves_the_outcome_unknown() {
    let empty = json!({ "nextLink": null, "data": [] });
    let server = MockServer::start([respond(200).json(&empty), respond(201).html()]);
    let spec = MonitorSpec::http("shop", "https://shop.example");
    let err = robot(&server).ensure_monitor(spec).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Decode, Retry::OutcomeUnknown)
    );
}

fn page(link: &Value) -> Value {
    json!({ "nextLink": link, "data": [{ "id": 1, "friendlyName": "one", "type": "HTTP" }] })
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed_there() {
    let elsewhere = MockServer::start([]);
    let first = page(&json!(format!(
        "{}/v3/monitors?cursor=a%2F5",
        elsewhere.base_url()
    )));
    let replies = [
        respond(200).json(&first),
        respond(200).json(&page(&Value::Null)),
    ];
    let server = MockServer::start(replies);
    let listing = robot(&server).list_monitors().try_collect::<Vec<_>>().await;
    assert_eq!(listing.unwrap().len(), 2);
    // The cursor goes on, to the host that has the key already.
    server.assert_requests([
        "GET /monitors?limit=200",
        "GET /monitors?limit=200&cursor=a%2F5",
    ]);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_link_without_a_cursor_is_named() {
    for link in [
        "https://api.uptimerobot.com/v3/monitors",
        "nonsense",
        "?cursor=",
    ] {
        let server = MockServer::start([respond(200).json(&page(&json!(link)))]);
        let listing = robot(&server).list_monitors().try_collect::<Vec<_>>().await;
        let err = listing.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Decode);
        assert_eq!(err.message(), "the field nextLink has no cursor");
        assert_eq!(err.operation(), Some("MonitorsController_list"));
    }
}

#[tokio::test]
async fn a_limit_says_when_it_is_over_in_each_way() {
    let fake = Fake::start();
    let now = u64::try_from(fake.clock.now().unix_seconds()).unwrap();
    let limited = || respond(429).header("x-ratelimit-remaining", "0");
    let cases = [
        (limited().header("retry-after", "120"), 120),
        (
            limited().header("x-ratelimit-reset", (now + 90).to_string()),
            90,
        ),
        (
            limited().header("retry-after", "Sat, 21 Nov 2026 04:06:06 GMT"),
            60,
        ),
    ];
    for (reply, seconds) in cases {
        let server = MockServer::start([reply]);
        let robot = fake
            .builder()
            .base_url(server.base_url())
            .retry(RetryPolicy::never())
            .build()
            .unwrap();
        let err = robot.describe().await.unwrap_err();
        let after = Retry::After(Duration::from_secs(seconds));
        assert_eq!((err.kind(), err.retry()), (ErrorKind::RateLimited, after));
    }
}

#[tokio::test]
async fn what_uptimerobot_refuses_is_told_in_its_words() {
    let body = json!({ "message": ["interval must not be less than 300"], "code": "validation" });
    let err = described(respond(400).json(&body).header("x-request-id", "r-1")).await;
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert_eq!(err.message(), "interval must not be less than 300");
    assert_eq!(
        (err.code(), err.request_id()),
        (Some("validation"), Some("r-1"))
    );
}
