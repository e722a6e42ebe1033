//! What is known of a run.

use futures_util::future::join_all;
use ops_core::ErrorKind;
use ops_core::id::RunId;
use ops_core::pipeline::RunState;

use super::{PipelineFixture, Yard};
use crate::case::Outcome;
use crate::support::{AWKWARD, done, eventually, missing, refused};

fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

pub(super) async fn p_030_a_run_is_read_as_it_was_answered(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let started = yard.started().await;
    let read = done(yard.pipeline.run(&started.id).await);
    assert_eq!(read.id, started.id);
    let is_same = agree(read.workflow.as_ref(), started.workflow.as_ref())
        && agree(read.reference.as_ref(), started.reference.as_ref())
        && agree(read.commit.as_ref(), started.commit.as_ref());
    assert!(is_same, "{read:?} and {started:?}");
}

pub(super) async fn p_031_a_missing_run_is_not_found(fixture: &dyn PipelineFixture) {
    missing(fixture.pipeline().run(&fixture.missing_run()).await);
}

pub(super) async fn p_032_an_awkward_run_is_nobody_elses(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    for tail in AWKWARD {
        let other = RunId::new(format!("{run}{tail}")).unwrap();
        refused(
            yard.pipeline.run(&other).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
}

pub(super) async fn p_033_concurrent_looks_do_not_mix(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(yard.started().await.id);
    }
    let asked: Vec<_> = runs.iter().cycle().take(12).collect();
    let answers = join_all(asked.iter().map(|run| yard.pipeline.run(run))).await;
    for (run, answer) in asked.into_iter().zip(answers) {
        assert_eq!(done(answer).id, *run);
    }
}

pub(super) async fn p_034_a_run_that_fails_has_failed(fixture: &dyn PipelineFixture) -> Outcome {
    if !fixture.fail_next_run().await {
        return Outcome::NotOffered("the fixture makes no run fail");
    }
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    assert_eq!(yard.ended(&run).await.state, RunState::Failed);
    Outcome::Passed
}

pub(super) async fn p_035_a_run_that_waits_has_not_ended(fixture: &dyn PipelineFixture) -> Outcome {
    if !fixture.hold_next_run().await {
        return Outcome::NotOffered("the fixture holds no run");
    }
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    eventually!(fixture, "the run waits", {
        let state = done(yard.pipeline.run(&run).await).state;
        assert!(!state.is_terminal(), "{state:?}");
        (state == RunState::Waiting).then_some(())
    });
    fixture.approve(&run).await;
    yard.ended(&run).await;
    Outcome::Passed
}

pub(super) async fn p_036_a_run_that_has_ended_stays_so(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    let ended = yard.ended(&run).await.state;
    for _ in 0..3 {
        assert_eq!(done(yard.pipeline.run(&run).await).state, ended);
    }
}

pub(super) async fn p_037_the_times_of_a_run_are_in_order(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    let ended = yard.ended(&run).await;
    let times = [ended.created_at, ended.started_at, ended.finished_at];
    assert!(times.iter().flatten().is_sorted(), "{ended:?}");
}
