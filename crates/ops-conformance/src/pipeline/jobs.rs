//! `PipelineJobs`.

use ops_core::PipelineExt;
use ops_core::id::RunId;
use ops_core::pipeline::{PipelineJob, RunState};

use super::{PipelineFixture, Yard};
use crate::case::Outcome;
use crate::support::{drain, missing_stream, unsupported};

const NO_JOBS: Outcome = Outcome::NotOffered("no jobs are listed");

impl Yard<'_> {
    async fn jobs(&self, run: &RunId) -> Vec<PipelineJob> {
        let jobs = self.pipeline.as_pipeline_jobs().unwrap();
        drain(jobs.list_jobs(run)).await
    }

    /// The jobs of a run that has ended.
    async fn ended_jobs(&self) -> Vec<PipelineJob> {
        let run = self.started().await.id;
        self.ended(&run).await;
        self.jobs(&run).await
    }
}

pub(super) async fn p_070_jobs_are_listed_or_unsupported_by_name(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    if yard.pipeline.as_pipeline_jobs().is_none() {
        let required = yard.pipeline.require_pipeline_jobs();
        return unsupported(required, &yard.pipeline.provider(), "listing jobs");
    }
    let listed = yard.ended_jobs().await;
    assert!(!listed.is_empty());
    let unnamed = listed.iter().find(|job| job.name.trim().is_empty());
    assert_eq!(unnamed, None);
}

pub(super) async fn p_071_the_jobs_are_those_of_the_workflow(
    fixture: &dyn PipelineFixture,
) -> Outcome {
    let wanted = fixture.jobs();
    if wanted.is_empty() {
        return Outcome::NotOffered("the fixture knows no jobs");
    }
    let listed = Yard::new(fixture).ended_jobs().await;
    if listed.is_empty() {
        return NO_JOBS;
    }
    let listed: Vec<_> = listed.into_iter().map(|job| job.name).collect();
    let is_there = |job: &String| listed.contains(job);
    assert!(wanted.iter().all(is_there), "{listed:?}");
    assert!(listed.iter().all(|job| wanted.contains(job)), "{listed:?}");
    Outcome::Passed
}

pub(super) async fn p_072_each_job_is_listed_once(fixture: &dyn PipelineFixture) {
    let listed = Yard::new(fixture).ended_jobs().await;
    let mut names: Vec<_> = listed.iter().map(|job| &job.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), listed.len(), "{names:?}");
}

pub(super) async fn p_073_jobs_end_with_their_run(fixture: &dyn PipelineFixture) {
    let listed = Yard::new(fixture).ended_jobs().await;
    let working = listed.iter().find(|job| !job.state.is_terminal());
    assert_eq!(working, None);
}

pub(super) async fn p_074_a_failed_run_has_a_failed_job(fixture: &dyn PipelineFixture) -> Outcome {
    if !fixture.fail_next_run().await {
        return Outcome::NotOffered("the fixture makes no run fail");
    }
    let listed = Yard::new(fixture).ended_jobs().await;
    if listed.is_empty() {
        return NO_JOBS;
    }
    let failed = listed.iter().any(|job| job.state == RunState::Failed);
    assert!(failed, "{listed:?}");
    Outcome::Passed
}

pub(super) async fn p_075_jobs_of_a_missing_run_are_not_found(fixture: &dyn PipelineFixture) {
    let pipeline = fixture.pipeline();
    let jobs = pipeline.as_pipeline_jobs().unwrap();
    missing_stream(jobs.list_jobs(&fixture.missing_run())).await;
}
