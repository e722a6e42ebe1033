//! What is written down of an incident.

use std::sync::{Arc, Mutex};

use ops_core::monitor::IncidentSeverity::{P0, P1, P2};
use ops_core::{Error, ErrorKind, Result, async_trait};
use ops_health::incident::{
    Actor, IncidentEvent, IncidentId, IncidentLog, IncidentRecord, IncidentState, IncidentStore,
    NewIncident, Review,
};
use ops_testkit::ManualClock;
use proptest::prelude::*;

use crate::support::{minutes, seconds};

fn log() -> (IncidentLog, ManualClock) {
    let clock = ManualClock::at("2026-01-02T12:00:00Z");
    let log = IncidentLog::in_memory_with_clock(Arc::new(clock.clone()));
    (log, clock)
}

fn disk() -> NewIncident {
    NewIncident::new("shop:prod:disk_fail:disk", "the disk is full: disk", P1)
}

fn rule() -> Actor {
    Actor::rule("disk_fail")
}

async fn lived() -> (IncidentLog, ManualClock, IncidentId) {
    let (log, clock) = log();
    let id = log.open(disk(), rule()).await.unwrap();
    clock.advance(minutes(3));
    log.acknowledge(&id, Actor::person("ann")).await.unwrap();
    let marker = IncidentEvent::Deployed {
        version: "1.4.2".to_owned(),
    };
    log.record(&id, Actor::deploy("1.4.2"), marker)
        .await
        .unwrap();
    clock.advance(minutes(7));
    log.mitigate(&id, Actor::person("ann"), "removed *old* logs")
        .await
        .unwrap();
    clock.advance(minutes(15));
    log.resolve(&id, rule()).await.unwrap();
    (log, clock, id)
}

#[tokio::test]
async fn the_times_follow_from_the_timeline() {
    let (log, clock, id) = lived().await;
    let incident = log.get(&id).unwrap();
    assert_eq!(incident.state(), IncidentState::Resolved);
    assert_eq!(incident.time_to_acknowledge(), Some(minutes(3)));
    assert_eq!(incident.time_to_mitigate(), Some(minutes(10)));
    assert_eq!(incident.time_to_recover(), Some(minutes(25)));
    assert_eq!(
        incident.review_due().unwrap().to_string(),
        "2026-01-04T12:25:00Z"
    );
    assert!(log.overdue_reviews().is_empty());
    clock.advance(minutes(48 * 60 + 1));
    assert_eq!(log.overdue_reviews().len(), 1);
    let review = Review::new([
        "It was full.",
        "Orders failed.",
        "No rotation.",
        "Logs removed.",
        "Rotation.",
    ]);
    log.review(&id, Actor::person("ann"), review).await.unwrap();
    assert!(log.overdue_reviews().is_empty());
    assert_eq!(log.get(&id).unwrap().state(), IncidentState::Reviewed);
}

#[tokio::test]
async fn the_same_thing_within_a_quarter_of_an_hour_is_the_same_incident() {
    let (log, clock, id) = lived().await;
    clock.advance(minutes(15));
    let again = log
        .open(
            NewIncident::new("shop:prod:disk_fail:disk", "again", P0),
            rule(),
        )
        .await
        .unwrap();
    assert_eq!(again, id);
    let incident = log.get(&id).unwrap();
    assert_eq!(
        (incident.state(), incident.severity()),
        (IncidentState::Mitigating, P0)
    );
    assert_eq!(incident.time_to_recover(), None);
    // While it is open, it is that one too.
    assert_eq!(log.open(disk(), rule()).await.unwrap(), id);
    log.resolve(&id, rule()).await.unwrap();
    assert_eq!(log.get(&id).unwrap().time_to_recover(), Some(minutes(40)));
    clock.advance(minutes(15) + seconds(1));
    let other = log.open(disk(), rule()).await.unwrap();
    assert_ne!(other, id);
    assert_eq!(log.list().len(), 2);
}

#[tokio::test]
async fn what_the_state_refuses_is_a_conflict_and_changes_nothing() {
    let (log, _clock) = log();
    let id = log.open(disk(), rule()).await.unwrap();
    let ann = || Actor::person("ann");
    let kind = |result: Result<()>| result.unwrap_err().kind();
    assert_eq!(
        kind(log.review(&id, ann(), Review::default()).await),
        ErrorKind::Conflict
    );
    assert_eq!(
        kind(log.record(&id, ann(), IncidentEvent::Reopened).await),
        ErrorKind::Conflict
    );
    let nobody = IncidentId::from("inc-0-0");
    assert_eq!(
        kind(log.acknowledge(&nobody, ann()).await),
        ErrorKind::NotFound
    );
    log.resolve(&id, ann()).await.unwrap();
    log.resolve(&id, ann()).await.unwrap();
    assert_eq!(kind(log.acknowledge(&id, ann()).await), ErrorKind::Conflict);
    assert_eq!(
        kind(log.mitigate(&id, ann(), "x").await),
        ErrorKind::Conflict
    );
    assert_eq!(log.get(&id).unwrap().entries().len(), 2);
}

