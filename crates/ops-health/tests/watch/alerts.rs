//! From the state of a service to what people are told.

use std::sync::Arc;
use std::time::Duration;

use ops_core::monitor::IncidentSeverity::{P0, P1, P2, P3};
use ops_core::notifier::NotificationEvent::{self, Acknowledged, Firing, Reminder, Resolved};
use ops_health::alert::{Op, Quiet, Rule, Signal, Sink, standard_rules};
use ops_health::{Code, Health, Kind, Outcome, Watch, check_fn};
use tokio::time::sleep;

use crate::support::{Fake, Gauge, WallClock, all_over, health, minutes, seconds, watch};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn told(fake: &Fake) -> Vec<(NotificationEvent, String)> {
    let told = fake.told();
    fake.take();
    told
}

fn one(event: NotificationEvent, title: &str) -> Vec<(NotificationEvent, String)> {
    vec![(event, title.to_owned())]
}

/// A watch over rules that look at gauges.
fn gauges(
    rules: impl FnOnce(&[Gauge]) -> Vec<Rule>,
) -> (Vec<Gauge>, Fake, Health, Watch, WallClock) {
    let clock = WallClock::new();
    let health = health(&clock);
    let all = vec![Gauge::default(); 4]
        .iter()
        .map(|_| Gauge::default())
        .collect::<Vec<_>>();
    let fake = Fake::new();
    let rules = rules(&all);
    let watch = watch(&health)
        .rules(rules)
        .sink(all_over("fake", &fake))
        .build()
        .unwrap();
    (all, fake, health, watch, clock)
}

#[tokio::test(start_paused = true)]
async fn alerts_of_a_group_are_one_message_and_over_when_all_are() {
    let (all, fake, health, watch, _clock) = gauges(|g| {
        vec![
            g[0].rule("first", P2).group("storage"),
            g[1].rule("second", P1)
                .group("storage")
                .runbook("https://wiki.example/second"),
            g[2].rule("third", P2).group("other"),
            g[3].rule("alone", P2),
        ]
    });
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    for gauge in &all {
        gauge.set(20.0);
        sleep(seconds(5)).await;
    }
    assert_eq!(told(&fake), one(Firing, "alone: gauge"));
    sleep(seconds(20)).await;
    let notes = fake.take();
    let first = notes
        .iter()
        .find(|note| note.group.as_deref() == Some("storage"))
        .unwrap();
    assert_eq!(first.title, "second: gauge (and 1 more)");
    assert_eq!(
        (first.severity, first.runbook.as_deref()),
        (P1, Some("https://wiki.example/second"))
    );
    assert_eq!(
        first.body.as_deref(),
        Some("P1 second: gauge: 20\nP2 first: gauge: 20")
    );
    sleep(seconds(10)).await;
    assert_eq!(told(&fake), one(Firing, "third: gauge"));

    all[1].set(1.0);
    sleep(seconds(60)).await;
    assert_eq!(told(&fake), [], "the other one still fires");
    all[1].set(20.0);
    sleep(seconds(60)).await;
    assert_eq!(
        told(&fake),
        one(Firing, "second: gauge (and 1 more)"),
        "it came back"
    );
    all[0].set(1.0);
    all[1].set(1.0);
    sleep(seconds(60)).await;
    let over = fake.take();
    assert_eq!((over.len(), over[0].event), (1, Resolved));
    assert_eq!(over[0].dedup_key, first.dedup_key);
}

#[tokio::test(start_paused = true)]
async fn what_is_over_before_its_message_was_sent_is_never_told() {
    let (all, fake, health, watch, _clock) = gauges(|g| vec![g[0].rule("short", P1).group("g")]);
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    all[0].set(20.0);
    sleep(seconds(20)).await;
    all[0].set(0.0);
    sleep(minutes(10)).await;
    assert_eq!(fake.told(), []);
}

