//! `DeployMarkers`.

use ops_core::NotifierExt;

use super::{Desk, NotifierFixture};
use crate::marks;
use crate::support::unsupported;

pub(super) async fn n_080_a_deployment_is_marked_or_that_is_unsupported_by_name(
    fixture: &dyn NotifierFixture,
) {
    let desk = Desk::new(fixture);
    let Some(markers) = desk.notifier.as_deploy_markers() else {
        let required = desk.notifier.require_deploy_markers();
        return unsupported(required, &desk.notifier.provider(), "marking deployments");
    };
    marks::arrives(fixture, markers, marks::plain(fixture.now())).await;
}

pub(super) async fn n_081_a_deployment_of_which_all_is_known_is_marked(
    fixture: &dyn NotifierFixture,
) {
    let notifier = fixture.notifier();
    let markers = notifier.as_deploy_markers().unwrap();
    marks::arrives(fixture, markers, marks::full(fixture.now())).await;
}

pub(super) async fn n_082_a_version_is_marked_as_it_is_written(fixture: &dyn NotifierFixture) {
    let notifier = fixture.notifier();
    let markers = notifier.as_deploy_markers().unwrap();
    for marker in marks::awkward(fixture.now()) {
        marks::arrives(fixture, markers, marker).await;
    }
}
