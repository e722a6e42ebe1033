//! The contract of `Notifier`, as far as a caller can see it. What arrives is for the
//! tests of each provider.

use ops_core::NotifierExt;
use ops_core::id::{DedupKey, DeliveryId, MAX_DEDUP_KEY_BYTES};
use ops_core::monitor::{DeployMarker, IncidentSeverity};
use ops_core::notifier::{DeliveryState, Link, Notification, NotificationEvent, Notifier};

use crate::support::at;

const EVENTS: [NotificationEvent; 4] = [
    NotificationEvent::Firing,
    NotificationEvent::Reminder,
    NotificationEvent::Acknowledged,
    NotificationEvent::Resolved,
];

pub(crate) fn alert(key: &str) -> Notification {
    let key = DedupKey::new(key).unwrap();
    let now = at("2026-01-01T00:00:00Z");
    Notification::new(key, IncidentSeverity::P1, "the disk is 91 % full", now)
        .with_source("shop:prod")
}

pub(crate) async fn every_event_of_an_alert_is_accepted(notifier: &dyn Notifier) {
    for event in EVENTS {
        let delivery = notifier.notify(alert("shop:disk").with_event(event)).await;
        let state = delivery.unwrap().state;
        assert!(
            !matches!(state, DeliveryState::Failed(_)),
            "{event}: {state:?}"
        );
    }
}

pub(crate) async fn every_severity_is_accepted(notifier: &dyn Notifier) {
    for severity in [
        IncidentSeverity::P0,
        IncidentSeverity::P1,
        IncidentSeverity::P2,
        IncidentSeverity::P3,
    ] {
        let mut alert = alert("shop:disk");
        alert.severity = severity;
        notifier.notify(alert).await.unwrap();
    }
}

pub(crate) async fn acknowledging_or_resolving_what_is_not_open_succeeds(notifier: &dyn Notifier) {
    for event in [NotificationEvent::Acknowledged, NotificationEvent::Resolved] {
        let alert = alert("shop:never-fired").with_event(event);
        notifier.notify(alert).await.unwrap();
    }
}

pub(crate) async fn the_longest_dedup_key_is_taken(notifier: &dyn Notifier) {
    let key = "k".repeat(MAX_DEDUP_KEY_BYTES);
    for event in EVENTS {
        notifier
            .notify(alert(&key).with_event(event))
            .await
            .unwrap();
    }
}

pub(crate) async fn a_text_that_is_too_long_is_cut_and_not_refused(notifier: &dyn Notifier) {
    let alert = alert("shop:long")
        .with_body("日本語 ".repeat(20_000))
        .with_detail("value", "x".repeat(10_000));
    notifier.notify(alert).await.unwrap();
}

pub(crate) async fn special_characters_are_taken_as_text(notifier: &dyn Notifier) {
    let nasty = "<!channel> <https://evil.example|x> & *b* \"q\" \r\nBcc: a@b.example\r\n.\r\n";
    let mut alert = alert("shop:<nasty>&\"key\"")
        .with_body(nasty)
        .with_source(nasty);
    nasty.clone_into(&mut alert.title);
    alert.links = vec![Link::new(nasty, "https://graphs.example/?a=1&b=<2>")];
    notifier
        .notify(alert.with_detail("a=b&c", nasty))
        .await
        .unwrap();
}

pub(crate) async fn a_delivery_is_followed_to_its_end(notifier: &dyn Notifier) {
    let status = notifier.require_delivery_status().unwrap();
    let id = notifier.notify(alert("shop:disk")).await.unwrap().id;
    let id = id.expect("a notifier that tells of deliveries answers an id");
    let mut looks = 0;
    loop {
        let seen = status.delivery(&id).await.unwrap();
        assert_eq!(seen.id.as_ref(), Some(&id));
        if seen.state.is_terminal() {
            assert_eq!(seen.state, DeliveryState::Delivered);
            break;
        }
        looks += 1;
        assert!(looks < 10, "the delivery does not end");
    }
}

pub(crate) async fn a_delivery_that_is_missing_is_not_found(notifier: &dyn Notifier) {
    let status = notifier.require_delivery_status().unwrap();
    let nothing = DeliveryId::new("no-such-delivery").unwrap();
    assert!(status.delivery(&nothing).await.unwrap_err().is_not_found());
}

pub(crate) async fn a_deployment_is_marked(notifier: &dyn Notifier) {
    let marker = DeployMarker::new("1.4.2", at("2026-01-01T00:00:00Z")).with_environment("prod");
    let markers = notifier.require_deploy_markers().unwrap();
    markers.mark_deploy(marker).await.unwrap();
}

pub(crate) async fn a_test_is_fired_and_resolved(notifier: &dyn Notifier) {
    let now = at("2026-01-01T00:00:00Z");
    let delivery = notifier.send_test("shop:prod", now).await.unwrap();
    assert!(!matches!(delivery.state, DeliveryState::Failed(_)));
}
