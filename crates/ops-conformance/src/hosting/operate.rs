//! `Restart` and `Usage`.

use std::time::Duration;

use ops_core::ErrorKind;
use ops_core::hosting::DeploymentState;
use ops_core::usage::{Currency, Money, Period, UsageQuery};
use ops_core::{Clock, SystemClock};

use super::{HostingFixture, release};
use crate::case::Outcome;
use crate::support::{done, missing, refused};

pub(super) async fn h_140_a_restart_keeps_the_deployment_that_is_live(
    fixture: &dyn HostingFixture,
) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let live = release(fixture, &app, 1).await;
    done(hosting.as_restart().unwrap().restart(&app).await);
    let after = done(hosting.deployment(&app, &live.id).await);
    assert_eq!(after.state, DeploymentState::Live);
}

pub(super) async fn h_141_what_was_never_deployed_cannot_restart(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    refused(
        hosting.as_restart().unwrap().restart(&app).await,
        &[ErrorKind::Conflict],
    );
}

pub(super) async fn h_142_restarting_a_missing_app_is_not_found(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let restart = hosting.as_restart().unwrap();
    missing(restart.restart(&fixture.missing_app()).await);
}

pub(super) async fn h_150_usage_answers_for_the_period_that_was_asked_for(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let hosting = fixture.hosting();
    let now = SystemClock.now();
    let period = Period::new(now.saturating_sub(Duration::from_secs(86_400)), now).unwrap();
    let query = UsageQuery::default().with_period(period);
    match hosting.as_usage().unwrap().usage(query).await {
        Err(err) if err.kind() == ErrorKind::InvalidInput => {
            return Outcome::NotOffered("the vendor keeps no such period");
        }
        // A vendor may round to days; it may not answer for another time.
        report => {
            let answered = done(report).period;
            assert!(
                answered.start <= period.start && period.end <= answered.end,
                "{answered:?}"
            );
        }
    }
    Outcome::Passed
}

pub(super) async fn h_151_a_budget_comes_back_in_the_report(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let budget = Money::from_cents(Currency::USD, 1_234);
    let query = UsageQuery::default().with_budget(budget);
    let report = done(hosting.as_usage().unwrap().usage(query).await);
    assert_eq!(report.budget, Some(budget));
}

pub(super) async fn h_152_no_quantity_is_below_zero(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let query = UsageQuery::default();
    let report = done(hosting.as_usage().unwrap().usage(query).await);
    for item in &report.items {
        let is_fine = |value: f64| value.is_finite() && value >= 0.0;
        assert!(is_fine(item.used), "{item:?}");
        assert!(item.included.is_none_or(is_fine), "{item:?}");
    }
}
