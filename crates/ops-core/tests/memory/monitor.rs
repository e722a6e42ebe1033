//! The monitoring account in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ops_core::id::{IdempotencyKey, MonitorId};
use ops_core::memory::MemoryMonitor;
use ops_core::monitor::{
    Beat, BeatKind, CreateMaintenanceRequest, DeployMarker, ErrorEvent, ErrorSink, Heartbeat,
    HeartbeatSpec, HeartbeatState, Heartbeats, HttpTarget, MaintenanceState, MaintenanceWindows,
    Monitor, MonitorLimits, MonitorSpec, MonitorState, MonitorTarget, PageStatus, StatusPages,
    StatusUpdate, UptimeMonitors, UptimeReport,
};
use ops_core::usage::Period;
use ops_core::{Clock, EnsureOutcome, ErrorKind, MonitorExt, Secret};

use crate::support::{ManualClock, all};

mod conformance {
    use ops_conformance::memory::MemoryMonitorFixture;

    ops_conformance::monitor!(MemoryMonitorFixture::new());
}

const MINUTE: Duration = Duration::from_secs(60);

fn monitor() -> (Arc<ManualClock>, MemoryMonitor) {
    let clock = ManualClock::new();
    (Arc::clone(&clock), MemoryMonitor::with_clock(clock))
}

async fn check(monitor: &MemoryMonitor) -> MonitorId {
    let spec = MonitorSpec::http("a", "https://a.example/health?key=1");
    monitor.ensure_monitor(spec).await.unwrap().resource.id
}

async fn nightly(monitor: &MemoryMonitor) -> Heartbeat {
    let spec = HeartbeatSpec::new("backup", MINUTE * 60).with_grace(MINUTE * 5);
    monitor.ensure_heartbeat(spec).await.unwrap().resource
}

#[tokio::test]
async fn limits_of_the_plan_are_enforced() {
    let limits = MonitorLimits::default()
        .with_min_interval(MINUTE * 5)
        .with_max_monitors(1);
    let monitor = MemoryMonitor::with_limits(ManualClock::new(), limits);
    assert_eq!(monitor.limits(), limits);
    let fast = MonitorSpec::http("a", "https://a.example").with_interval(MINUTE);
    let err = monitor.ensure_monitor(fast).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    check(&monitor).await;
    let second = MonitorSpec::http("b", "https://b.example");
    let err = monitor.ensure_monitor(second).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
    let heartbeat = monitor
        .ensure_heartbeat(HeartbeatSpec::new("h", MINUTE))
        .await;
    assert_eq!(heartbeat.unwrap_err().kind(), ErrorKind::QuotaExceeded);
}

#[tokio::test]
async fn a_header_that_changes_is_an_update_and_is_never_shown() {
    let (_, monitor) = monitor();
    let with_token = |token: &str| {
        let headers = BTreeMap::from([("authorization".to_owned(), Secret::from(token))]);
        let target = HttpTarget::new("https://a.example").with_headers(headers);
        MonitorSpec::new("a", MonitorTarget::Http(target))
    };
    assert!(!format!("{:?}", with_token("canary")).contains("canary"));
    monitor.ensure_monitor(with_token("canary")).await.unwrap();
    let same = monitor.ensure_monitor(with_token("canary")).await.unwrap();
    assert_eq!(same.outcome, EnsureOutcome::Unchanged);
    let other = monitor.ensure_monitor(with_token("other")).await.unwrap();
    assert_eq!(other.outcome, EnsureOutcome::Updated);
    assert!(!format!("{other:?}").contains("other"));
}

#[tokio::test]
async fn a_target_is_told_without_its_query() {
    let (_, monitor) = monitor();
    let id = check(&monitor).await;
    let info = UptimeMonitors::monitor(&monitor, &id).await.unwrap();
    assert_eq!(info.target.as_deref(), Some("https://a.example/health"));
}

#[tokio::test]
async fn silence_beyond_period_and_grace_is_the_alarm() {
    let (clock, monitor) = monitor();
    let heartbeat = nightly(&monitor).await;
    let state = async || monitor.heartbeat(&heartbeat.id).await.unwrap().state;
    clock.advance(MINUTE * 1000);
    assert_eq!(state().await, HeartbeatState::Pending);
    monitor.beat(&heartbeat, Beat::success()).await.unwrap();
    clock.advance(MINUTE * 65);
    assert_eq!(state().await, HeartbeatState::Up);
    clock.advance(Duration::from_secs(1));
    assert_eq!(state().await, HeartbeatState::Down);
    monitor.beat(&heartbeat, Beat::success()).await.unwrap();
    assert_eq!(state().await, HeartbeatState::Up);
}

#[tokio::test]
async fn a_run_that_starts_and_never_ends_does_not_put_off_the_alarm() {
    let (clock, monitor) = monitor();
    let heartbeat = nightly(&monitor).await;
    monitor.beat(&heartbeat, Beat::success()).await.unwrap();
    clock.advance(MINUTE * 60);
    monitor
        .beat(&heartbeat, Beat::new(BeatKind::Start))
        .await
        .unwrap();
    let state = async || monitor.heartbeat(&heartbeat.id).await.unwrap().state;
    assert_eq!(state().await, HeartbeatState::Running);
    clock.advance(MINUTE * 6);
    assert_eq!(state().await, HeartbeatState::Down);
}

