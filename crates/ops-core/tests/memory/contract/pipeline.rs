//! The contract of `Pipeline`. Each case is given a project without runs, with the branch
//! `main` and one workflow whose runs end well.

use futures_util::StreamExt;
use ops_core::id::{IdempotencyKey, RunId};
use ops_core::pipeline::{
    GitReference, Pipeline, RerunRequest, RerunScope, Run, RunInputs, RunQuery, RunState,
    StartRunRequest,
};
use ops_core::{ErrorKind, PipelineExt, RunOutcome, WaitOptions};

use crate::support::all;

pub(crate) fn main_branch() -> GitReference {
    GitReference::Branch("main".to_owned())
}

pub(crate) async fn start(pipeline: &dyn Pipeline) -> Run {
    let request = StartRunRequest::new(main_branch());
    pipeline.start_run(request).await.unwrap()
}

pub(crate) async fn end(pipeline: &dyn Pipeline, run: &RunId) -> Run {
    let wait = WaitOptions::default();
    pipeline
        .wait_for_run(run, RunState::is_terminal, wait, tokio::time::sleep)
        .await
        .unwrap()
}

pub(crate) async fn ids(pipeline: &dyn Pipeline, query: RunQuery) -> Vec<RunId> {
    let runs = all(pipeline.list_runs(query)).await;
    runs.into_iter().map(|run| run.id).collect()
}

pub(crate) async fn a_run_is_accepted_and_comes_to_its_end(pipeline: &dyn Pipeline) {
    let started = start(pipeline).await;
    assert!(!started.state.is_terminal());
    let ended = end(pipeline, &started.id).await;
    assert_eq!((ended.id, ended.state), (started.id, RunState::Succeeded));
}

pub(crate) async fn the_run_that_is_answered_is_the_one_that_was_started(pipeline: &dyn Pipeline) {
    let (first, second) = tokio::join!(start(pipeline), start(pipeline));
    assert_ne!(first.id, second.id);
    let mut listed = ids(pipeline, RunQuery::default()).await;
    listed.sort();
    let mut started = [first.id, second.id];
    started.sort();
    assert_eq!(listed, started);
}

pub(crate) async fn runs_are_listed_newest_first(pipeline: &dyn Pipeline) {
    let first = start(pipeline).await;
    let second = start(pipeline).await;
    let listed = ids(pipeline, RunQuery::default()).await;
    assert_eq!(listed, [second.id, first.id]);
}

pub(crate) async fn a_listing_is_filtered(pipeline: &dyn Pipeline) {
    let first = end(pipeline, &start(pipeline).await.id).await;
    let second = start(pipeline).await;
    let succeeded = RunQuery::default().with_state(RunState::Succeeded);
    assert_eq!(
        ids(pipeline, succeeded).await,
        std::slice::from_ref(&first.id)
    );
    let on_main = RunQuery::default().with_reference(main_branch());
    assert_eq!(ids(pipeline, on_main).await, [second.id, first.id]);
    let elsewhere = GitReference::Branch("no-such-branch".to_owned());
    let elsewhere = RunQuery::default().with_reference(elsewhere);
    assert!(ids(pipeline, elsewhere).await.is_empty());
}

pub(crate) async fn what_is_missing_is_not_found(pipeline: &dyn Pipeline) {
    let nothing = RunId::new("999999999").unwrap();
    assert!(pipeline.run(&nothing).await.unwrap_err().is_not_found());
    let no_workflow = StartRunRequest::new(main_branch()).with_workflow("no-such-workflow.yml");
    let err = pipeline.start_run(no_workflow).await.unwrap_err();
    assert!(err.is_not_found());
    let no_branch = StartRunRequest::new(GitReference::Branch("no-such-branch".to_owned()));
    let err = pipeline.start_run(no_branch).await.unwrap_err();
    assert!(err.is_not_found());
    if let Some(cancel) = pipeline.as_cancel_runs() {
        assert!(
            cancel
                .cancel_run(&nothing)
                .await
                .unwrap_err()
                .is_not_found()
        );
    }
    if let Some(jobs) = pipeline.as_pipeline_jobs() {
        let mut listed = jobs.list_jobs(&nothing);
        assert!(listed.next().await.unwrap().unwrap_err().is_not_found());
    }
    if let Some(logs) = pipeline.as_pipeline_logs() {
        let mut lines = logs.run_logs(&nothing);
        assert!(lines.next().await.unwrap().unwrap_err().is_not_found());
    }
    assert!(ids(pipeline, RunQuery::default()).await.is_empty());
}

