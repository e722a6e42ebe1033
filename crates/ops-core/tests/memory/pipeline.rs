//! The CI/CD project in memory.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ops_core::id::RunId;
use ops_core::memory::MemoryPipeline;
use ops_core::monitor::DeployMarker;
use ops_core::pipeline::{
    GitReference, Pipeline, RerunRequest, RerunScope, Run, RunInputs, RunQuery, RunState,
    StartRunRequest,
};
use ops_core::{Clock, ErrorKind, PipelineExt, RunOutcome, WaitOptions};

use crate::support::{DAY, ManualClock, all, at};

mod suite {
    use ops_conformance::memory::MemoryPipelineFixture;

    ops_conformance::pipeline!(MemoryPipelineFixture::new());
}

fn main_branch() -> GitReference {
    GitReference::Branch("main".to_owned())
}

async fn start(pipeline: &dyn Pipeline) -> Run {
    let request = StartRunRequest::new(main_branch());
    pipeline.start_run(request).await.unwrap()
}

async fn end(pipeline: &dyn Pipeline, run: &RunId) -> Run {
    let wait = WaitOptions::default();
    pipeline
        .wait_for_run(run, RunState::is_terminal, wait, tokio::time::sleep)
        .await
        .unwrap()
}

async fn ids(pipeline: &dyn Pipeline, query: RunQuery) -> Vec<RunId> {
    let runs = all(pipeline.list_runs(query)).await;
    runs.into_iter().map(|run| run.id).collect()
}

