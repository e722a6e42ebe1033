//! `Rollback`.

use ops_core::ErrorKind;
use ops_core::hosting::{DeployRequest, PlainEnv, RollbackRequest};
use ops_core::id::IdempotencyKey;

use super::{HostingFixture, release, wait_ended, wait_live};
use crate::case::Outcome;
use crate::support::{done, missing, refused};

pub(super) async fn h_050_rolling_back_deploys_what_served_before(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let first = release(fixture, &app, 1).await;
    release(fixture, &app, 2).await;
    let rollback = hosting.as_rollback().unwrap();
    let back = done(rollback.roll_back(&app, RollbackRequest::previous()).await);
    assert_eq!(back.source, first.source);
}

pub(super) async fn h_051_rolling_back_to_a_deployment_deploys_that_one(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let first = release(fixture, &app, 1).await;
    release(fixture, &app, 2).await;
    release(fixture, &app, 3).await;
    let rollback = hosting.as_rollback().unwrap();
    let request = RollbackRequest::to(first.id);
    match rollback.roll_back(&app, request).await {
        Err(err) if err.is_unsupported() => {
            Outcome::NotOffered("the vendor goes back to the previous deployment alone")
        }
        back => {
            assert_eq!(done(back).source, first.source);
            Outcome::Passed
        }
    }
}

pub(super) async fn h_052_a_rollback_takes_over(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    release(fixture, &app, 2).await;
    let rollback = hosting.as_rollback().unwrap();
    let back = done(rollback.roll_back(&app, RollbackRequest::previous()).await);
    wait_live(fixture, &app, &back.id).await;
}

pub(super) async fn h_053_one_key_rolls_back_once(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    release(fixture, &app, 2).await;
    let rollback = hosting.as_rollback().unwrap();
    let key = IdempotencyKey::new(fixture.unique("key")).unwrap();
    let request = RollbackRequest::previous().with_idempotency_key(key);
    let first = done(rollback.roll_back(&app, request.clone()).await);
    let again = done(rollback.roll_back(&app, request).await);
    assert_eq!(first.id, again.id);
}

pub(super) async fn h_054_before_a_second_release_there_is_nothing_to_go_back_to(
    fixture: &dyn HostingFixture,
) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let rollback = hosting.as_rollback().unwrap();
    missing(rollback.roll_back(&app, RollbackRequest::previous()).await);
    release(fixture, &app, 1).await;
    missing(rollback.roll_back(&app, RollbackRequest::previous()).await);
}

pub(super) async fn h_055_what_never_was_live_is_no_target(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    fixture.fail_next_deployment(&app).await;
    let request = DeployRequest::new(fixture.source(2));
    let never = done(hosting.deploy(&app, request).await);
    let rollback = hosting.as_rollback().unwrap();
    let request = RollbackRequest::to(never.id);
    refused(
        rollback.roll_back(&app, request).await,
        &[ErrorKind::Conflict, ErrorKind::Unsupported],
    );
}

pub(super) async fn h_056_a_missing_target_is_not_found(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    release(fixture, &app, 2).await;
    let rollback = hosting.as_rollback().unwrap();
    let request = RollbackRequest::to(fixture.missing_deployment());
    refused(
        rollback.roll_back(&app, request).await,
        &[ErrorKind::NotFound, ErrorKind::Unsupported],
    );
}

pub(super) async fn h_057_variables_are_not_rolled_back(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let env = hosting.as_env_vars().unwrap();
    release(fixture, &app, 1).await;
    let set = PlainEnv::new([("MODE", "new")]).unwrap();
    done(env.set_env(&app, set).await);
    release(fixture, &app, 2).await;
    let rollback = hosting.as_rollback().unwrap();
    let back = done(rollback.roll_back(&app, RollbackRequest::previous()).await);
    wait_ended(fixture, &app, &back.id).await;
    assert_eq!(done(env.env(&app).await).get("MODE"), Some("new"));
}

pub(super) async fn h_058_rolling_back_a_missing_app_is_not_found(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let rollback = hosting.as_rollback().unwrap();
    let request = RollbackRequest::previous();
    missing(rollback.roll_back(&fixture.missing_app(), request).await);
}
