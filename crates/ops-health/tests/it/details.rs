//! Bodies with details are kept for a moment: what they show must change with everything
//! that they show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ops_health::{Code, Health, Outcome, Scheduler};
use ops_testkit::ManualClock;
use tokio::time::{Instant, advance, sleep};

use crate::support::{Scripted, get, get_authorized, seconds, service, settle};

struct Service {
    health: Health,
    scheduler: Scheduler,
    clock: ManualClock,
    database: Scripted,
    /// Of the second of two signals. The first never holds.
    signal: Arc<AtomicBool>,
}

/// A service under a wall clock that stands still, as does the one of timers: nothing but
/// what a test changes tells one request from the next.
async fn example() -> Service {
    let clock = ManualClock::default();
    let database = Scripted::healthy("database");
    let signal = Arc::new(AtomicBool::new(true));
    let holds = Arc::clone(&signal);
    let health = service()
        .clock(Arc::new(clock.clone()))
        .check(database.clone())
        .check(Scripted::healthy("cache"))
        .non_critical()
        .liveness("lost", || false)
        .liveness("worker", move || holds.load(Ordering::SeqCst))
        .build()
        .unwrap();
    let scheduler = health.start().unwrap();
    settle().await;
    Service {
        health,
        scheduler,
        clock,
        database,
        signal,
    }
}

fn body(health: &Health) -> serde_json::Value {
    get_authorized(health, "/health").json()
}

#[tokio::test(start_paused = true)]
async fn details_of_the_same_moment_are_the_same_bytes() {
    let it = example().await;
    let [first, second] = [(); 2].map(|()| get_authorized(&it.health, "/health").body);
    assert_eq!(first, second);
    assert!(first.contains("database"), "{first}");
}

#[tokio::test(start_paused = true)]
async fn details_show_a_result_as_soon_as_it_is_there() {
    let it = example().await;
    assert!(body(&it.health)["checks"]["database"]["detail"].is_null());
    it.database
        .returns(Outcome::healthy().with_detail("reached by another way"));
    sleep(seconds(10)).await;
    settle().await;
    let detail = &body(&it.health)["checks"]["database"]["detail"];
    assert_eq!(detail, "reached by another way");
}

#[tokio::test(start_paused = true)]
async fn details_show_a_gate_that_opens_in_the_same_moment() {
    let (open, opened) = tokio::sync::oneshot::channel::<()>();
    let health = service()
        .clock(Arc::new(ManualClock::default()))
        .startup_gate("migrations", async {
            let _ = opened.await;
            Ok(())
        })
        .startup_gate("never", std::future::pending())
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    let begun = Instant::now();
    assert_eq!(body(&health)["gates"]["migrations"], "unknown");
    open.send(()).unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(body(&health)["gates"]["migrations"], "healthy");
    assert_eq!(begun.elapsed(), Duration::ZERO, "a moment has passed");
}

#[tokio::test(start_paused = true)]
async fn details_show_a_signal_that_changes_no_verdict() {
    let it = example().await;
    assert_eq!(body(&it.health)["liveness"]["worker"], true);
    it.signal.store(false, Ordering::SeqCst);
    assert_eq!(body(&it.health)["liveness"]["worker"], false);
}

#[tokio::test(start_paused = true)]
async fn details_show_the_age_of_results_though_the_wall_clock_stands_still() {
    let Service {
        health, scheduler, ..
    } = example().await;
    drop(scheduler);
    assert_eq!(body(&health)["checks"]["cache"]["status"], "healthy");
    advance(seconds(33)).await;
    let cache = &body(&health)["checks"]["cache"];
    assert_eq!(
        (&cache["status"], &cache["code"]),
        (&"unhealthy".into(), &"stale".into())
    );
}

#[tokio::test(start_paused = true)]
async fn details_show_the_time_though_the_clock_of_timers_stands_still() {
    let it = example().await;
    assert_eq!(body(&it.health)["timestamp"], "2026-01-01T00:00:00Z");
    it.clock.advance(Duration::from_millis(10));
    assert_eq!(body(&it.health)["timestamp"], "2026-01-01T00:00:00.01Z");
    it.clock.step_back(Duration::from_millis(1));
    assert_eq!(body(&it.health)["timestamp"], "2026-01-01T00:00:00.009Z");
}

#[tokio::test(start_paused = true)]
async fn each_caller_gets_its_own_body_whoever_asked_before() {
    let it = example().await;
    let whole = get_authorized(&it.health, "/health").body;
    let anonymous = get(&it.health, "/health").body;
    assert!(!anonymous.contains("database"), "{anonymous}");
    let part = get_authorized(&it.health, "/health?exclude=database").body;
    assert!(
        !part.contains("database") && part.contains("cache"),
        "{part}"
    );
    let draft = get_authorized(&it.health, "/health?format=draft").body;
    assert!(draft.contains("componentType"), "{draft}");
    assert_eq!(get_authorized(&it.health, "/health").body, whole);
    assert_eq!(get(&it.health, "/health").body, anonymous);
}

#[tokio::test(start_paused = true)]
async fn details_of_checks_on_demand_show_what_readers_have_asked_for() {
    let database = Scripted::new("database", Outcome::degraded(Code::Saturated));
    let health = service()
        .check(database)
        .on_demand(seconds(10))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    assert!(body(&health)["checks"]["database"]["refreshing"].is_null());
    // Its result expires; the second reader is told that the first one asked.
    advance(seconds(11)).await;
    body(&health);
    assert_eq!(body(&health)["checks"]["database"]["refreshing"], true);
}
