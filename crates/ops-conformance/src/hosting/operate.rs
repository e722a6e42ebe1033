//! `Restart` and `Usage`.

use ops_core::ErrorKind;
use ops_core::hosting::DeploymentState;

use super::{HostingFixture, release};
use crate::case::Outcome;
use crate::support::{done, missing, refused};
use crate::usage;

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
    usage::answers_for_the_period(fixture.hosting().as_usage().unwrap()).await
}

pub(super) async fn h_151_a_budget_comes_back_in_the_report(fixture: &dyn HostingFixture) {
    usage::tells_the_budget(fixture.hosting().as_usage().unwrap()).await;
}

pub(super) async fn h_152_no_quantity_is_below_zero(fixture: &dyn HostingFixture) {
    usage::is_never_below_zero(fixture.hosting().as_usage().unwrap()).await;
}
