//! What is accepted.

use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::NotificationEvent;

use super::{Desk, NotifierFixture};
use crate::support::give_up;

/// Sends these events about one alert, which are accepted.
async fn accepts(fixture: &dyn NotifierFixture, events: &[NotificationEvent]) {
    let desk = Desk::new(fixture);
    let alert = desk.alert("the disk is full");
    for event in events {
        desk.sends(alert.clone().with_event(*event)).await;
    }
}

const FIRING: NotificationEvent = NotificationEvent::Firing;

pub(super) async fn n_010_an_alert_of_the_fewest_words_is_accepted(fixture: &dyn NotifierFixture) {
    let desk = Desk::new(fixture);
    let mut alert = desk.alert("x");
    alert.source = None;
    desk.sends(alert).await;
}

pub(super) async fn n_011_a_reminder_is_accepted(fixture: &dyn NotifierFixture) {
    accepts(fixture, &[FIRING, NotificationEvent::Reminder]).await;
}

pub(super) async fn n_012_an_acknowledgment_is_accepted(fixture: &dyn NotifierFixture) {
    accepts(fixture, &[FIRING, NotificationEvent::Acknowledged]).await;
}

pub(super) async fn n_013_a_resolution_is_accepted(fixture: &dyn NotifierFixture) {
    accepts(fixture, &[FIRING, NotificationEvent::Resolved]).await;
}

pub(super) async fn n_014_every_severity_is_accepted(fixture: &dyn NotifierFixture) {
    let desk = Desk::new(fixture);
    for severity in [
        IncidentSeverity::P0,
        IncidentSeverity::P1,
        IncidentSeverity::P2,
        IncidentSeverity::P3,
    ] {
        let mut alert = desk.alert("the disk is full");
        alert.severity = severity;
        desk.sends(alert).await;
    }
}

pub(super) async fn n_015_reminding_of_what_is_not_open_succeeds(fixture: &dyn NotifierFixture) {
    accepts(fixture, &[NotificationEvent::Reminder]).await;
}

pub(super) async fn n_016_acknowledging_what_is_not_open_succeeds(fixture: &dyn NotifierFixture) {
    accepts(fixture, &[NotificationEvent::Acknowledged]).await;
}

pub(super) async fn n_017_resolving_what_is_not_open_succeeds(fixture: &dyn NotifierFixture) {
    accepts(fixture, &[NotificationEvent::Resolved]).await;
}

pub(super) async fn n_018_firing_what_is_open_succeeds(fixture: &dyn NotifierFixture) {
    accepts(fixture, &[FIRING, FIRING]).await;
}

pub(super) async fn n_019_a_notification_that_is_given_up_does_not_stop_the_next(
    fixture: &dyn NotifierFixture,
) {
    let desk = Desk::new(fixture);
    let alert = desk.alert("given up");
    for _ in 0..20 {
        give_up(desk.notifier.notify(alert.clone()));
    }
    desk.sends(alert).await;
}
