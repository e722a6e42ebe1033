//! Where the vendor keeps alerts.

use ops_core::id::DedupKey;
use ops_core::notifier::NotificationEvent;

use super::{Desk, NO_ALERTS, NotifierFixture};
use crate::case::Outcome;

const FIRING: NotificationEvent = NotificationEvent::Firing;
const RESOLVED: NotificationEvent = NotificationEvent::Resolved;
const ACKNOWLEDGED: NotificationEvent = NotificationEvent::Acknowledged;

/// These events about one alert leave it open so many times.
async fn leaves(
    fixture: &dyn NotifierFixture,
    title: &str,
    events: &[NotificationEvent],
    open: usize,
) -> Outcome {
    if fixture.open_alerts().await.is_none() {
        return NO_ALERTS;
    }
    let desk = Desk::new(fixture);
    let alert = desk.alert(title);
    for event in events {
        desk.sends(alert.clone().with_event(*event)).await;
    }
    desk.is_open(&alert.dedup_key, open).await;
    Outcome::Passed
}

pub(super) async fn n_050_firing_opens_an_alert(fixture: &dyn NotifierFixture) -> Outcome {
    leaves(fixture, "it fires", &[FIRING], 1).await
}

pub(super) async fn n_051_firing_again_opens_no_second_alert(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    leaves(fixture, "it fires again", &[FIRING, FIRING], 1).await
}

pub(super) async fn n_052_a_reminder_opens_no_second_alert(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    leaves(
        fixture,
        "it is reminded of",
        &[FIRING, NotificationEvent::Reminder],
        1,
    )
    .await
}

pub(super) async fn n_053_an_acknowledged_alert_stays_open(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    leaves(fixture, "it is acknowledged", &[FIRING, ACKNOWLEDGED], 1).await
}

pub(super) async fn n_054_resolving_closes_the_alert(fixture: &dyn NotifierFixture) -> Outcome {
    leaves(fixture, "it is resolved", &[FIRING, RESOLVED], 0).await
}

/// Fires two alerts and resolves the first: the second stays open.
async fn resolves_one_of(fixture: &dyn NotifierFixture, [first, second]: [DedupKey; 2]) -> Outcome {
    if fixture.open_alerts().await.is_none() {
        return NO_ALERTS;
    }
    let desk = Desk::new(fixture);
    let [first, second] = [first, second].map(|key| desk.alert_of(key, "one of two"));
    for alert in [&first, &second] {
        desk.sends(alert.clone()).await;
    }
    desk.sends(first.with_event(RESOLVED)).await;
    desk.is_open(&second.dedup_key, 1).await;
    Outcome::Passed
}

pub(super) async fn n_055_resolving_leaves_the_other_alerts(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let key = |what: &str| DedupKey::new(fixture.unique(what)).unwrap();
    resolves_one_of(fixture, [key("one"), key("two")]).await
}

pub(super) async fn n_056_acknowledging_what_is_not_open_opens_nothing(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    leaves(fixture, "it never fired", &[ACKNOWLEDGED], 0).await
}

pub(super) async fn n_057_resolving_what_is_not_open_opens_nothing(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    leaves(fixture, "it never fired", &[RESOLVED], 0).await
}

pub(super) async fn n_058_a_resolved_alert_fires_again(fixture: &dyn NotifierFixture) -> Outcome {
    leaves(
        fixture,
        "it fires after all",
        &[FIRING, RESOLVED, FIRING],
        1,
    )
    .await
}

pub(super) async fn n_059_keys_that_are_alike_are_two_alerts(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let name = fixture.unique("key");
    let long = format!("{name:k<250}");
    for [one, other] in [
        [format!("{name}/a"), format!("{name}%2Fa")],
        [format!("{name} b"), format!("{name}+b")],
        [format!("{name}:c"), format!("{name}:C")],
        [format!("{long}1"), format!("{long}2")],
    ] {
        let keys = [one, other].map(|key| DedupKey::new(key).unwrap());
        let outcome = resolves_one_of(fixture, keys).await;
        if outcome != Outcome::Passed {
            return outcome;
        }
    }
    Outcome::Passed
}