#[tokio::test]
async fn an_incident_is_exported_for_people_with_five_questions() {
    let (log, _clock, id) = lived().await;
    let markdown = log.get(&id).unwrap().to_markdown();
    let expected = [
        "# P1: the disk is full: disk",
        "",
        "| | |",
        "| --- | --- |",
        "| Incident | inc-1767355200000-1 |",
        "| Key | shop:prod:disk\\_fail:disk |",
        "| State | resolved |",
        "| Opened | 2026-01-02T12:00:00Z |",
        "| Acknowledged | 2026-01-02T12:03:00Z |",
        "| Mitigated | 2026-01-02T12:10:00Z |",
        "| Resolved | 2026-01-02T12:25:00Z |",
        "| Time to acknowledge | 3 min |",
        "| Time to mitigate | 10 min |",
        "| Time to recover | 25 min (target 30 min, met) |",
        "| Review due | 2026-01-04T12:25:00Z |",
        "",
        "## What happened?",
        "",
        "the disk is full: disk. _To be written._",
        "",
        "## What was the impact?",
        "",
        "Severity P1. It lasted 25 min. _To be written._",
        "",
        "## What was the root cause?",
        "",
        "_To be written._",
        "",
        "## How was it resolved?",
        "",
        "See the timeline. _To be written._",
        "",
        "## What will keep it from happening again?",
        "",
        "_To be written._",
        "",
        "## Timeline",
        "",
        "- 2026-01-02T12:00:00Z opened as P1: the disk is full: disk (rule disk\\_fail)",
        "- 2026-01-02T12:03:00Z acknowledged (ann)",
        "- 2026-01-02T12:03:00Z deployed 1.4.2 (deploy 1.4.2)",
        "- 2026-01-02T12:10:00Z mitigated: removed \\*old\\* logs (ann)",
        "- 2026-01-02T12:25:00Z resolved (rule disk\\_fail)",
        "",
    ];
    assert_eq!(markdown, expected.join("\n"));
    let review = Review::new([
        "It was full.",
        "Orders failed.",
        "No rotation.",
        "Logs removed.",
        "Rotation.",
    ]);
    log.review(&id, Actor::person("ann"), review).await.unwrap();
    let markdown = log.get(&id).unwrap().to_markdown();
    assert!(
        markdown.contains("## What was the root cause?\n\nNo rotation.\n"),
        "{markdown}"
    );
}

