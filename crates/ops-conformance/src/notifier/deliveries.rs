//! `DeliveryStatus`.

use ops_core::id::DeliveryId;
use ops_core::notifier::{Delivery, DeliveryState};
use ops_core::{ErrorKind, NotifierExt};

use super::{Desk, NotifierFixture};
use crate::case::Outcome;
use crate::support::{AWKWARD, done, eventually, missing, refused, unsupported};

impl Desk<'_> {
    async fn look(&self, delivery: &DeliveryId) -> Delivery {
        let status = self.notifier.as_delivery_status().unwrap();
        done(status.delivery(delivery).await)
    }

    /// The id of a delivery that was accepted.
    async fn sent(&self) -> Option<DeliveryId> {
        self.sends(self.alert("followed")).await.id
    }

    /// Waits until a delivery does not change any more.
    async fn ended(&self, delivery: &DeliveryId) -> DeliveryState {
        eventually!(self.fixture, "the delivery ends", {
            let seen = self.look(delivery).await.state;
            seen.is_terminal().then_some(seen)
        })
    }
}

const NO_ID: Outcome = Outcome::NotOffered("the notification has no id");

pub(super) async fn n_070_a_delivery_is_followed_to_its_end_or_that_is_unsupported_by_name(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let desk = Desk::new(fixture);
    if desk.notifier.as_delivery_status().is_none() {
        let required = desk.notifier.require_delivery_status();
        let ability = "reading the state of a delivery";
        unsupported(required, &desk.notifier.provider(), ability);
        return Outcome::Passed;
    }
    let Some(id) = desk.sent().await else {
        return NO_ID;
    };
    assert_eq!(desk.ended(&id).await, DeliveryState::Delivered);
    Outcome::Passed
}

pub(super) async fn n_071_a_notification_has_an_id(fixture: &dyn NotifierFixture) {
    let id = Desk::new(fixture).sent().await;
    assert!(id.is_some(), "nobody can ask for it");
}

pub(super) async fn n_072_two_notifications_have_two_ids(fixture: &dyn NotifierFixture) -> Outcome {
    let desk = Desk::new(fixture);
    let (Some(first), Some(second)) = (desk.sent().await, desk.sent().await) else {
        return NO_ID;
    };
    assert_ne!(first, second);
    Outcome::Passed
}

pub(super) async fn n_073_the_state_of_a_delivery_names_it(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let desk = Desk::new(fixture);
    let Some(id) = desk.sent().await else {
        return NO_ID;
    };
    assert_eq!(desk.look(&id).await.id, Some(id));
    Outcome::Passed
}

pub(super) async fn n_074_a_delivery_that_has_ended_stays_so(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let desk = Desk::new(fixture);
    let Some(id) = desk.sent().await else {
        return NO_ID;
    };
    let mut ended = None;
    for _ in 0..fixture.patience() {
        let seen = desk.look(&id).await.state;
        if let Some(ended) = ended {
            assert_eq!(seen, ended);
            return Outcome::Passed;
        }
        ended = seen.is_terminal().then_some(seen);
        fixture.pause().await;
    }
    Outcome::NotOffered("the delivery does not end")
}

pub(super) async fn n_075_a_lost_delivery_says_why(fixture: &dyn NotifierFixture) -> Outcome {
    if !fixture.lose_next().await {
        return Outcome::NotOffered("the fixture loses nothing");
    }
    let desk = Desk::new(fixture);
    let Some(id) = desk.sent().await else {
        return NO_ID;
    };
    let ended = desk.ended(&id).await;
    let says_why = matches!(&ended, DeliveryState::Failed(reason) if !reason.is_empty());
    assert!(says_why, "lost, and {ended:?}");
    Outcome::Passed
}

pub(super) async fn n_076_a_missing_delivery_is_not_found(fixture: &dyn NotifierFixture) {
    let notifier = fixture.notifier();
    let status = notifier.as_delivery_status().unwrap();
    missing(status.delivery(&fixture.missing_delivery()).await);
}

pub(super) async fn n_077_an_awkward_delivery_is_nobody_elses(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let desk = Desk::new(fixture);
    let Some(id) = desk.sent().await else {
        return NO_ID;
    };
    let status = desk.notifier.as_delivery_status().unwrap();
    for tail in AWKWARD {
        let other = DeliveryId::new(format!("{id}{tail}")).unwrap();
        refused(
            status.delivery(&other).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
    Outcome::Passed
}
