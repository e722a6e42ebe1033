//! `DeployMarkers`.

use ops_core::PipelineExt;

use super::{PipelineFixture, Yard};
use crate::marks;
use crate::support::unsupported;

pub(super) async fn p_090_a_deployment_is_marked_or_that_is_unsupported_by_name(
    fixture: &dyn PipelineFixture,
) {
    let yard = Yard::new(fixture);
    let Some(markers) = yard.pipeline.as_deploy_markers() else {
        let required = yard.pipeline.require_deploy_markers();
        return unsupported(required, &yard.pipeline.provider(), "marking deployments");
    };
    marks::arrives(fixture, markers, marks::plain(fixture.now())).await;
}

pub(super) async fn p_091_a_deployment_of_which_all_is_known_is_marked(
    fixture: &dyn PipelineFixture,
) {
    let pipeline = fixture.pipeline();
    let markers = pipeline.as_deploy_markers().unwrap();
    marks::arrives(fixture, markers, marks::full(fixture.now())).await;
}

pub(super) async fn p_092_a_version_is_marked_as_it_is_written(fixture: &dyn PipelineFixture) {
    let pipeline = fixture.pipeline();
    let markers = pipeline.as_deploy_markers().unwrap();
    for marker in marks::awkward(fixture.now()) {
        marks::arrives(fixture, markers, marker).await;
    }
}
