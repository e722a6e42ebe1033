//! Deployments.

use futures_util::StreamExt;
use ops_core::ErrorKind;
use ops_core::hosting::{
    AppSettings, DeployRequest, DeploySource, DeploymentState, Hosting, Replicas,
};
use ops_core::id::{AppId, DeploymentId, IdempotencyKey};

use super::{HostingFixture, release, wait_ended, wait_live};
use crate::case::Outcome;
use crate::support::{AWKWARD, done, drain, missing, missing_stream, refused};

/// The ids of an app's deployments, in the order of the listing.
async fn listed(hosting: &dyn Hosting, app: &AppId) -> Vec<DeploymentId> {
    let deployments = drain(hosting.list_deployments(app)).await;
    deployments.into_iter().map(|each| each.id).collect()
}

fn key(fixture: &dyn HostingFixture) -> IdempotencyKey {
    IdempotencyKey::new(fixture.unique("key")).unwrap()
}

pub(super) async fn h_020_a_deployment_names_its_app(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let request = DeployRequest::new(fixture.source(1));
    let started = done(hosting.deploy(&app, request).await);
    assert_eq!(started.app, app);
    let seen = done(hosting.deployment(&app, &started.id).await);
    assert_eq!((seen.id, seen.app), (started.id, app));
}

pub(super) async fn h_021_the_app_names_the_deployment_that_is_live(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    for version in [1, 2] {
        let live = release(fixture, &app, version).await;
        let described = done(hosting.app(&app).await);
        assert_eq!(described.current_deployment, Some(live.id));
    }
}

pub(super) async fn h_022_a_live_deployment_stays_live_until_the_next_is(
    fixture: &dyn HostingFixture,
) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let first = release(fixture, &app, 1).await;
    let request = DeployRequest::new(fixture.source(2));
    let second = done(hosting.deploy(&app, request).await);
    // Looked at in this order the second one cannot have gone live before the first look.
    let before = done(hosting.deployment(&app, &first.id).await);
    if !done(hosting.deployment(&app, &second.id).await)
        .state
        .is_live()
    {
        assert_eq!(before.state, DeploymentState::Live);
    }
}

pub(super) async fn h_023_a_deployment_whose_place_was_taken_is_superseded(
    fixture: &dyn HostingFixture,
) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let first = release(fixture, &app, 1).await;
    release(fixture, &app, 2).await;
    let first = done(hosting.deployment(&app, &first.id).await);
    assert_eq!(first.state, DeploymentState::Superseded);
}

pub(super) async fn h_024_deployments_are_listed_newest_first(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let first = release(fixture, &app, 1).await;
    let second = release(fixture, &app, 2).await;
    assert_eq!(listed(&*hosting, &app).await, [second.id, first.id]);
}

pub(super) async fn h_025_a_long_listing_of_deployments_comes_whole(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let mut made = Vec::new();
    for version in 0..fixture.more_than_a_page() {
        made.push(release(fixture, &app, version).await.id);
    }
    let mut ids = listed(&*hosting, &app).await;
    made.sort();
    ids.sort();
    assert_eq!(ids, made);
}

pub(super) async fn h_026_one_key_makes_one_deployment(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let request = DeployRequest::new(fixture.source(1)).with_idempotency_key(key(fixture));
    let first = done(hosting.deploy(&app, request.clone()).await);
    let again = done(hosting.deploy(&app, request).await);
    assert_eq!(first.id, again.id);
    assert_eq!(listed(&*hosting, &app).await, [first.id]);
}

pub(super) async fn h_027_one_key_for_another_deployment_is_a_conflict(
    fixture: &dyn HostingFixture,
) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let key = key(fixture);
    let request = DeployRequest::new(fixture.source(1)).with_idempotency_key(key.clone());
    done(hosting.deploy(&app, request).await);
    let other = DeployRequest::new(fixture.source(2)).with_idempotency_key(key);
    refused(hosting.deploy(&app, other).await, &[ErrorKind::Conflict]);
}

pub(super) async fn h_028_deploying_a_previous_deployment_deploys_its_source(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let first = release(fixture, &app, 1).await;
    release(fixture, &app, 2).await;
    let request = DeployRequest::new(DeploySource::Previous(first.id));
    let again = match hosting.deploy(&app, request).await {
        Err(err) if err.is_unsupported() => {
            return Outcome::NotOffered("the vendor deploys no previous deployment");
        }
        again => done(again),
    };
    let again = wait_live(fixture, &app, &again.id).await;
    assert_eq!(again.source, first.source);
    Outcome::Passed
}

