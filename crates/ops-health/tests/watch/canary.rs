//! A secret that stands wherever it should not must not get into what people are told, what
//! is written down, or the log.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ops_core::memory::MemoryNotifier;
use ops_core::monitor::{HeartbeatSpec, IncidentSeverity};
use ops_core::notifier::{Delivery, Notification, Notifier, NotifierLimits};
use ops_core::{Error, ErrorKind, ProviderId, Result, async_trait};
use ops_health::alert::{Checks, LogNotifier, Op, Rule, Signal, Sink, standard_rules};
use ops_health::incident::{Actor, IncidentEvent, IncidentLog, JsonLinesIncidents};
use ops_health::{Code, DeadMan, Outcome, Status, Watch};

use super::support::{Scripted, seconds, service};
use super::{CANARY, LOG};

/// A notifier whose errors say too much.
#[derive(Debug)]
struct Leaky;

#[async_trait]
impl Notifier for Leaky {
    fn provider(&self) -> ProviderId {
        "leaky".into()
    }

    fn limits(&self) -> NotifierLimits {
        NotifierLimits::default()
    }

    async fn notify(&self, _: Notification) -> Result<Delivery> {
        let message = format!("POST https://hooks:{CANARY}@chat/x?token={CANARY} answered 403");
        Err(Error::new(ErrorKind::PermissionDenied, message))
    }
}

#[tokio::test(start_paused = true)]
async fn the_words_of_a_check_reach_no_alert_no_incident_and_no_message() {
    LazyLock::force(&LOG);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("incidents.jsonl");
    let words = format!("cannot reach postgres://app:{CANARY}@db with password={CANARY}");
    let failing = Outcome::unhealthy(Code::AuthFailed).with_detail(words);
    let health = service()
        .check(Scripted::new("db", failing))
        .redact(CANARY)
        .build()
        .unwrap();
    let log = IncidentLog::builder()
        .store(JsonLinesIncidents::new(&path))
        .redact(CANARY)
        .open()
        .await
        .unwrap();
    let notifier = MemoryNotifier::new();
    let refused = Signal::code(Checks::All, &[Code::AuthFailed], Status::Unhealthy);
    let watch = Watch::builder(&health)
        .rules(standard_rules(Duration::from_secs(86_400)))
        .rule(Rule::new("refused", refused, Op::AtLeast, 1.0).severity(IncidentSeverity::P0))
        .incidents(log.clone())
        .sink(Sink::chat("memory", Arc::new(notifier.clone())))
        .sink(Sink::chat("leaky", Arc::new(Leaky)))
        .sink(Sink::new("log", Arc::new(LogNotifier)))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    tokio::time::sleep(seconds(90)).await;
    let key = watch.alerts()[0].key.clone();
    watch
        .acknowledge(&key, &format!("ann password={CANARY}"))
        .unwrap();
    let id = log.list()[0].id().clone();
    let text = format!("the password is {CANARY}");
    log.record(&id, Actor::Service, IncidentEvent::Note { text })
        .await
        .unwrap();
    tokio::time::sleep(seconds(10)).await;

    let received = notifier.received();
    assert!(received.len() >= 2, "{received:?}");
    let incidents: Vec<_> = log.list();
    let exported: Vec<_> = incidents
        .iter()
        .map(|one| (one.to_markdown(), one.to_json()))
        .collect();
    let stored = std::fs::read_to_string(&path).unwrap();
    let alerts = serde_json::to_string(&watch.alerts()).unwrap();
    let spec = HeartbeatSpec::new("shop", Duration::from_secs(60));
    let dead_man = DeadMan::new(Arc::new(ops_core::memory::MemoryMonitor::new()), spec);
    let shown =
        format!("{received:?} {exported:?} {stored} {alerts} {watch:?} {log:?} {dead_man:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    let logged = LOG.text();
    assert!(!logged.contains(CANARY), "{logged}");
    assert!(logged.contains("a message was not delivered"), "{logged}");
    assert!(logged.contains("[firing P0]"), "{logged}");
}