#[tokio::test(start_paused = true)]
async fn a_p0_does_not_wait_and_takes_its_group_along() {
    let (all, fake, health, watch, _clock) = gauges(|g| {
        vec![
            g[0].rule("minor", P2).group("g"),
            g[1].rule("worst", P0).group("g"),
        ]
    });
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    all[0].set(20.0);
    sleep(seconds(3)).await;
    all[1].set(20.0);
    sleep(seconds(2)).await;
    assert_eq!(told(&fake), one(Firing, "worst: gauge (and 1 more)"));
}

#[tokio::test(start_paused = true)]
async fn reminders_come_until_somebody_is_at_it() {
    let (all, fake, health, watch, _clock) =
        gauges(|g| vec![g[0].rule("a", P1), g[1].rule("b", P2)]);
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    all[0].set(20.0);
    all[1].set(20.0);
    sleep(minutes(4)).await;
    assert_eq!(fake.take().len(), 2);
    sleep(minutes(2)).await;
    assert_eq!(told(&fake), one(Reminder, "a: gauge"));
    sleep(minutes(28)).await;
    assert_eq!(told(&fake), []);
    sleep(minutes(3)).await;
    assert_eq!(told(&fake), one(Reminder, "a: gauge"));

    let key = watch.alerts()[0].key.clone();
    watch.acknowledge(&key, "ann").unwrap();
    watch.acknowledge(&key, "bob").unwrap();
    sleep(seconds(1)).await;
    let notes = fake.take();
    assert_eq!((notes.len(), notes[0].event), (1, Acknowledged));
    assert_eq!(notes[0].details["acknowledged by"], "ann");
    sleep(minutes(120)).await;
    assert_eq!(told(&fake), []);
    all[0].set(0.0);
    sleep(minutes(1)).await;
    assert_eq!(told(&fake), one(Resolved, "a: gauge"));
    let err = watch.acknowledge(&key, "ann").unwrap_err();
    assert!(err.is_not_found(), "{err}");
}

