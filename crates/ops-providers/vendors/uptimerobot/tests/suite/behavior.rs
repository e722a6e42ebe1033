//! What is UptimeRobot's own: one listing for all checks, keys in tags, a limit of the plan.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_core::id::{HeartbeatId, MonitorId};
use ops_core::monitor::{
    HeartbeatSpec, Heartbeats, HttpTarget, Monitor, MonitorSpec, MonitorTarget, UptimeMonitors,
};
use ops_core::{EnsureOutcome, ErrorKind, MonitorExt, Retry};
use ops_http::test_util::{MockServer, respond};
use ops_http::{Limits, RetryPolicy};
use ops_uptimerobot::UptimeRobot;
use serde_json::json;

use crate::fake::Fake;

mod heartbeats;
mod windows;

const HOUR: Duration = Duration::from_secs(3_600);

fn specs(keys: &[&str]) -> Vec<MonitorSpec> {
    let spec = |key: &&str| MonitorSpec::http(*key, format!("https://{key}.example/health"));
    keys.iter().map(spec).collect()
}

async fn ensure(robot: &UptimeRobot, keys: &[&str]) -> Vec<EnsureOutcome> {
    let answers = robot.ensure_monitors(specs(keys)).await.unwrap();
    let answers = answers.into_iter();
    answers.map(|it| it.unwrap().outcome).collect()
}

#[tokio::test]
async fn all_checks_are_compared_with_one_listing() {
    let fake = Fake::start();
    let robot = fake.robot();
    let keys = ["a", "b", "c", "d"];
    assert_eq!(ensure(&robot, &keys).await, [EnsureOutcome::Created; 4]);
    let before = fake.requests().len();
    assert_eq!(ensure(&robot, &keys).await, [EnsureOutcome::Unchanged; 4]);
    // The fake's pages hold 3.
    let requests = fake.requests();
    let cursor = fake.state().monitors[2].id;
    let pages = [
        "/monitors?limit=200".to_owned(),
        format!("/monitors?limit=200&cursor={cursor}"),
    ];
    assert_eq!(requests[before..], pages.map(|it| format!("GET {it}")));
}

#[tokio::test]
async fn one_check_alone_is_looked_for_by_its_tag() {
    let fake = Fake::start();
    let robot = fake.robot();
    ensure(&robot, &["a", "b", "c", "d"]).await;
    let before = fake.requests().len();
    assert_eq!(ensure(&robot, &["d"]).await, [EnsureOutcome::Unchanged]);
    let requests = fake.requests();
    assert_eq!(
        requests[before..],
        ["GET /monitors?limit=200&tags=ops-key-d"]
    );
}

#[tokio::test]
async fn what_others_made_is_not_touched_whatever_its_name() {
    let fake = Fake::start();
    let other = fake.state().seed_monitor(json!({
        "friendlyName": "shop", "type": "HTTP", "url": "https://shop.example/health",
        "interval": 60, "tagNames": ["production"],
    }));
    assert_eq!(
        ensure(&fake.robot(), &["shop"]).await,
        [EnsureOutcome::Created]
    );
    let mut state = fake.state();
    assert_eq!(state.monitors.len(), 2);
    assert_eq!(
        state
            .monitor(&other.to_string())
            .unwrap()
            .number("interval"),
        Some(60)
    );
}

#[tokio::test]
async fn of_two_checks_with_one_key_the_older_one_is_kept_as_it_should_be() {
    let fake = Fake::start();
    let robot = fake.robot();
    let first = robot
        .ensure_monitor(specs(&["shop"]).remove(0))
        .await
        .unwrap();
    let fields = fake.state().monitors[0].fields.clone();
    fake.state().make_monitor(fields);
    let changed = specs(&["shop"]).remove(0).with_interval(HOUR);
    let again = robot.ensure_monitor(changed).await.unwrap();
    assert_eq!(again.outcome, EnsureOutcome::Updated);
    assert_eq!(again.resource.id, first.resource.id);
}

#[tokio::test]
async fn a_check_and_a_heartbeat_may_have_the_same_key() {
    let fake = Fake::start();
    let robot = fake.robot();
    let spec = HeartbeatSpec::new("backup", HOUR);
    robot.ensure_heartbeat(spec.clone()).await.unwrap();
    assert_eq!(ensure(&robot, &["backup"]).await, [EnsureOutcome::Created]);
    assert_eq!(
        ensure(&robot, &["backup"]).await,
        [EnsureOutcome::Unchanged]
    );
    let again = robot.ensure_heartbeat(spec).await.unwrap();
    assert_eq!(again.outcome, EnsureOutcome::Unchanged);
    // And neither is the other, whatever id is asked for.
    let heartbeat = MonitorId::new(again.resource.id.as_str()).unwrap();
    let err = robot.monitor(&heartbeat).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
    let checks: Vec<_> = robot.list_monitors().try_collect().await.unwrap();
    let check = HeartbeatId::new(checks[0].id.as_str()).unwrap();
    let err = robot.heartbeat(&check).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert_eq!(checks.len(), 1);
}

