//! The suite of [`Notifier`].

#![expect(
    clippy::unwrap_used,
    reason = "a case is a test, in a function of its own"
)]

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::id::{DedupKey, DeliveryId};
use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::{Delivery, DeliveryState, Notification, NotificationEvent, Notifier};
use ops_core::{Clock, SystemClock, Timestamp};

use crate::case::Outcome;
use crate::fixture::Fixture;
use crate::macros::suite;
use crate::support::{done, eventually};

mod account;
mod alerts;
mod arrivals;
mod deliveries;
mod events;
mod markers;
mod markup;
mod texts;

/// What the suite needs to know of a provider of [`Notifier`].
#[async_trait]
pub trait NotifierFixture: Fixture {
    /// The provider; the same destination at each call.
    fn notifier(&self) -> Arc<dyn Notifier>;

    /// The accessors that answer `Some`, such as `as_delivery_status`, in any order. Written
    /// down, so that an ability that gets lost is seen.
    fn abilities(&self) -> &'static [&'static str];

    /// The present instant by the provider's clock. Defaults to the system's.
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// What people read of each notification, oldest first: plain text, after the vendor has
    /// made of markup what it makes of it. What the vendor shows in fields of its own, such
    /// as the event, is in it in words. `None`, the default, where that cannot be seen.
    async fn received(&self) -> Option<Vec<String>> {
        None
    }

    /// The keys of the alerts that are open, in any order, each as often as it has an alert.
    /// `None`, the default, where the vendor keeps no alerts or that cannot be seen.
    async fn open_alerts(&self) -> Option<Vec<DedupKey>> {
        None
    }

    /// The versions that were marked as deployed, if that can be seen.
    async fn received_deploys(&self) -> Option<Vec<String>> {
        None
    }

    /// Makes the vendor refuse the next notification, in the way that is overlooked most
    /// easily, such as an error under a successful status. `false`, the default, where that
    /// cannot be brought about.
    async fn refuse_next(&self) -> bool {
        false
    }

    /// Makes the vendor accept the next notification and then fail to deliver it. `false`,
    /// the default, where that cannot be brought about.
    async fn lose_next(&self) -> bool {
        false
    }

    /// An id that could be a delivery's and is none's.
    fn missing_delivery(&self) -> DeliveryId {
        DeliveryId::new("ops-test-no-such-delivery").unwrap()
    }
}

const UNSEEN: Outcome = Outcome::NotOffered("the fixture does not see what people read");
const NO_ALERTS: Outcome = Outcome::NotOffered("the fixture sees no alerts");

const EVENTS: [NotificationEvent; 4] = [
    NotificationEvent::Firing,
    NotificationEvent::Reminder,
    NotificationEvent::Acknowledged,
    NotificationEvent::Resolved,
];

/// The destination of one case.
struct Desk<'a> {
    fixture: &'a dyn NotifierFixture,
    notifier: Arc<dyn Notifier>,
}

impl<'a> Desk<'a> {
    fn new(fixture: &'a dyn NotifierFixture) -> Self {
        let notifier = fixture.notifier();
        Self { fixture, notifier }
    }

    /// An alert that fires, about something that nothing else is about.
    fn alert(&self, title: &str) -> Notification {
        let key = DedupKey::new(self.fixture.unique("alert")).unwrap();
        self.alert_of(key, title)
    }

    fn alert_of(&self, key: DedupKey, title: &str) -> Notification {
        Notification::new(key, IncidentSeverity::P1, title, self.fixture.now())
            .with_source("shop:prod")
    }

    /// Sends what must not be refused.
    async fn sends(&self, notification: Notification) -> Delivery {
        let delivery = done(self.notifier.notify(notification).await);
        let is_lost = matches!(delivery.state, DeliveryState::Failed(_));
        assert!(!is_lost, "{delivery:?}");
        delivery
    }

    /// Sends a notification and waits for what people read of it, which `holds` something.
    async fn reads(&self, notification: Notification, holds: &str) -> Option<String> {
        self.fixture.received().await?;
        self.sends(notification).await;
        let text = eventually!(self.fixture, format!("{holds:?} is read"), {
            let mut texts = self.fixture.received().await.unwrap();
            texts.retain(|text| text.contains(holds));
            texts.pop()
        });
        Some(text)
    }

    /// Waits until an alert is open so many times.
    async fn is_open(&self, key: &DedupKey, times: usize) {
        eventually!(self.fixture, format!("{key} is open {times} times"), {
            let open = self.fixture.open_alerts().await.unwrap();
            let seen = open.iter().filter(|open| *open == key).count();
            (seen == times).then_some(())
        });
    }
}