#[tokio::test(start_paused = true)]
async fn maintenance_holds_everything_below_p0_until_its_end() {
    let (all, fake, health, watch, _clock) = gauges(|g| {
        vec![
            g[0].rule("major", P1),
            g[1].rule("worst", P0),
            g[2].rule("gone", P1),
        ]
    });
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    sleep(seconds(2)).await;
    health.set_maintenance(true);
    for gauge in &all {
        gauge.set(20.0);
    }
    sleep(minutes(2)).await;
    assert_eq!(told(&fake), one(Firing, "worst: gauge"));
    assert_eq!(
        watch
            .alerts()
            .iter()
            .filter(|alert| alert.quiet == Some(Quiet::Lifecycle))
            .count(),
        2
    );
    all[2].set(0.0);
    sleep(seconds(10)).await;
    health.set_maintenance(false);
    sleep(seconds(10)).await;
    assert_eq!(told(&fake), one(Firing, "major: gauge"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_starts_is_no_outage_for_five_minutes() {
    let clock = WallClock::new();
    let health = Health::builder()
        .service("shop")
        .clock(Arc::new(clock))
        .startup_gate("migrations", std::future::pending())
        .build()
        .unwrap();
    let fake = Fake::new();
    let watch = watch(&health)
        .rules(standard_rules(DAY))
        .sink(all_over("fake", &fake))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    sleep(minutes(5)).await;
    assert_eq!(fake.told(), []);
    sleep(seconds(65)).await;
    assert_eq!(told(&fake), one(Firing, "the service is down"));
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_depends_on_another_is_quiet_and_for_a_while_after() {
    let (all, fake, health, watch, _clock) = gauges(|g| {
        vec![
            g[0].rule("parent", P1),
            g[1].rule("child", P1).depends_on("parent"),
        ]
    });
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    all[0].set(20.0);
    all[1].set(20.0);
    sleep(seconds(5)).await;
    let notes = fake.take();
    assert_eq!(notes.len(), 1);
    all[0].set(0.0);
    sleep(minutes(34)).await;
    assert_eq!(told(&fake), one(Resolved, "parent: gauge"));
    sleep(minutes(2)).await;
    assert_eq!(told(&fake), one(Firing, "child: gauge"));
}

#[tokio::test(start_paused = true)]
async fn alerts_about_a_check_are_explained_by_those_about_what_it_needs() {
    let clock = WallClock::new();
    let failing = |name| {
        check_fn(name, Kind::Custom, |_| async {
            Outcome::unhealthy(Code::Refused)
        })
    };
    let health = Health::builder()
        .service("shop")
        .clock(Arc::new(clock))
        .first_run_within(Duration::ZERO)
        .check(failing("db"))
        .check(failing("api"))
        .build()
        .unwrap();
    let fake = Fake::new();
    let refused = |id: &str, check: &str| {
        let checks = ops_health::alert::Checks::Named(check.to_owned());
        let signal = Signal::code(checks, &[Code::Refused], ops_health::Status::Unhealthy);
        Rule::new(id, signal, Op::AtLeast, 1.0)
    };
    let watch = watch(&health)
        .rule(refused("api_down", "api"))
        .rule(refused("db_down", "db"))
        .check_depends_on("api", "db")
        .sink(all_over("fake", &fake))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    sleep(seconds(10)).await;
    let notes = fake.take();
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].title, "db down: db");
    assert_eq!(notes[0].details["also affected"], "api_down:api");
}

#[tokio::test(start_paused = true)]
async fn minor_alerts_come_once_a_day_in_one_message() {
    let clock = WallClock::new();
    let health = health(&clock);
    let (a, b) = (Gauge::default(), Gauge::default());
    let (chat, pager) = (Fake::new(), Fake::new());
    let watch = watch(&health)
        .rule(a.rule("a", P3))
        .rule(b.rule("b", P3))
        .sink(Sink::chat("chat", chat.arc()))
        .sink(Sink::pager("pager", pager.arc()))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    a.set(20.0);
    sleep(minutes(60)).await;
    b.set(20.0);
    a.set(0.0);
    // It is noon now; the digest goes at nine.
    sleep(minutes(19 * 60)).await;
    assert_eq!(chat.told(), []);
    sleep(minutes(61)).await;
    let notes = chat.take();
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].title, "daily digest: 2 minor alerts");
    assert_eq!(notes[0].dedup_key.as_str(), "shop:prod:digest:2026-01-03");
    assert_eq!(notes[0].body.as_ref().unwrap().lines().count(), 2);
    sleep(minutes(24 * 60)).await;
    assert_eq!(chat.told(), [], "there is nothing new to tell");
    // A clock that jumps sends none twice, and stops none.
    a.set(20.0);
    sleep(minutes(1)).await;
    clock.jump_back(DAY * 3);
    sleep(minutes(10)).await;
    assert_eq!(chat.told(), []);
    sleep(minutes(24 * 60)).await;
    assert_eq!(chat.take().len(), 1);
    assert_eq!(pager.told(), []);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_fires_nothing_and_ends_nothing() {
    let (all, fake, health, watch, clock) = gauges(|g| {
        vec![
            g[0].rule("fires", P1),
            g[1].rule("waits", P1).hold_for(minutes(10)),
            g[2].rule("ends", P1).clear_for(minutes(10)),
        ]
    });
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    all[0].set(20.0);
    all[1].set(20.0);
    all[2].set(20.0);
    sleep(seconds(10)).await;
    all[2].set(0.0);
    sleep(seconds(10)).await;
    assert_eq!(fake.take().len(), 2);
    for _ in 0..3 {
        clock.jump_forward(DAY);
        sleep(seconds(20)).await;
        clock.jump_back(DAY * 2);
        sleep(seconds(20)).await;
    }
    assert_eq!(fake.told(), []);
    assert_eq!(watch.alerts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_panics_ends_nothing_else() {
    let clock = WallClock::new();
    let health = health(&clock);
    let gauge = Gauge::default();
    let fake = Fake::new();
    let broken = Signal::custom("broken", || panic!("this signal breaks"));
    let watch = watch(&health)
        .rule(Rule::new("broken", broken, Op::Above, 0.0))
        .rule(gauge.rule("works", P1))
        .sink(all_over("fake", &fake))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    gauge.set(20.0);
    sleep(seconds(5)).await;
    assert_eq!(told(&fake), one(Firing, "works: gauge"));
}
