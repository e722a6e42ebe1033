use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ops_core::ErrorKind;
use ops_health::{CheckReport, Code, Health, Kind, Outcome, Status, check_fn};
use ops_testkit::{ManualClock, wait_until};
use tokio::time::{Instant, advance, sleep};

use crate::support::{Act, Counted, Scripted, codes, exact, get, seconds, service, settle};

fn report(health: &Health, name: &str) -> CheckReport {
    health
        .checks()
        .into_iter()
        .find(|check| check.name == name)
        .unwrap()
}

fn state(health: &Health, name: &str) -> (Status, Code) {
    let report = report(health, name);
    (report.status, report.code)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_readers_cause_one_run_per_interval() {
    let check = Scripted::healthy("db");
    let health = service().check(check.clone()).build().unwrap();
    let _scheduler = health.start().unwrap();
    let readers: Vec<_> = (0..1000)
        .map(|_| {
            let health = health.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    sleep(seconds(1)).await;
                    assert_eq!(get(&health, "/health").code(), 200);
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    // At 0 s, 10 s, ... 90 s, and the one at 100 s may or may not have come first.
    assert!((10..=11).contains(&check.runs()), "{}", check.runs());
}

#[tokio::test(start_paused = true)]
async fn a_failing_check_runs_at_the_retry_interval_until_it_has_settled() {
    let times: Arc<Mutex<Vec<u64>>> = Arc::default();
    let outcomes = Mutex::new(
        [
            Outcome::healthy(),
            Outcome::unhealthy(Code::Refused),
            Outcome::healthy(),
        ]
        .into_iter(),
    );
    let start = Instant::now();
    let seen = Arc::clone(&times);
    let check = check_fn("db", Kind::Datastore, move |_| {
        seen.lock().unwrap().push(start.elapsed().as_secs());
        let outcome = outcomes
            .lock()
            .unwrap()
            .next()
            .unwrap_or_else(Outcome::healthy);
        async { outcome }
    });
    let health = service().check(check).policy(|_| exact()).build().unwrap();
    let _scheduler = health.start().unwrap();
    sleep(seconds(41)).await;
    assert_eq!(*times.lock().unwrap(), [0, 10, 15, 25, 35]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_harms_only_its_own_check() {
    let bad = Scripted::healthy("bad");
    bad.set(Act::Panic("a check panics on purpose"));
    let good = Scripted::healthy("good");
    let health = service()
        .check(bad.clone())
        .check(good.clone())
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    assert_eq!(state(&health, "bad"), (Status::Unhealthy, Code::Panicked));
    assert_eq!(state(&health, "good"), (Status::Healthy, Code::Ok));
    bad.returns(Outcome::healthy());
    sleep(seconds(11)).await;
    assert_eq!(state(&health, "bad"), (Status::Healthy, Code::Ok));
}

#[tokio::test(start_paused = true)]
async fn a_hung_run_is_dropped_at_the_deadline_and_never_runs_twice() {
    let check = Scripted::healthy("db");
    check.set(Act::Hang);
    let health = service().check(check.clone()).build().unwrap();
    let _scheduler = health.start().unwrap();
    sleep(Duration::from_millis(1999)).await;
    assert_eq!(state(&health, "db").0, Status::Unknown);
    assert_eq!(check.running(), 1);
    sleep(Duration::from_millis(3)).await;
    assert_eq!(state(&health, "db"), (Status::Unhealthy, Code::Timeout));
    assert_eq!(check.running(), 0);
    for _ in 0..1000 {
        sleep(Duration::from_millis(100)).await;
        assert!(check.running() <= 1);
    }
    assert!(check.runs() > 10);
}

/// A check whose runs block a thread until they are told to go on.
fn blocking(runs: &Arc<AtomicUsize>) -> (mpsc::Sender<()>, impl ops_health::Check) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let runs = Arc::clone(runs);
    let check = check_fn("nfs", Kind::System, move |ctx| {
        let wait = Arc::clone(&wait);
        runs.fetch_add(1, Ordering::SeqCst);
        async move {
            ctx.blocking(move || wait.lock().unwrap().recv().is_ok())
                .await;
            Outcome::healthy()
        }
    });
    (go_on, check)
}

/// Lets time pass while a thread is blocked: then the paused clock does not move itself.
async fn pass(span: Duration) {
    for _ in 0..20 {
        advance(span / 20).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_blocks_a_thread_is_stuck_and_not_started_again() {
    let runs = Arc::default();
    let (go_on, check) = blocking(&runs);
    let health = service().check(check).policy(|_| exact()).build().unwrap();
    let _scheduler = health.start().unwrap();
    pass(seconds(3)).await;
    assert_eq!(state(&health, "nfs"), (Status::Unhealthy, Code::Timeout));
    pass(seconds(100)).await;
    assert_eq!(state(&health, "nfs"), (Status::Unhealthy, Code::Stuck));
    assert_eq!(runs.load(Ordering::SeqCst), 1);

    // The thread goes on: its late result counts for nothing, but the check runs again.
    let failures = report(&health, "nfs").consecutive_failures;
    go_on.send(()).unwrap();
    while runs.load(Ordering::SeqCst) == 1 {
        assert!(
            report(&health, "nfs").last_success.is_none(),
            "a late result was believed"
        );
        pass(Duration::from_millis(100)).await;
    }
    assert!(report(&health, "nfs").consecutive_failures >= failures);
    drop(go_on);
    pass(seconds(20)).await;
    while state(&health, "nfs").0 != Status::Healthy {
        pass(seconds(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn stuck_runs_hold_no_place_that_other_checks_need() {
    let runs = Arc::default();
    let (_go_on, stuck) = blocking(&runs);
    let good = Scripted::healthy("good");
    let health = service()
        .max_concurrency(1)
        .check(stuck)
        .policy(|_| exact())
        .check(good.clone())
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    pass(seconds(60)).await;
    assert!(good.runs() >= 5, "{}", good.runs());
    assert_eq!(state(&health, "good"), (Status::Healthy, Code::Ok));
}

#[tokio::test]
async fn a_result_after_the_deadline_is_a_timeout() {
    // The only thread of the runtime is blocked, so the deadline and the result are seen
    // together.
    let limit = Duration::from_millis(50);
    let check = check_fn("db", Kind::Datastore, move |_| async move {
        std::thread::sleep(limit * 2);
        Outcome::healthy()
    });
    let health = service().check(check).timeout(limit).build().unwrap();
    let _scheduler = health.start().unwrap();
    wait_until("the first run", seconds(10), async || {
        report(&health, "db").checked_at.is_some()
    })
    .await;
    assert_eq!(state(&health, "db"), (Status::Unhealthy, Code::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_with_the_scheduler_is_no_verdict() {
    let check = Scripted::healthy("db");
    let health = service().check(check.clone()).build().unwrap();
    let scheduler = health.start().unwrap();
    settle().await;
    check.set(Act::Hang);
    sleep(Duration::from_millis(10_500)).await;
    assert_eq!(check.running(), 1);
    scheduler.stop().await;
    settle().await;
    assert_eq!(check.running(), 0, "the run outlived the scheduler");
    assert_eq!(state(&health, "db"), (Status::Healthy, Code::Ok));
    assert_eq!(report(&health, "db").consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_scheduler_turns_every_verdict_unhealthy() {
    let health = service().check(Scripted::healthy("db")).build().unwrap();
    let scheduler = health.start().unwrap();
    settle().await;
    drop(scheduler);
    sleep(seconds(31)).await;
    assert_eq!(codes(&health), [200; 4]);
    sleep(seconds(2)).await;
    assert_eq!(codes(&health), [200, 200, 503, 503]);
    assert_eq!(state(&health, "db"), (Status::Unhealthy, Code::Stale));
}

#[tokio::test(start_paused = true)]
async fn no_more_checks_run_together_than_allowed() {
    let running: Arc<AtomicUsize> = Arc::default();
    let most: Arc<AtomicUsize> = Arc::default();
    let names: Vec<&'static str> = (0..30)
        .map(|i| &*Box::leak(format!("check_{i}").into_boxed_str()))
        .collect();
    let mut builder = service();
    for name in &names {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        let check = check_fn(*name, Kind::Custom, move |_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                let _running = Counted::new(&running);
                most.fetch_max(running.load(Ordering::SeqCst), Ordering::SeqCst);
                sleep(seconds(1)).await;
                Outcome::healthy()
            }
        });
        builder = builder.check(check).policy(|_| exact());
    }
    let health = builder.build().unwrap();
    let _scheduler = health.start().unwrap();
    sleep(seconds(5)).await;
    assert_eq!(most.load(Ordering::SeqCst), 8);
    assert!(
        health
            .checks()
            .iter()
            .all(|check| check.status == Status::Healthy)
    );
}

#[tokio::test(start_paused = true)]
async fn first_runs_are_spread_over_a_second_and_no_longer() {
    let times: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let start = Instant::now();
    let mut builder = Health::builder().max_concurrency(100);
    for i in 0..40 {
        let times = Arc::clone(&times);
        builder = builder.check(check_fn(format!("check_{i}"), Kind::Custom, move |_| {
            times.lock().unwrap().push(start.elapsed());
            async { Outcome::healthy() }
        }));
    }
    let health = builder.build().unwrap();
    let _scheduler = health.start().unwrap();
    sleep(Duration::from_millis(1010)).await;
    let times = times.lock().unwrap();
    assert_eq!(times.len(), 40);
    assert!(times.iter().any(|at| *at < Duration::from_millis(300)));
    assert!(times.iter().any(|at| *at > Duration::from_millis(700)));
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_changes_only_what_is_shown() {
    let clock = ManualClock::at("2026-01-02T03:04:05Z");
    let check = Scripted::healthy("db");
    let health = service()
        .clock(Arc::new(clock.clone()))
        .check(check.clone())
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    for jump in ["2036-01-01T00:00:00Z", "1999-01-01T00:00:00Z"] {
        clock.set(jump.parse().unwrap());
        assert_eq!(codes(&health), [200; 4]);
        let before = check.runs();
        sleep(seconds(60)).await;
        assert_eq!(check.runs() - before, 6);
        assert_eq!(codes(&health), [200; 4]);
        assert_eq!(get(&health, "/health").json()["timestamp"], jump);
        assert_eq!(report(&health, "db").checked_at.unwrap().to_string(), jump);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_told_its_attempt_its_deadline_and_what_was_before() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let check = check_fn("db", Kind::Datastore, move |ctx| {
        let previous = ctx.previous().map(Outcome::code);
        log.lock()
            .unwrap()
            .push((ctx.attempt(), ctx.remaining(), previous));
        async { Outcome::unhealthy(Code::Refused) }
    });
    let health = service().check(check).policy(|_| exact()).build().unwrap();
    let _scheduler = health.start().unwrap();
    sleep(seconds(11)).await;
    let refused = Some(Code::Refused);
    let expected = [
        (1, seconds(2), None),
        (2, seconds(2), refused),
        (3, seconds(2), refused),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn checks_end_when_the_service_stops() {
    let check = Scripted::healthy("db");
    let health = service().check(check.clone()).build().unwrap();
    let _scheduler = health.start().unwrap();
    sleep(seconds(25)).await;
    health.stop();
    let runs = check.runs();
    sleep(seconds(100)).await;
    assert_eq!(check.runs(), runs);
}

#[tokio::test(start_paused = true)]
async fn a_service_starts_once() {
    let health = service().build().unwrap();
    let _scheduler = health.start().unwrap();
    assert_eq!(
        health.clone().start().unwrap_err().kind(),
        ErrorKind::Conflict
    );
}