#[tokio::test]
async fn a_check_of_another_type_is_in_the_way_and_named() {
    let fake = Fake::start();
    let robot = fake.robot();
    let made = robot
        .ensure_monitor(specs(&["shop"]).remove(0))
        .await
        .unwrap();
    let before = fake.requests().len();
    let target = HttpTarget::new("https://shop.example/health").with_keyword("ok");
    let spec = MonitorSpec::new("shop", MonitorTarget::Http(target));
    let err = robot.ensure_monitor(spec).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
    assert_eq!(err.resource(), Some(made.resource.id.as_str()));
    let told = "it is of type HTTP and cannot become KEYWORD: delete it first";
    assert_eq!(err.message(), told);
    assert_eq!(fake.requests().len(), before + 1, "nothing but the listing");
}

#[tokio::test]
async fn a_name_that_comes_back_escaped_is_no_difference() {
    let fake = Fake::start();
    let robot = fake.robot();
    let target = HttpTarget::new("https://shop.example/?a=1&b=2").with_keyword("\"<b>\"");
    let spec = MonitorSpec::new("Shop & Co", MonitorTarget::Http(target));
    let made = robot.ensure_monitor(spec.clone()).await.unwrap().resource;
    assert_eq!(
        (made.name.as_str(), made.key.as_deref()),
        ("Shop & Co", Some("Shop & Co"))
    );
    let again = robot.ensure_monitor(spec).await.unwrap();
    assert_eq!(again.outcome, EnsureOutcome::Unchanged);
}

#[tokio::test]
async fn nothing_is_sent_for_checks_that_cannot_be() {
    let fake = Fake::start();
    let robot = fake.builder().min_interval(HOUR).build().unwrap();
    assert_eq!(robot.limits().min_interval, Some(HOUR));
    let answers = robot.ensure_monitors(specs(&["a", "b"])).await.unwrap();
    for answer in answers {
        let err = answer.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
        assert_eq!(err.provider().unwrap().as_str(), "uptimerobot");
    }
    assert_eq!(fake.requests(), [""; 0]);
}

fn at(server: &MockServer) -> UptimeRobot {
    let backoff = Duration::from_millis(1);
    UptimeRobot::builder("u1-key")
        .base_url(server.base_url())
        .heartbeat_url(server.base_url())
        .allow_http(true)
        .retry(RetryPolicy::default().with_backoff(backoff, backoff))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_create_is_not_sent_again_when_its_outcome_is_unknown() {
    let empty = json!({ "nextLink": null, "data": [] });
    let server = MockServer::start([respond(200).json(&empty), respond(504)]);
    let spec = specs(&["a"]).remove(0);
    let err = at(&server).ensure_monitor(spec).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Timeout, Retry::OutcomeUnknown)
    );
    server.assert_requests(["GET /monitors?limit=200&tags=ops-key-a", "POST /monitors"]);
}

#[tokio::test]
async fn pausing_is_sent_again_for_twice_is_the_same_as_once() {
    let server = MockServer::start([respond(504), respond(201).json(&json!({}))]);
    let check = MonitorId::new("7").unwrap();
    at(&server).pause_monitor(&check).await.unwrap();
    server.assert_requests(["POST /monitors/7/pause", "POST /monitors/7/pause"]);
}

#[tokio::test]
async fn no_more_is_sent_than_the_plan_allows() {
    let fake = Fake::start();
    let policy = RetryPolicy::default().with_deadline(Duration::from_millis(300));
    let two = Limits::new(NonZeroU32::new(2).unwrap(), Duration::from_secs(60));
    let builder = fake.builder().limits(two).retry(policy);
    let robot = builder.build().unwrap();
    robot.describe().await.unwrap();
    robot.describe().await.unwrap();
    let err = robot.describe().await.unwrap_err();
    assert_eq!((err.kind(), err.retry()), (ErrorKind::Timeout, Retry::Safe));
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn the_account_and_its_plan_are_told() {
    let fake = Fake::start();
    let account = fake.robot().describe().await.unwrap();
    assert_eq!(account.account, "casey@shop.example");
    assert_eq!(account.plan.as_deref(), Some("Free"));
}