#[tokio::test]
async fn beats_are_recorded_with_their_text_cut_at_a_character() {
    let (_, monitor) = monitor();
    let heartbeat = nightly(&monitor).await;
    let beat = Beat::new(BeatKind::Exit(3))
        .with_run("r1")
        .with_message("é".repeat(6_000));
    monitor.beat(&heartbeat, beat).await.unwrap();
    let beats = monitor.beats(&heartbeat.id).unwrap();
    assert_eq!(beats[0].beat.kind.is_success(), Some(false));
    assert_eq!(beats[0].beat.message.as_ref().unwrap().len(), 10_000);
    let odd = Beat::success().with_message("aé");
    assert_eq!(odd.message_within(2), Some("a"));
}

#[tokio::test]
async fn errors_are_scrubbed_when_they_are_taken_and_arrive_when_they_are_flushed() {
    let (clock, monitor) = monitor();
    let headers = BTreeMap::from([("cookie".to_owned(), "session=canary".to_owned())]);
    let event = ErrorEvent::new(clock.now(), "io::Error", "reset").with_headers(headers);
    let id = monitor.capture(event);
    assert!(monitor.events().is_empty());
    monitor.flush(Duration::from_secs(1)).await.unwrap();
    let events = monitor.events();
    assert_eq!(events[0].0, id);
    assert!(events[0].1.headers.is_empty());
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_error_and_counts_it() {
    let (clock, monitor) = monitor();
    for number in 0..1_026 {
        monitor.capture(ErrorEvent::new(clock.now(), "x", number.to_string()));
    }
    assert_eq!(monitor.dropped_events(), 2);
    monitor.flush(Duration::from_secs(1)).await.unwrap();
    assert_eq!(monitor.events().len(), 1_024);
    assert_eq!(monitor.events()[0].1.message, "2");
}

#[tokio::test]
async fn uptime_is_the_part_of_the_watched_time() {
    let (clock, monitor) = monitor();
    let start = clock.now();
    let id = check(&monitor).await;
    clock.advance(MINUTE * 10);
    for (state, minutes) in [
        (MonitorState::Up, 60),
        (MonitorState::Down, 20),
        (MonitorState::Up, 10),
    ] {
        monitor.observe(&id, state).unwrap();
        clock.advance(MINUTE * minutes);
    }
    monitor.pause_monitor(&id).await.unwrap();
    clock.advance(MINUTE * 100);
    let period = Period::new(start, clock.now()).unwrap();
    let summary = monitor.uptime(&id, period).await.unwrap();
    assert_eq!(summary.ratio, Some(70.0 / 90.0));
    assert_eq!(
        (summary.downtime, summary.outages),
        (Some(MINUTE * 20), Some(1))
    );
    assert_eq!(summary.meets(0.995), Some(false));

    let pending = Period::new(start, start.saturating_add(MINUTE * 10)).unwrap();
    assert_eq!(monitor.uptime(&id, pending).await.unwrap().ratio, None);
    let future = Period::new(clock.now(), clock.now().saturating_add(MINUTE)).unwrap();
    let err = monitor.uptime(&id, future).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_window_holds_for_its_monitors_while_it_lasts() {
    let (clock, monitor) = monitor();
    let id = check(&monitor).await;
    let other = MonitorSpec::http("b", "https://b.example");
    let other = monitor.ensure_monitor(other).await.unwrap().resource.id;
    monitor.observe(&id, MonitorState::Up).unwrap();
    let key = IdempotencyKey::new("window").unwrap();
    let starts_at = clock.now().saturating_add(MINUTE);
    let request = CreateMaintenanceRequest::new("upgrade", starts_at, MINUTE * 30)
        .with_monitors(vec![id.clone()])
        .with_idempotency_key(key);
    let window = monitor.create_maintenance(request.clone()).await.unwrap();
    assert_eq!(monitor.create_maintenance(request).await.unwrap(), window);
    assert_eq!(window.state, MaintenanceState::Scheduled);

    let state = async |id| UptimeMonitors::monitor(&monitor, id).await.unwrap().state;
    assert_eq!(state(&id).await, MonitorState::Up);
    clock.advance(MINUTE);
    assert_eq!(state(&id).await, MonitorState::Maintenance);
    assert_eq!(state(&other).await, MonitorState::Pending);
    clock.advance(MINUTE * 30);
    assert_eq!(state(&id).await, MonitorState::Up);
    assert_eq!(
        all(monitor.list_maintenance()).await[0].state,
        MaintenanceState::Ended
    );
    monitor.delete_maintenance(&window.id).await.unwrap();
    monitor.delete_maintenance(&window.id).await.unwrap();

    let over = CreateMaintenanceRequest::new("late", starts_at, MINUTE);
    let err = monitor.create_maintenance(over).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_is_written_on_a_page_is_there() {
    let (clock, monitor) = monitor();
    let page = monitor.seed_status_page("Shop").unwrap();
    let update = StatusUpdate::new("Slow", "We are looking into it.");
    let update = update.with_status(PageStatus::Degraded);
    monitor
        .post_status_update(&page, update.clone())
        .await
        .unwrap();
    let described = monitor.status_page(&page).await.unwrap();
    assert_eq!(described.status, Some(PageStatus::Degraded));
    assert_eq!(described.updated_at, Some(clock.now()));
    assert_eq!(monitor.status_updates(&page).unwrap()[0].update, update);
    assert_eq!(all(monitor.list_status_pages()).await, [described]);
}

#[tokio::test]
async fn a_deployment_is_marked() {
    let (clock, monitor) = monitor();
    let marker = DeployMarker::new("1.4.2", clock.now()).with_environment("production");
    let markers = monitor.require_deploy_markers().unwrap();
    markers.mark_deploy(marker.clone()).await.unwrap();
    assert_eq!(monitor.deploy_markers(), [marker]);
    let nameless = markers
        .mark_deploy(DeployMarker::new("", clock.now()))
        .await
        .unwrap_err();
    assert_eq!(nameless.kind(), ErrorKind::InvalidInput);
}
