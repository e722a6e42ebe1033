//! What is known of the provider itself, and what it refuses.

use super::{Desk, NotifierFixture, UNSEEN};
use crate::case::Outcome;
use crate::support::{assert_abilities, keeps, names, printed};

pub(super) async fn n_001_the_abilities_are_those_that_are_declared(fixture: &dyn NotifierFixture) {
    let notifier = fixture.notifier();
    let offered = [
        (
            "as_delivery_status",
            notifier.as_delivery_status().is_some(),
        ),
        ("as_deploy_markers", notifier.as_deploy_markers().is_some()),
    ];
    assert_abilities(&offered, fixture.abilities());
}

const NOT_REFUSED: Outcome = Outcome::NotOffered("the fixture brings about no refusal");

pub(super) async fn n_002_a_refusal_names_the_provider(fixture: &dyn NotifierFixture) -> Outcome {
    if !fixture.refuse_next().await {
        return NOT_REFUSED;
    }
    let desk = Desk::new(fixture);
    if let Err(err) = desk.notifier.notify(desk.alert("refused")).await {
        names(&err, &desk.notifier.provider());
    }
    Outcome::Passed
}

pub(super) async fn n_003_the_credential_is_not_printed(fixture: &dyn NotifierFixture) -> Outcome {
    let Some(credential) = fixture.credential() else {
        return Outcome::NotOffered("there is no credential");
    };
    let desk = Desk::new(fixture);
    let delivery = desk.sends(desk.alert("accepted")).await;
    keeps(&credential, &format!("{:?} {delivery:?}", desk.notifier));
    fixture.refuse_next().await;
    if let Err(err) = desk.notifier.notify(desk.alert("refused")).await {
        keeps(&credential, &printed(&err));
    }
    Outcome::Passed
}

pub(super) async fn n_004_a_refusal_is_an_error(fixture: &dyn NotifierFixture) -> Outcome {
    if !fixture.refuse_next().await {
        return NOT_REFUSED;
    }
    let desk = Desk::new(fixture);
    let answer = desk.notifier.notify(desk.alert("refused")).await;
    assert!(answer.is_err(), "{answer:?}");
    Outcome::Passed
}

pub(super) async fn n_005_a_refused_notification_is_not_read(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    if !fixture.refuse_next().await {
        return NOT_REFUSED;
    }
    let desk = Desk::new(fixture);
    let (refused, read) = (fixture.unique("refused"), fixture.unique("read"));
    // An answer that is not an error fails another case.
    let _ = desk.notifier.notify(desk.alert(&refused)).await;
    let _ = desk.notifier.notify(desk.alert(&read)).await;
    let Some(texts) = fixture.received().await else {
        return UNSEEN;
    };
    let arrived = texts.iter().any(|text| text.contains(&refused));
    assert!(!arrived, "refused and read");
    Outcome::Passed
}

pub(super) async fn n_006_a_refusal_does_not_stop_the_next(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    if !fixture.refuse_next().await {
        return NOT_REFUSED;
    }
    let desk = Desk::new(fixture);
    let _ = desk.notifier.notify(desk.alert("refused")).await;
    desk.sends(desk.alert("accepted")).await;
    Outcome::Passed
}