const NO_FAILURES: &str = "the fixture makes no deployment fail";

pub(super) async fn h_029_a_failed_deployment_is_told_apart(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    if !fixture.fail_next_deployment(&app).await {
        return Outcome::NotOffered(NO_FAILURES);
    }
    let request = DeployRequest::new(fixture.source(1));
    let started = done(hosting.deploy(&app, request).await);
    let ended = wait_ended(fixture, &app, &started.id).await;
    assert_eq!(ended.state, DeploymentState::Failed);
    Outcome::Passed
}

pub(super) async fn h_030_a_failed_deployment_leaves_the_live_one(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let live = release(fixture, &app, 1).await;
    if !fixture.fail_next_deployment(&app).await {
        return Outcome::NotOffered(NO_FAILURES);
    }
    let request = DeployRequest::new(fixture.source(2));
    let started = done(hosting.deploy(&app, request).await);
    wait_ended(fixture, &app, &started.id).await;
    let live = done(hosting.deployment(&app, &live.id).await);
    assert_eq!(live.state, DeploymentState::Live);
    Outcome::Passed
}

pub(super) async fn h_031_what_the_vendor_cannot_deploy_is_refused_and_nothing_starts(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let Some(request) = fixture.refused_request() else {
        return Outcome::NotOffered("the fixture names nothing that the vendor cannot deploy");
    };
    refused(
        hosting.deploy(&app, request).await,
        &[ErrorKind::Unsupported],
    );
    assert!(listed(&*hosting, &app).await.is_empty());
    Outcome::Passed
}

pub(super) async fn h_032_deploying_to_a_missing_app_is_not_found(fixture: &dyn HostingFixture) {
    let request = DeployRequest::new(fixture.source(1));
    let hosting = fixture.hosting();
    missing(hosting.deploy(&fixture.missing_app(), request).await);
}

pub(super) async fn h_033_deployments_of_a_missing_app_are_not_found(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    missing_stream(hosting.list_deployments(&fixture.missing_app())).await;
}

pub(super) async fn h_034_a_missing_deployment_is_not_found(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    missing(
        hosting
            .deployment(&app, &fixture.missing_deployment())
            .await,
    );
}

pub(super) async fn h_035_deploying_a_missing_deployment_is_not_found(
    fixture: &dyn HostingFixture,
) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let source = DeploySource::Previous(fixture.missing_deployment());
    refused(
        hosting.deploy(&app, DeployRequest::new(source)).await,
        &[ErrorKind::NotFound, ErrorKind::Unsupported],
    );
}

pub(super) async fn h_036_an_awkward_deployment_id_is_nobody_elses(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let live = release(fixture, &app, 1).await;
    for tail in AWKWARD {
        let id = DeploymentId::new(format!("{}{tail}", live.id)).unwrap();
        refused(
            hosting.deployment(&app, &id).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
}

pub(super) async fn h_037_an_app_keeps_its_name_over_a_deployment(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let before = done(hosting.app(&app).await).name;
    release(fixture, &app, 1).await;
    assert_eq!(done(hosting.app(&app).await).name, before);
}

pub(super) async fn h_038_settings_take_effect_with_their_deployment(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let settings = AppSettings::default().with_replicas(Replicas::Total(2));
    let request = DeployRequest::new(fixture.source(1)).with_settings(settings);
    let started = match hosting.deploy(&app, request).await {
        Err(err) if err.is_unsupported() => {
            return Outcome::NotOffered("the vendor takes no such setting with a deployment");
        }
        started => done(started),
    };
    wait_live(fixture, &app, &started.id).await;
    let scale = hosting.as_scale().unwrap();
    let state = done(scale.scale_state(&app).await);
    assert_eq!(state.replicas, Replicas::Total(2));
    Outcome::Passed
}

pub(super) async fn h_039_deployments_of_two_apps_do_not_mix(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let (one, other) = (fixture.new_app().await, fixture.new_app().await);
    let live = release(fixture, &one, 1).await;
    missing(hosting.deployment(&other, &live.id).await);
    assert!(hosting.list_deployments(&other).next().await.is_none());
}
