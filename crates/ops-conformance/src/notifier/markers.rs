//! `DeployMarkers`.

use ops_core::NotifierExt;
use ops_core::monitor::DeployMarker;

use super::{Desk, NotifierFixture};
use crate::case::Outcome;
use crate::support::{done, eventually, unsupported};

/// Marks a deployment, and waits until that is seen, where it can be.
async fn marks(desk: &Desk<'_>, marker: DeployMarker) {
    let version = marker.version.clone();
    let markers = desk.notifier.as_deploy_markers().unwrap();
    done(markers.mark_deploy(marker).await);
    if desk.fixture.received_deploys().await.is_some() {
        eventually!(desk.fixture, format!("{version:?} is marked"), {
            let seen = desk.fixture.received_deploys().await.unwrap();
            seen.contains(&version).then_some(())
        });
    }
}

pub(super) async fn n_080_a_deployment_is_marked_or_that_is_unsupported_by_name(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let desk = Desk::new(fixture);
    if desk.notifier.as_deploy_markers().is_none() {
        let required = desk.notifier.require_deploy_markers();
        unsupported(required, &desk.notifier.provider(), "marking deployments");
        return Outcome::Passed;
    }
    marks(&desk, DeployMarker::new("1.4.2", fixture.now())).await;
    Outcome::Passed
}

pub(super) async fn n_081_a_deployment_of_which_all_is_known_is_marked(
    fixture: &dyn NotifierFixture,
) {
    let marker = DeployMarker::new("1.4.3", fixture.now())
        .with_environment("production")
        .with_commit("0123456789abcdef0123456789abcdef01234567")
        .with_url("https://ci.example/runs/7")
        .with_actor("ada");
    marks(&Desk::new(fixture), marker).await;
}

pub(super) async fn n_082_a_version_is_marked_as_it_is_written(fixture: &dyn NotifierFixture) {
    let desk = Desk::new(fixture);
    for version in ["v1.4.2-rc.1+build/7 é", "<1.4> & \"5\""] {
        marks(&desk, DeployMarker::new(version, fixture.now())).await;
    }
}
