//! From alerts to incidents.

use std::sync::Arc;
use std::time::Duration;

use ops_core::Clock as _;
use ops_core::monitor::IncidentSeverity::{P1, P2};
use ops_core::usage::Period;
use ops_health::incident::{Actor, IncidentLog, IncidentState, NewIncident};
use ops_health::slo::Slo;
use tokio::time::sleep;

use crate::support::{Fake, Gauge, WallClock, all_over, health, minutes, seconds, watch};

#[tokio::test(start_paused = true)]
async fn urgent_alerts_open_an_incident_and_everything_around_them_is_written_down() {
    let clock = WallClock::new();
    let health = health(&clock);
    let log = IncidentLog::in_memory_with_clock(Arc::new(clock.clone()));
    let (major, minor) = (Gauge::default(), Gauge::default());
    let fake = Fake::new();
    let slo = Slo::builder("availability")
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    let watch = watch(&health)
        .rule(major.rule("major", P1))
        .rule(minor.rule("minor", P2))
        .slo(slo.clone())
        .incidents(log.clone())
        .sink(all_over("chat", &fake))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    minor.set(20.0);
    major.set(20.0);
    sleep(minutes(2)).await;
    assert_eq!(log.list().len(), 1, "only P0 and P1 are incidents");
    watch.acknowledge("shop:prod:major:gauge", "ann").unwrap();
    sleep(minutes(8)).await;
    major.set(0.0);
    sleep(seconds(10)).await;
    let incident = &log.list()[0];
    let lines: Vec<String> = incident
        .entries()
        .iter()
        .map(|entry| format!("{} ({})", entry.event, entry.actor))
        .collect();
    assert_eq!(
        lines,
        [
            "opened as P1: major: gauge (rule major)",
            "firing message sent by chat (service)",
            "acknowledged (ann)",
            "acknowledged message sent by chat (service)",
            "resolved (rule major)",
        ]
    );
    let within = |span: Option<Duration>, least| {
        span.is_some_and(|span| span >= least && span < least + seconds(3))
    };
    assert!(within(incident.time_to_acknowledge(), seconds(119)));
    assert!(within(incident.time_to_recover(), seconds(599)));

    let now = clock.now();
    let period = Period::new(now.saturating_sub(minutes(60)), now).unwrap();
    let report = slo.report(period, &log.list());
    assert_eq!(
        (report.incidents, report.mtta, report.mttr),
        (
            1,
            incident.time_to_acknowledge(),
            incident.time_to_recover()
        )
    );

    // It comes back within a quarter of an hour: the same incident.
    major.set(20.0);
    sleep(seconds(10)).await;
    assert_eq!(log.list().len(), 1);
    assert_eq!(log.list()[0].state(), IncidentState::Acknowledged);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_left_open_is_ended_where_it_does_not_fire_again() {
    let clock = WallClock::new();
    let log = IncidentLog::in_memory_with_clock(Arc::new(clock.clone()));
    let rule_actor = |id: &str| Actor::rule(id);
    let gone = NewIncident::new("shop:prod:gone:gauge", "gone: gauge", P1);
    let still = NewIncident::new("shop:prod:still:gauge", "still: gauge", P1);
    let by_hand = NewIncident::new("shop:prod:hand", "opened by hand", P1);
    let other = NewIncident::new("other:prod:gone:gauge", "of another service", P1);
    let gone = log.open(gone, rule_actor("gone")).await.unwrap();
    let still = log.open(still, rule_actor("still")).await.unwrap();
    let by_hand = log.open(by_hand, Actor::person("ann")).await.unwrap();
    let other = log.open(other, rule_actor("gone")).await.unwrap();

    let health = health(&clock);
    let (first, second) = (Gauge::default(), Gauge::default());
    let fake = Fake::new();
    let watch = watch(&health)
        .rule(first.rule("gone", P1))
        .rule(second.rule("still", P1).hold_for(minutes(10)))
        .incidents(log.clone())
        .sink(all_over("chat", &fake))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    second.set(20.0);
    sleep(minutes(11)).await;
    assert_eq!(fake.told().len(), 1, "the one that fires again");
    sleep(minutes(2)).await;
    let over = fake.seen().pop().unwrap();
    assert_eq!(over.event, ops_core::notifier::NotificationEvent::Resolved);
    assert_eq!(over.dedup_key.as_str(), "shop:prod:gone:gauge");
    let is_over = |id| log.get(id).unwrap().state().is_over();
    assert_eq!(
        [&gone, &still, &by_hand, &other].map(is_over),
        [true, false, false, false]
    );
    assert_eq!(log.list().len(), 4);
}
