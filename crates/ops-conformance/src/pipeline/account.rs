//! What is known of the provider itself.

use super::PipelineFixture;
use crate::case::Outcome;
use crate::support::{assert_abilities, keeps, names, printed};

pub(super) async fn p_001_the_abilities_are_those_that_are_declared(fixture: &dyn PipelineFixture) {
    let pipeline = fixture.pipeline();
    let offered = [
        ("as_cancel_runs", pipeline.as_cancel_runs().is_some()),
        ("as_rerun_runs", pipeline.as_rerun_runs().is_some()),
        ("as_pipeline_jobs", pipeline.as_pipeline_jobs().is_some()),
        ("as_pipeline_logs", pipeline.as_pipeline_logs().is_some()),
        ("as_deploy_markers", pipeline.as_deploy_markers().is_some()),
    ];
    assert_abilities(&offered, fixture.abilities());
}

pub(super) async fn p_002_a_refusal_names_the_provider(fixture: &dyn PipelineFixture) {
    let pipeline = fixture.pipeline();
    if let Err(err) = pipeline.run(&fixture.missing_run()).await {
        names(&err, &pipeline.provider());
    }
}

pub(super) async fn p_003_the_credential_is_not_printed(fixture: &dyn PipelineFixture) -> Outcome {
    let Some(credential) = fixture.credential() else {
        return Outcome::NotOffered("there is no credential");
    };
    let pipeline = fixture.pipeline();
    keeps(&credential, &format!("{pipeline:?}"));
    if let Err(err) = pipeline.run(&fixture.missing_run()).await {
        keeps(&credential, &printed(&err));
    }
    Outcome::Passed
}