#[tokio::test]
async fn an_incident_is_exported_for_machines() {
    let (log, _clock, id) = lived().await;
    let json = log.get(&id).unwrap().to_json();
    assert_eq!(json["state"], "resolved");
    assert_eq!(json["severity"], "p1");
    assert_eq!(json["openedAt"], "2026-01-02T12:00:00Z");
    assert_eq!(json["secondsToRecover"], 1500);
    assert_eq!(json["recoveredInTime"], true);
    let entries = json["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 5);
    let acknowledged = serde_json::json!({
        "at": "2026-01-02T12:03:00Z",
        "actor": {"kind": "person", "name": "ann"},
        "event": "acknowledged",
    });
    assert_eq!(entries[1], acknowledged);
}

#[tokio::test]
async fn texts_are_one_line_without_secrets() {
    let clock = Arc::new(ManualClock::default());
    let log = IncidentLog::builder()
        .clock(clock)
        .redact("hunter2")
        .open()
        .await
        .unwrap();
    let new = NewIncident::new("k", "lost postgres://app:pw1234@db\nand more", P1);
    let id = log.open(new, rule()).await.unwrap();
    let text = "the key is hunter2\u{1b}[31m".to_owned();
    log.record(&id, Actor::person("ann"), IncidentEvent::Note { text })
        .await
        .unwrap();
    let shown = log.get(&id).unwrap().to_markdown();
    assert!(
        !shown.contains("hunter2") && !shown.contains("pw1234") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    assert!(
        shown.contains("lost postgres://\\[redacted\\]@db and more"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_hundred_incidents_are_kept_and_open_ones_before_old_ones() {
    let (log, clock) = log();
    let first = log.open(disk(), rule()).await.unwrap();
    for at in 0..150 {
        let id = log
            .open(NewIncident::new(format!("k{at}"), "x", P2), rule())
            .await
            .unwrap();
        clock.advance(seconds(1));
        log.resolve(&id, rule()).await.unwrap();
    }
    assert_eq!(log.list().len(), 100);
    assert_eq!(log.list()[0].id(), &first, "it is still open");
    assert_eq!(log.list()[99].key(), "k149");
}

#[tokio::test]
async fn a_timeline_is_bounded_and_its_state_goes_on() {
    let (log, _clock) = log();
    let id = log.open(disk(), rule()).await.unwrap();
    for _ in 0..700 {
        let text = "x".to_owned();
        log.record(&id, rule(), IncidentEvent::Note { text })
            .await
            .unwrap();
    }
    log.resolve(&id, rule()).await.unwrap();
    let incident = log.get(&id).unwrap();
    assert_eq!(incident.state(), IncidentState::Resolved);
    assert_eq!(
        (incident.entries().len(), incident.dropped_entries()),
        (501, 201)
    );
}

/// A store that fails when it is told to.
#[derive(Clone, Debug, Default)]
struct Flaky(Arc<Mutex<(bool, Vec<IncidentRecord>)>>);

#[async_trait]
impl IncidentStore for Flaky {
    async fn load(&self) -> Result<Vec<IncidentRecord>> {
        Ok(self.0.lock().unwrap().1.clone())
    }

    async fn append(&self, records: Vec<IncidentRecord>) -> Result<()> {
        let mut all = self.0.lock().unwrap();
        if all.0 {
            return Err(Error::new(ErrorKind::QuotaExceeded, "the disk is full"));
        }
        all.1.extend(records);
        Ok(())
    }

    async fn replace(&self, records: Vec<IncidentRecord>) -> Result<()> {
        self.0.lock().unwrap().1 = records;
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_be_stored_counts_all_the_same_and_is_stored_later() {
    let store = Flaky::default();
    let clock = Arc::new(ManualClock::default());
    let open = async |store: Flaky| {
        let clock = Arc::clone(&clock);
        IncidentLog::builder()
            .clock(clock)
            .store(store)
            .open()
            .await
            .unwrap()
    };
    let log = open(store.clone()).await;
    store.0.lock().unwrap().0 = true;
    let err = log.open(disk(), rule()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
    let id = log
        .open_with_key("shop:prod:disk_fail:disk")
        .unwrap()
        .id()
        .clone();
    assert!(log.acknowledge(&id, rule()).await.is_err());
    store.0.lock().unwrap().0 = false;
    log.resolve(&id, rule()).await.unwrap();
    let again = open(store).await;
    assert_eq!(again.list(), log.list());
    assert_eq!(again.list()[0].entries().len(), 3);
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Open,
    Acknowledge,
    Mitigate,
    Resolve,
    Review,
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Open),
        Just(Act::Acknowledge),
        Just(Act::Mitigate),
        Just(Act::Resolve),
        Just(Act::Review),
        (1_u64..30).prop_map(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever people and rules do: times are in order, one incident per key is open, and
    /// what was stored says the same as what is in memory.
    #[test]
    fn any_sequence_leaves_timelines_that_hold_together(acts in prop::collection::vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Flaky::default();
            let clock = ManualClock::default();
            let log = IncidentLog::builder().clock(Arc::new(clock.clone())).store(store.clone()).open().await.unwrap();
            let ann = || Actor::person("ann");
            let mut id = log.open(disk(), rule()).await.unwrap();
            for act in acts {
                let over = log.get(&id).unwrap().state().is_over();
                let result = match act {
                    Act::Open => {
                        id = log.open(disk(), rule()).await.unwrap();
                        Ok(())
                    }
                    Act::Acknowledge => log.acknowledge(&id, ann()).await,
                    Act::Mitigate => log.mitigate(&id, ann(), "x").await,
                    Act::Resolve => log.resolve(&id, ann()).await,
                    Act::Review => log.review(&id, ann(), Review::default()).await,
                    Act::Wait(span) => {
                        clock.advance(minutes(span));
                        Ok(())
                    }
                };
                let refused = match act {
                    Act::Acknowledge | Act::Mitigate => over,
                    Act::Review => !over,
                    _ => false,
                };
                prop_assert_eq!(result.is_err(), refused, "{:?}", act);
            }
            let open = log.list().iter().filter(|one| !one.state().is_over()).count();
            prop_assert!(open <= 1);
            for one in log.list() {
                let times: Vec<_> = one.entries().iter().map(|entry| entry.at).collect();
                prop_assert!(times.is_sorted());
                prop_assert_eq!(one.state().is_over(), one.resolved_at().is_some());
                if let (Some(acknowledged), Some(recovered)) = (one.time_to_acknowledge(), one.time_to_recover()) {
                    prop_assert!(acknowledged <= recovered);
                }
                prop_assert_eq!(one.review_due().is_some(), one.state() == IncidentState::Resolved);
            }
            let again = IncidentLog::builder().clock(Arc::new(clock)).store(store).open().await.unwrap();
            prop_assert_eq!(again.list(), log.list());
            Ok(())
        })?;
    }
}