pub(crate) async fn one_idempotency_key_starts_one_run_or_is_unsupported(pipeline: &dyn Pipeline) {
    let key = IdempotencyKey::new("release-7").unwrap();
    let request = StartRunRequest::new(main_branch()).with_idempotency_key(key.clone());
    let first = match pipeline.start_run(request.clone()).await {
        Ok(first) => first,
        Err(err) => {
            assert!(err.is_unsupported(), "{err}");
            assert!(ids(pipeline, RunQuery::default()).await.is_empty());
            return;
        }
    };
    assert_eq!(pipeline.start_run(request).await.unwrap().id, first.id);
    assert_eq!(ids(pipeline, RunQuery::default()).await, [first.id]);
    let inputs = RunInputs::new([("environment", "staging")]).unwrap();
    let other = StartRunRequest::new(main_branch())
        .with_inputs(inputs)
        .with_idempotency_key(key);
    let err = pipeline.start_run(other).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
}

pub(crate) async fn more_inputs_than_the_vendor_takes_are_refused(pipeline: &dyn Pipeline) {
    let Some(max) = pipeline.limits().max_inputs else {
        return;
    };
    let inputs = (0..=max).map(|n| (format!("input-{n}"), "x"));
    let request = StartRunRequest::new(main_branch()).with_inputs(RunInputs::new(inputs).unwrap());
    let err = pipeline.start_run(request).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert!(ids(pipeline, RunQuery::default()).await.is_empty());
}

pub(crate) async fn a_run_that_is_canceled_ends_so(pipeline: &dyn Pipeline) {
    let cancel = pipeline.require_cancel_runs().unwrap();
    let started = start(pipeline).await;
    cancel.cancel_run(&started.id).await.unwrap();
    cancel.cancel_run(&started.id).await.unwrap();
    assert_eq!(end(pipeline, &started.id).await.state, RunState::Canceled);
}

pub(crate) async fn a_run_that_has_ended_is_not_canceled(pipeline: &dyn Pipeline) {
    let cancel = pipeline.require_cancel_runs().unwrap();
    let ended = end(pipeline, &start(pipeline).await.id).await;
    let answer = cancel.cancel_run(&ended.id).await.unwrap();
    assert_eq!(answer.state, RunState::Succeeded);
    let seen = pipeline.run(&ended.id).await.unwrap();
    assert_eq!(seen.state, RunState::Succeeded);
}

pub(crate) async fn a_run_is_run_again_on_the_same_commit(pipeline: &dyn Pipeline) {
    let rerun = pipeline.require_rerun_runs().unwrap();
    let ended = end(pipeline, &start(pipeline).await.id).await;
    let again = rerun.rerun(&ended.id, RerunRequest::default()).await;
    let again = again.unwrap();
    assert!(!again.state.is_terminal());
    assert!(again.id != ended.id || again.attempt > ended.attempt);
    let again = end(pipeline, &again.id).await;
    assert_eq!(
        (again.state, again.commit),
        (RunState::Succeeded, ended.commit)
    );
}

pub(crate) async fn a_run_that_cannot_be_run_again_is_a_conflict(pipeline: &dyn Pipeline) {
    let rerun = pipeline.require_rerun_runs().unwrap();
    let started = start(pipeline).await;
    let running = rerun.rerun(&started.id, RerunRequest::default()).await;
    assert_eq!(running.unwrap_err().kind(), ErrorKind::Conflict);
    let ended = end(pipeline, &started.id).await;
    let failed = RerunRequest::default().with_scope(RerunScope::Failed);
    let nothing_failed = rerun.rerun(&ended.id, failed).await;
    assert_eq!(nothing_failed.unwrap_err().kind(), ErrorKind::Conflict);
}

pub(crate) async fn the_jobs_of_a_run_end_with_it(pipeline: &dyn Pipeline) {
    let jobs = pipeline.require_pipeline_jobs().unwrap();
    let ended = end(pipeline, &start(pipeline).await.id).await;
    let listed = all(jobs.list_jobs(&ended.id)).await;
    assert!(!listed.is_empty());
    assert!(
        listed.iter().all(|job| job.state.is_terminal()),
        "{listed:?}"
    );
}

pub(crate) async fn waiting_answers_how_the_run_has_ended(pipeline: &dyn Pipeline) {
    let request = StartRunRequest::new(main_branch());
    let wait = WaitOptions::default();
    let outcome = pipeline
        .run_and_wait(request, wait, tokio::time::sleep)
        .await
        .unwrap();
    assert!(matches!(outcome, RunOutcome::Succeeded(_)), "{outcome:?}");
}
