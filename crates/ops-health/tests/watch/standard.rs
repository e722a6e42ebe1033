//! The standard rules, from the state of a service to what people are told.

use std::sync::Arc;
use std::time::Duration;

use ops_core::monitor::IncidentSeverity::{P0, P1, P2, P3};
use ops_core::notifier::NotificationEvent::{self, Firing, Reminder, Resolved};
use ops_health::alert::{Quiet, Sink, archive_failing, standard_rules};
use ops_health::slo::Slo;
use ops_health::traffic::{Served, Traffic};
use ops_health::{Code, Health, Kind, Outcome, Policy, Unit, Watch, check_fn};
use tokio::time::sleep;

use crate::support::{Fake, WallClock, all_over, health, minutes, seconds, watch};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn told(fake: &Fake) -> Vec<(NotificationEvent, String)> {
    let told = fake.told();
    fake.take();
    told
}

fn one(event: NotificationEvent, title: &str) -> Vec<(NotificationEvent, String)> {
    vec![(event, title.to_owned())]
}

/// A service with one check that does what a switch says, and the standard rules.
struct Standard {
    health: Health,
    watch: Watch,
    fake: Fake,
    outcome: Arc<std::sync::Mutex<Outcome>>,
    traffic: Traffic,
    _running: (ops_health::Scheduler, ops_health::WatchTask),
}

impl Standard {
    async fn new(name: &'static str, kind: Kind) -> Self {
        let clock = WallClock::new();
        let outcome = Arc::new(std::sync::Mutex::new(Outcome::healthy()));
        let shared = Arc::clone(&outcome);
        let check = check_fn(name, kind, move |_| {
            let outcome = shared.lock().unwrap().clone();
            async move { outcome }
        });
        let policy = Policy::default().with_jitter(0.0).with_thresholds(1, 1);
        let health = Health::builder()
            .service("shop")
            .clock(Arc::new(clock))
            .first_run_within(Duration::ZERO)
            .check(check)
            .policy(|_| policy)
            .build()
            .unwrap();
        let fake = Fake::new();
        let traffic = Traffic::new();
        let watch = watch(&health)
            .rules(standard_rules(DAY))
            .traffic(traffic.clone())
            .sink(all_over("fake", &fake))
            .build()
            .unwrap();
        let running = (health.start().unwrap(), watch.start().unwrap());
        sleep(seconds(30)).await;
        assert_eq!(fake.events(), [], "all is well at first");
        Self {
            health,
            watch,
            fake,
            outcome,
            traffic,
            _running: running,
        }
    }

    fn returns(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap() = outcome;
    }

