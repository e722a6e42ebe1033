//! Starting runs.

use futures_util::future::join_all;
use ops_core::ErrorKind;
use ops_core::pipeline::{GitReference, RunState};

use super::{PipelineFixture, UNSEEN, Yard};
use crate::case::Outcome;
use crate::support::{done, give_up, refused};

pub(super) async fn p_010_a_run_is_answered_before_it_has_ended(fixture: &dyn PipelineFixture) {
    let started = Yard::new(fixture).started().await;
    assert!(!started.state.is_terminal(), "{started:?}");
}

pub(super) async fn p_011_a_run_comes_to_its_end(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let started = yard.start(yard.telling("to-the-end")).await;
    let ended = yard.ended(&started.id).await;
    assert_eq!((ended.id, ended.state), (started.id, RunState::Succeeded));
}

pub(super) async fn p_012_two_starts_are_two_runs(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let first = yard.start(yard.telling("twice")).await;
    let second = yard.start(yard.telling("twice")).await;
    assert_ne!(first.id, second.id);
}

pub(super) async fn p_013_concurrent_starts_answer_their_own_runs(
    fixture: &dyn PipelineFixture,
) -> Outcome {
    let yard = Yard::new(fixture);
    let told = ["one", "two", "three", "four"].map(|what| fixture.inputs(what));
    let starts = told.iter().map(|inputs| {
        let request = yard.request().with_inputs(inputs.clone());
        yard.pipeline.start_run(request)
    });
    let mut ids = Vec::new();
    for (inputs, started) in told.iter().zip(join_all(starts).await) {
        let run = done(started).id;
        match fixture.received_inputs(&run).await {
            None => return UNSEEN,
            Some(seen) if seen.is_empty() => {}
            Some(seen) => assert_eq!(seen, *inputs),
        }
        assert!(!ids.contains(&run), "{run} is answered twice");
        ids.push(run);
    }
    Outcome::Passed
}

pub(super) async fn p_014_a_run_is_told_its_inputs(fixture: &dyn PipelineFixture) -> Outcome {
    let yard = Yard::new(fixture);
    for what in ["staging", "a b & c=d", "日本語 \"é\""] {
        let started = yard.start(yard.telling(what)).await;
        let Some(seen) = fixture.received_inputs(&started.id).await else {
            return UNSEEN;
        };
        assert_eq!(seen, fixture.inputs(what));
    }
    Outcome::Passed
}

pub(super) async fn p_015_every_kind_of_reference_is_started_or_unsupported(
    fixture: &dyn PipelineFixture,
) -> Outcome {
    let yard = Yard::new(fixture);
    let references = fixture.other_references();
    if references.is_empty() {
        return Outcome::NotOffered("the fixture knows one reference");
    }
    for reference in references {
        let mut request = yard.request();
        request.reference = reference.clone();
        let started = match yard.pipeline.start_run(request).await {
            Ok(started) => started,
            refusal => {
                refused(refusal, &[ErrorKind::Unsupported]);
                continue;
            }
        };
        let is_it = match (&reference, &started.commit) {
            (GitReference::Commit(hash), Some(commit)) => hash == commit,
            _ => started.reference.is_none_or(|seen| seen == reference),
        };
        assert!(is_it, "{reference:?} has started another one");
    }
    Outcome::Passed
}

pub(super) async fn p_016_a_run_is_of_the_workflow_that_was_asked_for(
    fixture: &dyn PipelineFixture,
) -> Outcome {
    let yard = Yard::new(fixture);
    let Some(workflow) = fixture.other_workflow() else {
        return Outcome::NotOffered("the fixture knows one workflow");
    };
    let request = yard.request().with_workflow(workflow.as_str());
    assert_eq!(yard.start(request).await.workflow, Some(workflow));
    Outcome::Passed
}

pub(super) async fn p_017_a_start_that_is_given_up_does_not_stop_the_next(
    fixture: &dyn PipelineFixture,
) {
    let yard = Yard::new(fixture);
    for _ in 0..20 {
        give_up(yard.pipeline.start_run(yard.request()));
    }
    yard.started().await;
}
