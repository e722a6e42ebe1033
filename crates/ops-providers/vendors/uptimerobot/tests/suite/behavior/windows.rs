//! Windows without a zone, texts on status pages, and reports.

use std::time::Duration;

use futures_util::TryStreamExt;
use ops_core::id::{IdempotencyKey, MonitorId, StatusPageId};
use ops_core::monitor::{
    CreateMaintenanceRequest, MaintenanceWindows, StatusPages, StatusUpdate, UptimeMonitors,
    UptimeReport,
};
use ops_core::usage::Period;
use ops_core::{Clock, ErrorKind, MonitorExt};

use super::{HOUR, ensure, specs};
use crate::fake::Fake;

#[tokio::test]
async fn a_window_with_a_key_is_found_again_by_it() {
    let fake = Fake::start();
    let robot = fake.robot();
    let request = |key: &str| {
        let key = IdempotencyKey::new(key).unwrap();
        let starts_at = fake.clock.now().saturating_add(HOUR);
        CreateMaintenanceRequest::new("Deploy & co", starts_at, HOUR).with_idempotency_key(key)
    };
    let one = robot.create_maintenance(request("k1")).await.unwrap();
    let other = robot.create_maintenance(request("k2")).await.unwrap();
    assert_ne!(one.id, other.id);
    assert_eq!(robot.create_maintenance(request("k1")).await.unwrap(), one);
    assert_eq!(one.title, "Deploy & co");
    assert_eq!(fake.state().windows.len(), 2);
}

#[tokio::test]
async fn a_window_holds_for_its_checks_and_for_no_other() {
    let fake = Fake::start();
    let robot = fake.robot();
    ensure(&robot, &["a", "b", "c", "d"]).await;
    let checks: Vec<_> = robot.list_monitors().try_collect().await.unwrap();
    let wanted = vec![checks[3].id.clone(), checks[0].id.clone()];
    let now = fake.clock.now();
    let request = CreateMaintenanceRequest::new("Deploy", now, HOUR);
    let all = robot.create_maintenance(request.clone()).await.unwrap();
    assert_eq!(all.monitors, []);
    let some = request.with_monitors(wanted.clone());
    let made = robot.create_maintenance(some.clone()).await.unwrap();
    assert_eq!(made.monitors, wanted);

    let mut strange = wanted;
    strange.push(MonitorId::new("777").unwrap());
    let request = some.with_monitors(strange);
    let err = robot.create_maintenance(request).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.message()),
        (ErrorKind::NotFound, "777 does not exist")
    );
    assert_eq!(fake.state().windows.len(), 2);
}

#[tokio::test]
async fn a_window_begins_at_the_same_instant_in_every_zone() {
    for minutes in [-480, 0, 330] {
        let fake = Fake::start();
        let robot = fake.builder().utc_offset_minutes(minutes).build().unwrap();
        let starts_at = "2026-11-21T22:30:15Z".parse().unwrap();
        let request = CreateMaintenanceRequest::new("Deploy", starts_at, HOUR);
        let made = robot.create_maintenance(request).await.unwrap();
        assert_eq!(made.starts_at, starts_at, "{minutes}");
        let sent = fake.state().windows[0]["time"].clone();
        let times = [(-480, "14:30:15"), (0, "22:30:15"), (330, "04:00:15")];
        assert!(
            times
                .iter()
                .any(|(at, time)| *at == minutes && sent == *time),
            "{sent}"
        );
    }
}

#[tokio::test]
async fn a_text_that_does_not_fit_is_not_written() {
    let fake = Fake::start();
    let robot = fake.robot();
    let page = fake.state().seed_page("Shop");
    let id = StatusPageId::new(page.to_string()).unwrap();
    for update in [
        StatusUpdate::new("é".repeat(256), "text"),
        StatusUpdate::new("title", "é".repeat(2_001)),
    ] {
        let err = robot.post_status_update(&id, update).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }
    let update = StatusUpdate::new("é".repeat(255), "é".repeat(2_000));
    robot.post_status_update(&id, update).await.unwrap();
    let written = fake.state().pages[0].announcements.clone();
    assert_eq!(written.len(), 1);
    assert_eq!(written[0]["status"], "Published");
}

#[tokio::test]
async fn a_report_tells_the_outages_and_how_fast_it_answered() {
    let fake = Fake::start();
    let robot = fake.robot();
    let spec = specs(&["shop"]).remove(0);
    let check = robot.ensure_monitor(spec).await.unwrap().resource.id;
    for found in ["UP", "DOWN", "UP"] {
        let mut state = fake.state();
        let now = state.now();
        state
            .monitor(check.as_str())
            .unwrap()
            .log
            .push((now, found));
        drop(state);
        fake.clock.advance(HOUR);
    }
    let now = fake.clock.now();
    let period = Period::new(now.saturating_sub(4 * HOUR), now).unwrap();
    let before = fake.requests().len();
    let summary = robot.uptime(&check, period).await.unwrap();
    assert_eq!(fake.requests().len(), before + 3);
    assert!(
        summary
            .ratio
            .is_some_and(|it| (it - 2.0 / 3.0).abs() < 1e-9),
        "{summary:?}"
    );
    assert_eq!(summary.downtime, Some(HOUR));
    assert_eq!(summary.outages, Some(1));
    assert_eq!(summary.mean_response, Some(Duration::from_micros(120_500)));
    assert_eq!(summary.period, period);
}

#[tokio::test]
async fn a_report_for_more_than_90_days_or_before_the_check_was_there_is_none() {
    let fake = Fake::start();
    let robot = fake.robot();
    let spec = specs(&["shop"]).remove(0);
    let check = robot.ensure_monitor(spec).await.unwrap().resource.id;
    let now = fake.clock.now();
    fake.state().monitors[0].log.push((now, "UP"));
    let day = 24 * HOUR;
    let long = Period::new(now.saturating_sub(91 * day), now).unwrap();
    let err = robot.uptime(&check, long).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    let early = Period::new(now.saturating_sub(2 * day), now.saturating_sub(day)).unwrap();
    assert_eq!(robot.uptime(&check, early).await.unwrap().ratio, None);
}
