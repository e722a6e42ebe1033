//! Heartbeats: an address for each, and a self-test that uses one.

use ops_core::ErrorKind;
use ops_core::monitor::{
    Beat, BeatKind, Heartbeat, HeartbeatSpec, HeartbeatState, Heartbeats, Monitor, SelfTestOutcome,
};
use ops_http::test_util::{MockServer, respond};
use ops_uptimerobot::UptimeRobot;
use serde_json::json;

use super::{HOUR, at};
use crate::fake::Fake;

async fn heartbeat(robot: &UptimeRobot) -> Heartbeat {
    let spec = HeartbeatSpec::new("nightly", HOUR);
    robot.ensure_heartbeat(spec).await.unwrap().resource
}

#[tokio::test]
async fn a_beat_needs_no_request_but_itself() {
    let fake = Fake::start();
    let robot = fake.robot();
    let nightly = heartbeat(&robot).await;
    let before = fake.requests().len();
    robot.beat(&nightly, Beat::success()).await.unwrap();
    robot
        .beat(&nightly, Beat::new(BeatKind::Exit(0)))
        .await
        .unwrap();
    assert_eq!(fake.requests().len(), before + 2);
    assert_eq!(fake.state().beats, 2);
    let seen = robot.heartbeat(&nightly.id).await.unwrap();
    assert_eq!(seen.state, HeartbeatState::Up);
}

#[tokio::test]
async fn a_beat_that_is_no_success_is_not_sent() {
    let fake = Fake::start();
    let robot = fake.robot();
    let nightly = heartbeat(&robot).await;
    let before = fake.requests().len();
    for kind in [BeatKind::Start, BeatKind::Fail, BeatKind::Exit(1)] {
        robot.beat(&nightly, Beat::new(kind)).await.unwrap();
    }
    assert_eq!(fake.requests().len(), before);
}

#[tokio::test]
async fn an_address_that_is_not_known_is_asked_for() {
    let fake = Fake::start();
    let robot = fake.robot();
    let mut nightly = heartbeat(&robot).await;
    nightly.url = None;
    robot.beat(&nightly, Beat::success()).await.unwrap();
    assert_eq!(fake.state().beats, 1);
    robot.delete_heartbeat(&nightly.id).await.unwrap();
    let err = robot.beat(&nightly, Beat::success()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_self_test_tells_nobody_and_leaves_nothing() {
    let fake = Fake::start();
    let test = fake.robot().self_test().await.unwrap();
    assert_eq!(
        test.signals,
        [("heartbeat".to_owned(), SelfTestOutcome::Arrived)]
    );
    assert!(fake.state().monitors.is_empty());
    let sent = fake.state().sent[1].body.clone();
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["assignedAlertContacts"], json!([]));
}

#[tokio::test]
async fn a_self_test_uses_and_removes_what_an_earlier_one_left() {
    let fake = Fake::start();
    let robot = fake.robot();
    let spec = HeartbeatSpec::new("ops-self-test", HOUR);
    robot.ensure_heartbeat(spec).await.unwrap();
    assert!(robot.self_test().await.unwrap().passed());
    assert!(fake.state().monitors.is_empty());
}

#[tokio::test]
async fn a_self_test_that_fails_removes_what_it_made_or_says_what_is_left() {
    let empty = json!({ "nextLink": null, "data": [] });
    let made = json!({ "id": 7, "friendlyName": "t", "type": "HEARTBEAT", "url": "m7-x" });
    let begin = || [respond(200).json(&empty), respond(201).json(&made)];
    let [list, create] = begin();
    let server = MockServer::start([list, create, respond(404), respond(200)]);
    let test = at(&server).self_test().await.unwrap();
    assert!(!test.passed(), "{test:?}");
    let end = server.requests().pop().unwrap();
    assert_eq!((end.method.as_str(), end.path()), ("DELETE", "/monitors/7"));

    let [list, create] = begin();
    let server = MockServer::start([list, create, respond(404), respond(403)]);
    let test = at(&server).self_test().await.unwrap();
    let SelfTestOutcome::Failed(why) = &test.signals[0].1 else {
        unreachable!("{test:?}");
    };
    assert!(why.contains("the heartbeat 7 is left behind"), "{why}");
}