suite! {
    ($)
    /// One test per case of [`Notifier`](ops_core::Notifier).
    notifier(NotifierFixture, notifier, notifier_quirks_are_justified)

    "N-001" account::n_001_the_abilities_are_those_that_are_declared [];
    "N-002" account::n_002_a_refusal_names_the_provider [];
    "N-003" account::n_003_the_credential_is_not_printed [];
    "N-004" account::n_004_a_refusal_is_an_error [];
    "N-005" account::n_005_a_refused_notification_is_not_read [];
    "N-006" account::n_006_a_refusal_does_not_stop_the_next [];

    "N-010" events::n_010_an_alert_of_the_fewest_words_is_accepted [];
    "N-011" events::n_011_a_reminder_is_accepted [];
    "N-012" events::n_012_an_acknowledgment_is_accepted [];
    "N-013" events::n_013_a_resolution_is_accepted [];
    "N-014" events::n_014_every_severity_is_accepted [];
    "N-015" events::n_015_reminding_of_what_is_not_open_succeeds [];
    "N-016" events::n_016_acknowledging_what_is_not_open_succeeds [];
    "N-017" events::n_017_resolving_what_is_not_open_succeeds [];
    "N-018" events::n_018_firing_what_is_open_succeeds [];
    "N-019" events::n_019_a_notification_that_is_given_up_does_not_stop_the_next [];

    "N-020" arrivals::n_020_the_title_is_read [];
    "N-021" arrivals::n_021_the_event_is_read [];
    "N-022" arrivals::n_022_the_source_is_read [];
    "N-023" arrivals::n_023_the_body_is_read [];
    "N-024" arrivals::n_024_a_detail_is_read [];
    "N-025" arrivals::n_025_the_runbook_and_the_links_are_read [];
    "N-026" arrivals::n_026_a_notification_is_read_once [];
    "N-027" arrivals::n_027_notifications_are_read_in_their_order [];
    "N-028" arrivals::n_028_concurrent_notifications_do_not_mix [];
    "N-029" arrivals::n_029_what_looks_secret_is_not_sent [];

    "N-030" texts::n_030_a_long_body_is_not_refused [];
    "N-031" texts::n_031_a_long_title_is_not_refused [];
    "N-032" texts::n_032_a_long_detail_is_not_refused [];
    "N-033" texts::n_033_a_cut_text_keeps_its_title [];
    "N-034" texts::n_034_a_cut_text_is_within_the_limit [];
    "N-035" texts::n_035_a_text_is_cut_between_letters [];
    "N-036" texts::n_036_letters_of_every_script_are_read [];
    "N-037" texts::n_037_the_longest_key_is_taken [];
    "N-038" texts::n_038_an_awkward_key_is_taken [];

    "N-040" markup::n_040_markup_is_read_as_text [];
    "N-041" markup::n_041_a_mention_is_read_as_text [];
    "N-042" markup::n_042_an_entity_is_read_as_text [];
    "N-043" markup::n_043_a_line_end_in_a_title_begins_no_header [];
    "N-044" markup::n_044_a_line_of_one_dot_does_not_end_the_text [];
    "N-045" markup::n_045_a_link_is_the_one_that_was_given [];

    "N-050" alerts::n_050_firing_opens_an_alert [];
    "N-051" alerts::n_051_firing_again_opens_no_second_alert [];
    "N-052" alerts::n_052_a_reminder_opens_no_second_alert [];
    "N-053" alerts::n_053_an_acknowledged_alert_stays_open [];
    "N-054" alerts::n_054_resolving_closes_the_alert [];
    "N-055" alerts::n_055_resolving_leaves_the_other_alerts [];
    "N-056" alerts::n_056_acknowledging_what_is_not_open_opens_nothing [];
    "N-057" alerts::n_057_resolving_what_is_not_open_opens_nothing [];
    "N-058" alerts::n_058_a_resolved_alert_fires_again [];
    "N-059" alerts::n_059_keys_that_are_alike_are_two_alerts [];

    "N-070" deliveries::n_070_a_delivery_is_followed_to_its_end_or_that_is_unsupported_by_name [];
    "N-071" deliveries::n_071_a_notification_has_an_id [as_delivery_status];
    "N-072" deliveries::n_072_two_notifications_have_two_ids [as_delivery_status];
    "N-073" deliveries::n_073_the_state_of_a_delivery_names_it [as_delivery_status];
    "N-074" deliveries::n_074_a_delivery_that_has_ended_stays_so [as_delivery_status];
    "N-075" deliveries::n_075_a_lost_delivery_says_why [as_delivery_status];
    "N-076" deliveries::n_076_a_missing_delivery_is_not_found [as_delivery_status];
    "N-077" deliveries::n_077_an_awkward_delivery_is_nobody_elses [as_delivery_status];

    "N-080" markers::n_080_a_deployment_is_marked_or_that_is_unsupported_by_name [];
    "N-081" markers::n_081_a_deployment_of_which_all_is_known_is_marked [as_deploy_markers];
    "N-082" markers::n_082_a_version_is_marked_as_it_is_written [as_deploy_markers];
}