#[tokio::test(start_paused = true)]
async fn waiting_answers_how_the_run_has_ended() {
    let pipeline = MemoryPipeline::new();
    let request = StartRunRequest::new(main_branch());
    let wait = WaitOptions::default();
    let outcome = pipeline.run_and_wait(request, wait, tokio::time::sleep);
    let outcome = outcome.await.unwrap();
    assert!(matches!(outcome, RunOutcome::Succeeded(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_run_advances_one_step_per_look_and_keeps_its_times() {
    let clock = ManualClock::new();
    let pipeline = MemoryPipeline::with_clock(Arc::clone(&clock) as _);
    let started = start(&pipeline).await;
    assert_eq!(started.state, RunState::Queued);
    let mut seen = Vec::new();
    for _ in 0..3 {
        clock.advance(Duration::from_secs(1));
        seen.push(pipeline.run(&started.id).await.unwrap());
    }
    let states: Vec<_> = seen.iter().map(|run| run.state.clone()).collect();
    assert_eq!(
        states,
        [RunState::Running, RunState::Succeeded, RunState::Succeeded]
    );
    let ended = &seen[2];
    assert_eq!(ended.created_at, Some(at("2026-01-01T00:00:00Z")));
    assert_eq!(ended.started_at, Some(at("2026-01-01T00:00:01Z")));
    assert_eq!(ended.finished_at, Some(at("2026-01-01T00:00:02Z")));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_is_an_answer_and_its_failed_jobs_run_again() {
    let pipeline = MemoryPipeline::new();
    pipeline.fail_next_run("the tests are red");
    let request = StartRunRequest::new(main_branch());
    let wait = WaitOptions::default();
    let outcome = pipeline.run_and_wait(request, wait, tokio::time::sleep);
    let RunOutcome::NotSucceeded(failed) = outcome.await.unwrap() else {
        panic!("it should have failed");
    };
    assert_eq!(failed.message.as_deref(), Some("the tests are red"));
    let jobs = pipeline.require_pipeline_jobs().unwrap();
    let listed = all(jobs.list_jobs(&failed.id)).await;
    let states: Vec<_> = listed.iter().map(|job| job.state.as_str()).collect();
    assert_eq!(states, ["succeeded", "failed"]);
    assert_eq!(listed[1].failed_step.as_deref(), Some("deploy"));

    let rerun = pipeline.require_rerun_runs().unwrap();
    let request = RerunRequest::default().with_scope(RerunScope::Failed);
    let again = rerun.rerun(&failed.id, request).await.unwrap();
    assert_eq!((again.attempt, again.message), (Some(2), None));
    assert_eq!(end(&pipeline, &again.id).await.state, RunState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_somebody_is_no_end() {
    let pipeline = MemoryPipeline::new();
    pipeline.hold_next_run();
    let request = StartRunRequest::new(main_branch());
    let wait = WaitOptions::default().with_timeout(Duration::from_secs(60));
    let waited = pipeline
        .run_and_wait(request, wait, tokio::time::sleep)
        .await;
    let err = waited.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Timeout);
    let run = err.resource().unwrap().parse().unwrap();
    let text = format!("run {run} was still waiting after 60 s");
    assert_eq!(err.message(), text);
    pipeline.approve(&run).unwrap();
    assert_eq!(end(&pipeline, &run).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn dropping_a_wait_does_not_stop_the_run() {
    let pipeline = MemoryPipeline::new();
    let request = StartRunRequest::new(main_branch());
    let never = |_| std::future::pending();
    let waiting = pipeline.run_and_wait(request, WaitOptions::default(), never);
    assert!(waiting.now_or_never().is_none());
    let runs = all(pipeline.list_runs(RunQuery::default())).await;
    assert_eq!(runs[0].state, RunState::Running);
    let seen = pipeline.run(&runs[0].id).await.unwrap();
    assert_eq!(seen.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_workflow_takes_its_own_inputs() {
    let pipeline = MemoryPipeline::new();
    pipeline.seed_workflow("deploy.yml", &["environment"]);
    let inputs = RunInputs::new([("environment", "staging")]).unwrap();
    let request = StartRunRequest::new(main_branch()).with_inputs(inputs.clone());
    // Which of the two?
    let unnamed = pipeline.start_run(request.clone()).await.unwrap_err();
    assert_eq!(unnamed.kind(), ErrorKind::InvalidInput);
    let request = request.with_workflow("deploy.yml");
    let run = pipeline.start_run(request.clone()).await.unwrap();
    assert_eq!(pipeline.inputs(&run.id).unwrap(), inputs);
    let unknown = RunInputs::new([("region", "sin")]).unwrap();
    let refused = pipeline.start_run(request.with_inputs(unknown)).await;
    let err = refused.unwrap_err();
    assert_eq!(err.message(), "deploy.yml has no input region");
}

#[tokio::test]
async fn runs_are_found_by_commit_workflow_and_age() {
    let clock = ManualClock::new();
    let pipeline = MemoryPipeline::with_clock(Arc::clone(&clock) as _);
    pipeline.seed_workflow("nightly.yml", &[]);
    let tag = GitReference::Tag("v1.4.2".to_owned());
    let commit = pipeline.seed_reference(tag.clone());
    let request = StartRunRequest::new(tag).with_workflow("release.yml");
    let released = pipeline.start_run(request).await.unwrap();
    assert_eq!(released.commit.as_ref(), Some(&commit));
    clock.advance(DAY);
    let request = StartRunRequest::new(main_branch()).with_workflow("nightly.yml");
    let nightly = pipeline.start_run(request).await.unwrap();

    let by_commit = RunQuery::default().with_reference(GitReference::Commit(commit));
    assert_eq!(ids(&pipeline, by_commit).await, [released.id]);
    let by_workflow = RunQuery::default().with_workflow("nightly.yml");
    let found = ids(&pipeline, by_workflow).await;
    assert_eq!(found, std::slice::from_ref(&nightly.id));
    let recent = RunQuery::default().with_since(clock.now());
    assert_eq!(ids(&pipeline, recent).await, [nightly.id]);
}

#[tokio::test]
async fn lines_are_read_job_by_job() {
    let pipeline = MemoryPipeline::new();
    let run = start(&pipeline).await.id;
    for (job, message) in [("deploy", "c"), ("build", "a"), ("build", "b")] {
        pipeline.print(&run, job, message).unwrap();
    }
    let logs = pipeline.require_pipeline_logs().unwrap();
    let lines = all(logs.run_logs(&run)).await;
    let lines: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(lines, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_deployment_is_marked() {
    let pipeline = MemoryPipeline::new();
    let marker = DeployMarker::new("1.4.2", at("2026-01-01T00:00:00Z"));
    let markers = pipeline.require_deploy_markers().unwrap();
    markers.mark_deploy(marker.clone()).await.unwrap();
    assert_eq!(pipeline.clone().markers(), [marker]);
}
