//! The watchdog on real threads: a paused clock would not be seen by them.

use std::sync::mpsc;
use std::time::Duration;

use ops_health::{Code, Health, Status, Watchdog};
use ops_testkit::wait_until;

use crate::support::{exact, get, seconds, service};

fn watchdog() -> Watchdog {
    Watchdog::new()
        .interval(Duration::from_millis(10))
        .dead_after(seconds(1))
}

fn watched(watchdog: Watchdog) -> Health {
    service()
        .watchdog(watchdog)
        .policy(|_| {
            exact()
                .with_interval(Duration::from_millis(50))
                .with_thresholds(1, 1)
        })
        .non_critical()
        .build()
        .unwrap()
}

#[test]
fn a_blocked_loop_is_seen_from_outside_and_makes_the_process_dead() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let watchdog = watchdog();
    let health = watched(watchdog.clone());
    let (block, blocked) = mpsc::channel::<()>();
    let seen = health.clone();
    let outside = std::thread::spawn(move || {
        let until = |what: &str, condition: &dyn Fn() -> bool| {
            let began = std::time::Instant::now();
            while !condition() {
                assert!(began.elapsed() < seconds(20), "never {what}");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        until("dead", &|| get(&seen, "/health/live").code() == 503);
        let lag = watchdog.lag();
        assert!(lag.event_loop >= seconds(2), "{lag:?}");
        // Threads for blocking calls are there: it is the loop.
        assert!(lag.blocking_pool < lag.event_loop, "{lag:?}");
        drop(block);
        until("alive", &|| get(&seen, "/health/live").code() == 200);
    });
    runtime.block_on(async {
        let _scheduler = health.start().unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(get(&health, "/health/live").code(), 200);
        // This thread is the loop.
        let _ = blocked.recv();
        tokio::task::spawn_blocking(|| outside.join().unwrap())
            .await
            .unwrap();
    });
}

#[test]
fn exhausted_blocking_threads_are_told_apart_and_kill_nobody() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (go_on, wait) = mpsc::channel::<()>();
    let watchdog = watchdog();
    let health = service().watchdog(watchdog.clone()).build().unwrap();
    runtime.block_on(async {
        let _scheduler = health.start().unwrap();
        tokio::task::spawn_blocking(move || wait.recv());
        wait_until("the threads to be exhausted", seconds(20), async || {
            watchdog.lag().blocking_pool >= seconds(1)
        })
        .await;
        assert_eq!(get(&health, "/health/live").code(), 200);
        let lag = watchdog.lag();
        assert!(lag.event_loop < lag.blocking_pool, "{lag:?}");
        drop(go_on);
        wait_until("the threads to be back", seconds(20), async || {
            watchdog.lag().blocking_pool < Duration::from_millis(500)
        })
        .await;
    });
}

#[tokio::test]
async fn the_check_reports_a_stall_that_is_over() {
    let health = watched(watchdog());
    let _scheduler = health.start().unwrap();
    wait_until("a first result", seconds(20), async || {
        health
            .checks()
            .iter()
            .any(|check| check.checked_at.is_some())
    })
    .await;
    // A task that does not leave its worker.
    std::thread::sleep(Duration::from_millis(700));
    wait_until("the stall to be reported", seconds(20), async || {
        let all = health.checks();
        all.iter()
            .any(|check| (check.status, check.code) == (Status::Degraded, Code::ThresholdWarn))
    })
    .await;
}

#[tokio::test]
async fn a_watchdog_watches_one_service() {
    let watchdog = watchdog();
    let first = watched(watchdog.clone());
    let second = watched(watchdog);
    let _scheduler = first.start().unwrap();
    assert!(second.start().is_err());
}
