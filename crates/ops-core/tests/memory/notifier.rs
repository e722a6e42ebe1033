//! The destination of notifications in memory.

use std::sync::Arc;

use ops_core::id::DedupKey;
use ops_core::memory::MemoryNotifier;
use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::{
    DeliveryState, Notification, NotificationEvent, Notifier, NotifierLimits,
};
use ops_core::{Clock, ErrorKind, NotifierExt};

use crate::support::{DAY, ManualClock, at};

mod suite {
    use ops_conformance::memory::MemoryNotifierFixture;

    ops_conformance::notifier!(MemoryNotifierFixture::new());
}

mod short {
    use ops_conformance::memory::MemoryNotifierFixture;

    ops_conformance::notifier!(MemoryNotifierFixture::with_max_text_chars(160));
}

fn alert(key: &str) -> Notification {
    let key = DedupKey::new(key).unwrap();
    let now = at("2026-01-01T00:00:00Z");
    Notification::new(key, IncidentSeverity::P1, "the disk is 91 % full", now)
        .with_source("shop:prod")
}

#[tokio::test]
async fn a_test_is_fired_and_resolved() {
    let notifier = MemoryNotifier::new();
    let now = at("2026-01-01T00:00:00Z");
    let delivery = notifier.send_test("shop:prod", now).await.unwrap();
    assert_eq!(delivery.state, DeliveryState::Accepted);
    let received = notifier.received();
    let events: Vec<_> = received.iter().map(|it| it.notification.event).collect();
    assert_eq!(
        events,
        [NotificationEvent::Firing, NotificationEvent::Resolved]
    );
    assert!(notifier.open_alerts().is_empty());
}

#[tokio::test]
async fn notifications_with_one_key_are_about_one_alert() {
    let notifier = MemoryNotifier::new();
    for (key, event) in [
        ("disk", NotificationEvent::Firing),
        ("disk", NotificationEvent::Firing),
        ("api", NotificationEvent::Firing),
        ("disk", NotificationEvent::Acknowledged),
        ("disk", NotificationEvent::Reminder),
        ("never-fired", NotificationEvent::Acknowledged),
        ("api", NotificationEvent::Resolved),
    ] {
        notifier.notify(alert(key).with_event(event)).await.unwrap();
    }
    let open = notifier.open_alerts();
    let open: Vec<_> = open
        .iter()
        .map(|a| (a.dedup_key.as_str(), a.event))
        .collect();
    assert_eq!(open, [("disk", NotificationEvent::Acknowledged)]);
    assert_eq!(notifier.received().len(), 7);
}

#[tokio::test]
async fn what_arrives_has_no_credential_and_fits() {
    let clock = ManualClock::new();
    clock.advance(DAY);
    let limits = NotifierLimits::default().with_max_text_chars(60);
    let notifier = MemoryNotifier::with_clock(Arc::clone(&clock) as _).with_limits(limits);
    let alert = alert("disk")
        .with_detail("api_token", "canary-7f3a9d61")
        .with_detail("value", "91 %");
    notifier.notify(alert).await.unwrap();
    let received = notifier.received();
    assert_eq!(received[0].at, clock.now());
    assert_eq!(
        received[0].text,
        "[firing P1] shop:prod: the disk is 91 % full\n\nvalue: 91 %"
    );
    assert!(!format!("{received:?} {notifier:?}").contains("canary"));
}

#[tokio::test]
async fn a_notification_that_is_refused_is_not_received() {
    let notifier = MemoryNotifier::new();
    notifier.refuse_next(ErrorKind::RateLimited, "slow down");
    let err = notifier.notify(alert("disk")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::RateLimited);
    assert!(err.is_retryable());
    notifier.notify(alert("disk")).await.unwrap();
    assert_eq!(notifier.received().len(), 1);
}

#[tokio::test]
async fn a_delivery_that_is_lost_says_why() {
    let notifier = MemoryNotifier::new();
    notifier.lose_next("no such number");
    let id = notifier.notify(alert("disk")).await.unwrap().id.unwrap();
    let status = notifier.require_delivery_status().unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(status.delivery(&id).await.unwrap().state);
    }
    let failed = DeliveryState::Failed("no such number".to_owned());
    assert_eq!(seen, [DeliveryState::Sent, failed.clone(), failed]);
    assert!(notifier.received().is_empty() && notifier.open_alerts().is_empty());
}