    fn observes(&self, name: &'static str, value: f64, unit: Unit) {
        self.returns(Outcome::healthy().with_observation(name, value, unit));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_minute_is_told_at_once_and_its_end_after_two() {
    let all = Standard::new("db", Kind::Datastore).await;
    all.returns(Outcome::unhealthy(Code::Refused));
    sleep(seconds(55)).await;
    assert_eq!(all.fake.events(), []);
    sleep(seconds(20)).await;
    let notes = all.fake.take();
    assert_eq!(notes.len(), 1);
    assert_eq!((notes[0].event, notes[0].severity), (Firing, P0));
    assert_eq!(notes[0].title, "the service is down");
    assert_eq!(
        notes[0].dedup_key.as_str(),
        "shop:prod:service_down:service"
    );
    assert_eq!(notes[0].source.as_deref(), Some("shop:prod"));
    assert_eq!(notes[0].details["cause"], "db (refused)");
    all.returns(Outcome::healthy());
    sleep(seconds(120)).await;
    assert_eq!(all.fake.events(), []);
    sleep(seconds(20)).await;
    let over = all.fake.take();
    assert_eq!(over.len(), 1);
    assert_eq!(
        (over[0].event, &over[0].dedup_key),
        (Resolved, &notes[0].dedup_key)
    );
    assert_eq!(all.watch.alerts(), []);
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_told_to_nobody() {
    let all = Standard::new("db", Kind::Datastore).await;
    for _ in 0..3 {
        all.returns(Outcome::unhealthy(Code::Refused));
        sleep(seconds(40)).await;
        all.returns(Outcome::healthy());
        sleep(minutes(15)).await;
    }
    assert_eq!(all.fake.told(), []);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_comes_and_goes_is_told_until_an_hour_of_quiet() {
    let all = Standard::new("db", Kind::Datastore).await;
    for _ in 0..3 {
        all.returns(Outcome::unhealthy(Code::Refused));
        sleep(seconds(40)).await;
        all.returns(Outcome::healthy());
        sleep(seconds(40)).await;
    }
    sleep(seconds(5)).await;
    assert_eq!(told(&all.fake), one(Firing, "a check comes and goes: db"));
    sleep(minutes(58)).await;
    assert_eq!(told(&all.fake), []);
    sleep(minutes(3)).await;
    assert_eq!(told(&all.fake), one(Resolved, "a check comes and goes: db"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_up_is_told_twice_and_its_lesser_alert_is_explained_by_the_greater() {
    let all = Standard::new("disk", Kind::System).await;
    all.observes("utilization", 0.81, Unit::Ratio);
    sleep(minutes(6)).await;
    let notes = all.fake.take();
    assert_eq!(notes[0].title, "the disk fills up: disk");
    assert_eq!(notes[0].severity, P2);
    assert_eq!(notes[0].details["value"], "81.0 %");
    assert_eq!(notes[0].details["condition"], "above 80.0 %");
    all.observes("utilization", 0.86, Unit::Ratio);
    sleep(minutes(6)).await;
    let notes = all.fake.take();
    assert_eq!(notes.len(), 1);
    assert_eq!(
        (notes[0].severity, notes[0].title.as_str()),
        (P1, "the disk is full: disk")
    );
    assert_eq!(notes[0].details["also affected"], "disk_warn:disk");
    // Between 82 % and 85 % nothing changes, but nobody has acknowledged it.
    all.observes("utilization", 0.83, Unit::Ratio);
    sleep(minutes(4)).await;
    assert_eq!(told(&all.fake), []);
    all.observes("utilization", 0.5, Unit::Ratio);
    sleep(minutes(1)).await;
    let mut over: Vec<_> = all
        .fake
        .told()
        .into_iter()
        .map(|(event, title)| format!("{event} {title}"))
        .collect();
    over.sort();
    assert_eq!(
        over,
        [
            "resolved the disk fills up: disk",
            "resolved the disk is full: disk"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_from_the_start_is_one_message() {
    let all = Standard::new("disk", Kind::System).await;
    all.observes("utilization", 0.99, Unit::Ratio);
    sleep(minutes(6)).await;
    assert_eq!(told(&all.fake), one(Firing, "the disk is full: disk"));
    let quiet: Vec<_> = all
        .watch
        .alerts()
        .into_iter()
        .filter_map(|alert| alert.quiet)
        .collect();
    assert_eq!(
        quiet,
        [Quiet::Suppressed("shop:prod:disk_fail:disk".to_owned())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_does_not_come_is_told_by_its_age() {
    let all = Standard::new("backup", Kind::Backup).await;
    all.observes("age", 24.5 * 3600.0, Unit::Seconds);
    sleep(minutes(17)).await;
    let notes = all.fake.take();
    assert_eq!(
        (notes[0].severity, notes[0].title.as_str()),
        (P1, "the backup is late: backup")
    );
    assert_eq!(notes[0].details["value"], "1 d 30 min");
    all.observes("age", 49.0 * 3600.0, Unit::Seconds);
    sleep(minutes(1)).await;
    let notes = all.fake.take();
    assert_eq!(notes[0].severity, P0);
    assert_eq!(notes[0].details["also affected"], "backup_overdue:backup");
    all.observes("age", 60.0, Unit::Seconds);
    sleep(minutes(1)).await;
    assert_eq!(all.fake.events(), [Resolved, Resolved]);
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_never_was_is_a_risk() {
    let all = Standard::new("backup", Kind::Backup).await;
    all.returns(Outcome::unhealthy(Code::NeverRan));
    sleep(seconds(30)).await;
    assert!(
        all.fake
            .told()
            .iter()
            .any(|(_, title)| title.starts_with("there is no backup"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_backup_is_no_late_drill_and_a_late_drill_is_told_beside_it() {
    let all = Standard::new("backup", Kind::Backup).await;
    let age = |hours: f64, drill_overdue| {
        Outcome::degraded(Code::Overdue)
            .with_observation("age", hours * 3600.0, Unit::Seconds)
            .with_observation("drill_overdue", drill_overdue, Unit::Count)
    };
    all.returns(age(25.0, 0.0));
    sleep(minutes(17)).await;
    let late = "the backup is late: backup";
    assert_eq!(told(&all.fake), one(Firing, late));
    all.returns(age(25.0, 1.0));
    sleep(minutes(1)).await;
    let drill = "no backup was restored lately to test it: backup";
    assert_eq!(told(&all.fake), one(Firing, drill));
    all.returns(age(1.0, 0.0));
    sleep(minutes(1)).await;
    assert_eq!(all.fake.events(), [Resolved, Resolved]);
}

#[tokio::test(start_paused = true)]
async fn memory_that_runs_out_is_told_after_five_minutes_until_it_is_below_eighty_percent() {
    let all = Standard::new("memory", Kind::System).await;
    all.observes("utilization", 0.95, Unit::Ratio);
    sleep(minutes(4)).await;
    assert_eq!(all.fake.told(), []);
    sleep(minutes(2)).await;
    let runs_out = "memory runs out: memory";
    assert_eq!(told(&all.fake), one(Firing, runs_out));
    all.observes("utilization", 0.85, Unit::Ratio);
    sleep(minutes(5)).await;
    assert_eq!(told(&all.fake), []);
    all.observes("utilization", 0.75, Unit::Ratio);
    sleep(minutes(1)).await;
    assert_eq!(told(&all.fake), one(Resolved, runs_out));
}

#[tokio::test(start_paused = true)]
async fn archiving_that_fails_for_an_hour_is_told_at_once_until_it_succeeds() {
    let clock = WallClock::new();
    let health = health(&clock);
    let failing_for = Arc::new(std::sync::Mutex::new(Some(minutes(59))));
    let shared = Arc::clone(&failing_for);
    let fake = Fake::new();
    let watch = watch(&health)
        .rule(archive_failing(move || *shared.lock().unwrap()))
        .sink(all_over("fake", &fake))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    sleep(minutes(1)).await;
    assert_eq!(fake.told(), []);
    *failing_for.lock().unwrap() = Some(minutes(60));
    sleep(seconds(5)).await;
    let notes = fake.take();
    assert_eq!((notes.len(), notes[0].severity), (1, P0));
    *failing_for.lock().unwrap() = None;
    sleep(minutes(1)).await;
    assert_eq!(fake.events(), [Resolved]);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_told_by_how_near_its_end_is() {
    let all = Standard::new("tls", Kind::Certificate).await;
    let severities =
        |fake: &Fake| -> Vec<_> { fake.take().iter().map(|note| note.severity).collect() };
    all.returns(Outcome::degraded(Code::TlsExpiring));
    sleep(minutes(1)).await;
    assert_eq!(severities(&all.fake), [P3]);
    all.returns(Outcome::unhealthy(Code::TlsExpiring));
    sleep(seconds(45)).await;
    assert_eq!(severities(&all.fake), [P1]);
    all.returns(Outcome::unhealthy(Code::TlsExpired));
    sleep(seconds(14)).await;
    assert!(severities(&all.fake).contains(&P0));
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_saturated_only_while_callers_wait() {
    let all = Standard::new("pool", Kind::Pool).await;
    let usage = |used, waiters| {
        Outcome::healthy()
            .with_observation("utilization", used, Unit::Ratio)
            .with_observation("waiters", waiters, Unit::Count)
    };
    all.returns(usage(0.9, 0.0));
    sleep(minutes(5)).await;
    assert_eq!(all.fake.told(), []);
    all.returns(usage(0.9, 3.0));
    sleep(minutes(2)).await;
    let told_of = "the connection pool is full and callers wait: pool";
    assert_eq!(told(&all.fake), one(Firing, told_of));
    all.returns(usage(0.7, 1.0));
    sleep(minutes(5)).await;
    assert_eq!(told(&all.fake), []);
    all.returns(usage(0.5, 0.0));
    sleep(minutes(1)).await;
    assert_eq!(told(&all.fake), one(Resolved, told_of));
}

#[tokio::test(start_paused = true)]
async fn errors_and_slow_answers_are_told_from_twenty_requests_on() {
    let all = Standard::new("db", Kind::Datastore).await;
    let serve = async |good: u64, bad: u64, took, spans: u64| {
        for _ in 0..spans {
            for _ in 0..good {
                all.traffic.record(Served::Ok, took);
            }
            for _ in 0..bad {
                all.traffic.record(Served::Error, took);
            }
            sleep(minutes(1)).await;
        }
    };
    // Three in a minute are fifteen in five: too few to judge.
    serve(0, 3, seconds(9), 20).await;
    assert_eq!(all.fake.told(), []);
    serve(90, 10, seconds(1), 6).await;
    assert_eq!(told(&all.fake), one(Firing, "too many requests fail"));
    serve(97, 3, seconds(1), 6).await;
    assert_eq!(told(&all.fake), one(Reminder, "too many requests fail"));
    serve(100, 0, seconds(6), 8).await;
    assert_eq!(
        told(&all.fake),
        [
            (Resolved, "too many requests fail".to_owned()),
            (Firing, "answers take too long".to_owned())
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn failing_requests_burn_the_budget() {
    let clock = WallClock::new();
    let health = health(&clock);
    let fake = Fake::new();
    let slo = Slo::builder("availability")
        .objective(0.999)
        .with_requests()
        .clock(Arc::new(clock))
        .build()
        .unwrap();
    let traffic = Traffic::new();
    let watch = watch(&health)
        .slo(slo.clone())
        .traffic(traffic.clone())
        .rules(standard_rules(DAY))
        .sink(Sink::pager("pager", fake.arc()))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    sleep(minutes(10)).await;
    // 2 % of the requests fail: 20 times what is allowed, and 3.3 times the rate of 6 that
    // is told in the longer windows.
    for _ in 0..10 {
        for at in 0..100 {
            let served = if at < 2 { Served::Error } else { Served::Ok };
            traffic.record(served, seconds(0));
        }
        sleep(minutes(1)).await;
    }
    let notes = fake.take();
    assert_eq!(
        notes[0].title,
        "the error budget is being spent fast: availability"
    );
    assert_eq!(notes[0].details["value"], "3.3 times what is allowed");
    assert!(slo.burn(minutes(60)) > 14.4);
    assert!(slo.remaining() < 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_will_not_last_is_told_without_haste() {
    let clock = WallClock::new();
    let health = health(&clock);
    let fake = Fake::new();
    let slo = Slo::builder("availability").objective(0.999);
    let slo = slo.with_requests().clock(Arc::new(clock)).build().unwrap();
    let traffic = Traffic::new();
    let watch = watch(&health)
        .slo(slo)
        .traffic(traffic.clone())
        .rules(standard_rules(DAY))
        .sink(all_over("fake", &fake))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    let serve = async |good: u32, bad: u32| {
        for at in 0..good + bad {
            let served = if at < bad { Served::Error } else { Served::Ok };
            traffic.record(served, seconds(0));
        }
        sleep(minutes(2)).await;
    };
    // Three times what is allowed: less than the rate of 6 that is told in haste.
    serve(9970, 30).await;
    let lasts = "the error budget will not last: availability";
    let notes = fake.take();
    assert_eq!((notes.len(), notes[0].severity), (1, P2), "{notes:?}");
    assert_eq!(notes[0].title, lasts);
    // Less than half of what is allowed.
    serve(60_000, 0).await;
    assert_eq!(told(&fake), one(Resolved, lasts));
}

#[tokio::test(start_paused = true)]
async fn a_planned_leave_is_no_outage() {
    let all = Standard::new("db", Kind::Datastore).await;
    all.health.drain().await;
    sleep(seconds(20)).await;
    assert_eq!(all.fake.told(), []);
}
