//! Maintenance, dependencies, giving up, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ops_health::{
    DrainPlan, Health, Host, Lifecycle, MaintenanceWindow, Outcome, Policy, Question, Scope, Status,
};
use ops_testkit::ManualClock;
use tokio::time::{Instant, sleep};

use crate::support::{Scripted, codes, get, get_authorized, seconds, service, settle};

fn window(from: &str, until: &str) -> MaintenanceWindow {
    MaintenanceWindow::new(from.parse().unwrap(), until.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_window_of_maintenance_begins_and_ends_by_itself() {
    let clock = ManualClock::at("2026-03-01T02:59:59Z");
    let health = service()
        .clock(Arc::new(clock.clone()))
        .check(Scripted::failing("db"))
        .maintenance_window(window("2026-03-01T03:00:00Z", "2026-03-01T04:00:00Z"))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    assert_eq!(codes(&health), [200, 200, 503, 503]);
    clock.advance(seconds(1));
    assert_eq!(health.lifecycle(), Lifecycle::Maintenance);
    assert_eq!(codes(&health), [200, 200, 503, 200]);
    assert_eq!(get(&health, "/health").json()["maintenance"], true);
    clock.advance(seconds(3600));
    assert_eq!(codes(&health), [200, 200, 503, 503]);
    health.schedule_maintenance(window("2026-03-01T04:00:00Z", "2026-03-01T05:00:00Z"));
    assert_eq!(health.lifecycle(), Lifecycle::Maintenance);
    // A clock that jumps back ends what has not begun.
    clock.step_back(seconds(2 * 3600));
    assert_eq!(health.lifecycle(), Lifecycle::Serving);
}

#[tokio::test(start_paused = true)]
async fn the_failure_at_the_end_of_the_chain_is_told_as_the_cause() {
    let db = Scripted::healthy("db");
    let outbox = Scripted::healthy("outbox");
    let health = service()
        .check(Scripted::failing("mailer"))
        .depends_on("outbox")
        .check(outbox.clone())
        .depends_on("db")
        .check(db.clone())
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    let cause = |name: &str| {
        let all = health.checks();
        let check = all.iter().find(|check| check.name == name).unwrap();
        check.caused_by.clone()
    };
    assert_eq!(cause("mailer"), None);
    db.returns(Outcome::unhealthy(ops_health::Code::Refused));
    outbox.returns(Outcome::unhealthy(ops_health::Code::Failed));
    sleep(seconds(30)).await;
    assert_eq!(cause("mailer").as_deref(), Some("db"));
    assert_eq!(cause("outbox").as_deref(), Some("db"));
    assert_eq!(cause("db"), None);
    let shown = get_authorized(&health, "/health").json();
    assert_eq!(shown["checks"]["mailer"]["causedBy"], "db");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_for_too_long_ends_the_service() {
    let check = Scripted::healthy("db");
    let health = service()
        .check(check.clone())
        .policy(|policy| policy.with_unrecoverable_after(seconds(60)))
        .drain_plan(DrainPlan::new(seconds(5), seconds(10)))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    check.returns(Outcome::unhealthy(ops_health::Code::Refused));
    // Unhealthy from 20 s on, but back before the minute is over.
    sleep(seconds(70)).await;
    check.returns(Outcome::healthy());
    sleep(seconds(30)).await;
    assert_eq!(
        (health.gave_up_on(), health.lifecycle()),
        (None, Lifecycle::Serving)
    );

    check.returns(Outcome::unhealthy(ops_health::Code::Refused));
    let failed = Instant::now();
    health.shutdown_requested().await;
    // Detection, the minute, a retry interval, and the delay of the drain.
    let after = failed.elapsed().as_secs();
    assert!((70..=95).contains(&after), "{after}");
    assert_eq!(health.gave_up_on(), Some("db"));
    assert_eq!(health.verdict(Question::Ready).status, Status::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_flushed_gets_the_last_tenth_of_the_cap() {
    let written: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&written);
    let health = service()
        .drain_plan(DrainPlan::new(seconds(1), seconds(5)))
        .flush("logs", async move {
            sleep(Duration::from_millis(400)).await;
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .flush("stuck", std::future::pending())
        .flush("broken", async { panic!("a flush panics on purpose") })
        .build()
        .unwrap();
    let began = Instant::now();
    health.drain().await;
    // A connection is open until it is dropped.
    health.stopped().await;
    assert_eq!(began.elapsed().as_millis() / 100, 55);
    assert_eq!(health.finish().await, ["stuck"]);
    assert_eq!(written.load(Ordering::SeqCst), 1);
    assert_eq!(began.elapsed().as_secs(), 6);
    assert!(health.finish().await.is_empty(), "it is flushed once");
}

#[test]
fn only_a_service_that_depends_on_itself_alone_is_probed_for_readiness_where_that_restarts() {
    let alone = Health::builder()
        .check(Scripted::healthy("disk"))
        .build()
        .unwrap();
    let shared = Health::builder()
        .check(Scripted::healthy("db"))
        .policy(|policy: Policy| policy.with_scope(Scope::SharedDependency))
        .build()
        .unwrap();
    for host in [Host::RENDER, Host::KOYEB] {
        assert_eq!(alone.probe(&host).path, "/health/ready");
        assert_eq!(shared.probe(&host).path, "/health/live");
    }
    assert_eq!(shared.probe(&Host::KUBERNETES).path, "/health/ready");
}
