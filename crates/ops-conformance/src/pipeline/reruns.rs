//! `RerunRuns`.

use ops_core::id::RunId;
use ops_core::pipeline::{RerunRequest, RerunScope, Run, RunState};
use ops_core::{ErrorKind, PipelineExt, Result};

use super::{PipelineFixture, UNSEEN, Yard};
use crate::case::Outcome;
use crate::support::{done, missing, refused, unsupported};

impl Yard<'_> {
    async fn rerun(&self, run: &RunId, scope: RerunScope) -> Result<Run> {
        let rerun = self.pipeline.as_rerun_runs().unwrap();
        rerun
            .rerun(run, RerunRequest::default().with_scope(scope))
            .await
    }

    /// A run that has ended, and what runs it again.
    async fn run_twice(&self) -> (Run, Run) {
        let run = self.start(self.telling("again")).await.id;
        let ended = self.ended(&run).await;
        let again = done(self.rerun(&run, RerunScope::All).await);
        (ended, again)
    }
}

pub(super) async fn p_060_a_run_is_run_again_or_that_is_unsupported_by_name(
    fixture: &dyn PipelineFixture,
) {
    let yard = Yard::new(fixture);
    if yard.pipeline.as_rerun_runs().is_none() {
        let required = yard.pipeline.require_rerun_runs();
        return unsupported(required, &yard.pipeline.provider(), "running again");
    }
    let (_, again) = yard.run_twice().await;
    assert_eq!(yard.ended(&again.id).await.state, RunState::Succeeded);
}

pub(super) async fn p_061_a_rerun_is_on_the_same_commit(fixture: &dyn PipelineFixture) -> Outcome {
    let (ended, again) = Yard::new(fixture).run_twice().await;
    let (Some(before), Some(commit)) = (ended.commit, again.commit) else {
        return Outcome::NotOffered("the vendor does not tell the commit");
    };
    assert_eq!(commit, before);
    Outcome::Passed
}

pub(super) async fn p_062_a_rerun_answers_what_to_watch(fixture: &dyn PipelineFixture) {
    let (ended, again) = Yard::new(fixture).run_twice().await;
    assert!(!again.state.is_terminal(), "{again:?}");
    let is_next = again.id != ended.id || again.attempt > ended.attempt;
    assert!(is_next, "{again:?}");
}

pub(super) async fn p_063_a_rerun_is_told_the_same(fixture: &dyn PipelineFixture) -> Outcome {
    let yard = Yard::new(fixture);
    let started = yard.start(yard.telling("again")).await;
    let Some(before) = fixture.received_inputs(&started.id).await else {
        return UNSEEN;
    };
    yard.ended(&started.id).await;
    let again = done(yard.rerun(&started.id, RerunScope::All).await);
    assert_eq!(fixture.received_inputs(&again.id).await, Some(before));
    Outcome::Passed
}

pub(super) async fn p_064_a_run_that_has_not_ended_is_a_conflict(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    refused(
        yard.rerun(&run, RerunScope::All).await,
        &[ErrorKind::Conflict],
    );
}

pub(super) async fn p_065_no_failed_jobs_are_a_conflict(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    yard.ended(&run).await;
    refused(
        yard.rerun(&run, RerunScope::Failed).await,
        &[ErrorKind::Conflict],
    );
}

pub(super) async fn p_066_failed_jobs_are_run_again(fixture: &dyn PipelineFixture) -> Outcome {
    if !fixture.fail_next_run().await {
        return Outcome::NotOffered("the fixture makes no run fail");
    }
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    yard.ended(&run).await;
    done(yard.rerun(&run, RerunScope::Failed).await);
    Outcome::Passed
}

pub(super) async fn p_067_a_missing_run_is_not_run_again(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    missing(yard.rerun(&fixture.missing_run(), RerunScope::All).await);
}
