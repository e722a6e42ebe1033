//! Checks that run when somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ops_health::{Code, Health, Kind, Mode, Outcome, Policy, Question, Status, check_fn};
use tokio::time::{Instant, sleep};

use crate::support::{Act, Scripted, exact, get, request, seconds, service, settle};

async fn ask(health: &Health, uri: &str) -> u16 {
    health
        .handle(&request("GET", uri, &[]))
        .await
        .status()
        .as_u16()
}

fn on_demand(check: Scripted) -> Health {
    service()
        .check(check)
        .on_demand(seconds(1))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_and_nothing_runs_after_the_first_time() {
    let check = Scripted::healthy("db");
    let health = on_demand(check.clone());
    let _scheduler = health.start().unwrap();
    sleep(seconds(3600)).await;
    assert_eq!(check.runs(), 1);
    // An old answer is no failure where nobody has wanted a new one.
    assert_eq!(health.verdict(Question::Ready).status, Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_readers_cause_one_run_and_all_see_its_result() {
    let check = Scripted::healthy("db");
    let health = on_demand(check.clone());
    let _scheduler = health.start().unwrap();
    sleep(seconds(60)).await;
    check.returns(Outcome::degraded(Code::Saturated));
    for _ in 0..3 {
        // The third worse result in a row counts: see the failure threshold.
        let readers: Vec<_> = (0..1000)
            .map(|_| {
                let health = health.clone();
                tokio::spawn(async move { ask(&health, "/health").await })
            })
            .collect();
        for reader in readers {
            assert_eq!(reader.await.unwrap(), 200);
        }
        sleep(seconds(2)).await;
    }
    assert_eq!(check.runs(), 1 + 3);
    assert_eq!(health.verdict(Question::Health).status, Status::Degraded);
}

#[tokio::test(start_paused = true)]
async fn results_are_kept_for_the_ttl_and_failures_as_well() {
    let check = Scripted::failing("db");
    let health = on_demand(check.clone());
    let _scheduler = health.start().unwrap();
    settle().await;
    for _ in 0..50 {
        assert_eq!(ask(&health, "/health").await, 503);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(check.runs(), 1);
    sleep(seconds(1)).await;
    ask(&health, "/health").await;
    assert_eq!(check.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_the_timeout_at_most_and_then_gets_the_last_state() {
    let check = Scripted::healthy("db");
    let health = on_demand(check.clone());
    let _scheduler = health.start().unwrap();
    sleep(seconds(60)).await;
    check.set(Act::Hang);
    let asked = Instant::now();
    let waiting = {
        let health = health.clone();
        tokio::spawn(async move { ask(&health, "/health").await })
    };
    sleep(seconds(1)).await;
    assert!(health.checks().iter().all(|check| check.refreshing));
    assert_eq!(waiting.await.unwrap(), 200);
    assert!(
        asked.elapsed() <= Duration::from_millis(2010),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_leaves_ends_no_run() {
    let done: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&done);
    let check = check_fn("db", Kind::Datastore, move |_| {
        let done = Arc::clone(&counted);
        async move {
            sleep(seconds(1)).await;
            done.fetch_add(1, Ordering::SeqCst);
            Outcome::healthy()
        }
    });
    let health = service()
        .check(check)
        .policy(|_| exact().with_mode(Mode::OnDemand { ttl: seconds(1) }))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    sleep(seconds(10)).await;
    let impatient = tokio::time::timeout(Duration::from_millis(10), ask(&health, "/health")).await;
    assert!(impatient.is_err());
    sleep(seconds(2)).await;
    assert_eq!(done.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn demand_that_no_scheduler_answers_turns_the_verdict() {
    let health = on_demand(Scripted::healthy("db"));
    let scheduler = health.start().unwrap();
    settle().await;
    drop(scheduler);
    sleep(seconds(60)).await;
    assert_eq!(ask(&health, "/health").await, 200);
    sleep(seconds(6)).await;
    // Nobody is waited for any more.
    let asked = Instant::now();
    assert_eq!(ask(&health, "/health").await, 503);
    assert!(asked.elapsed() < seconds(1));
    let codes: Vec<_> = health.checks().iter().map(|check| check.code).collect();
    assert_eq!(codes, [Code::Stale]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_starts_a_run_for_the_next() {
    let check = Scripted::healthy("db");
    let health = on_demand(check.clone());
    let _scheduler = health.start().unwrap();
    sleep(seconds(60)).await;
    get(&health, "/health");
    assert_eq!(check.runs(), 1);
    settle().await;
    assert_eq!(check.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn probes_of_liveness_wait_for_nothing() {
    let check = Scripted::healthy("db");
    check.set(Act::Hang);
    let health = on_demand(check);
    let _scheduler = health.start().unwrap();
    let asked = Instant::now();
    assert_eq!(ask(&health, "/health/live").await, 200);
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[test]
fn a_ttl_has_a_lower_limit_where_requests_are_paid_for() {
    let policy = Policy::default()
        .with_mode(Mode::OnDemand { ttl: seconds(1) })
        .with_min_interval(seconds(60));
    assert_eq!(policy.stale_after(), seconds(182));
}
