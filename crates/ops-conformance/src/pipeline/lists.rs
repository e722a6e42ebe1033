//! Listing runs.

use std::time::Duration;

use futures_util::StreamExt;
use ops_core::id::RunId;
use ops_core::pipeline::{GitReference, RunQuery};

use super::{PipelineFixture, Yard};
use crate::case::Outcome;

pub(super) async fn p_040_a_run_is_listed_once(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    let listed = yard.listed(RunQuery::default(), &[&run]).await;
    assert_eq!(listed.len(), 1);
}

/// Two runs, the first of which was started earlier.
async fn two(yard: &Yard<'_>) -> (RunId, RunId) {
    let first = yard.started().await.id;
    yard.fixture.advance(Duration::from_secs(60)).await;
    (first, yard.started().await.id)
}

pub(super) async fn p_041_runs_are_listed_newest_first(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let (first, second) = two(&yard).await;
    let listed = yard.listed(RunQuery::default(), &[&first, &second]).await;
    assert_eq!(listed, [second, first]);
}

pub(super) async fn p_042_a_long_listing_comes_whole_and_once(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let mut started = Vec::new();
    for _ in 0..fixture.more_than_a_page() {
        started.push(yard.started().await.id);
    }
    let ours: Vec<_> = started.iter().collect();
    let mut listed = yard.listed(RunQuery::default(), &ours).await;
    listed.sort();
    started.sort();
    assert_eq!(listed, started);
}

/// A filter lets the first of two runs through and not the second.
async fn lets_through(yard: &Yard<'_>, query: RunQuery, first: &RunId, second: &RunId) {
    let listed = yard.listed(query.clone(), &[first, second]).await;
    assert_eq!(listed, std::slice::from_ref(first), "{query:?}");
}

pub(super) async fn p_043_runs_are_listed_by_state(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let (first, second) = two(&yard).await;
    let state = yard.ended(&first).await.state;
    let query = RunQuery::default().with_state(state);
    lets_through(&yard, query, &first, &second).await;
}

pub(super) async fn p_044_runs_are_listed_by_branch(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    for (reference, times) in [(fixture.reference(), 1), (fixture.missing_reference(), 0)] {
        let query = RunQuery::default().with_reference(reference);
        assert_eq!(yard.listed(query, &[&run]).await.len(), times);
    }
}

pub(super) async fn p_045_runs_are_listed_by_commit(fixture: &dyn PipelineFixture) -> Outcome {
    let yard = Yard::new(fixture);
    let started = yard.started().await;
    let Some(commit) = started.commit else {
        return Outcome::NotOffered("the vendor does not tell the commit");
    };
    let other = "f".repeat(commit.len());
    for (commit, times) in [(commit, 1), (other, 0)] {
        let query = RunQuery::default().with_reference(GitReference::Commit(commit));
        assert_eq!(yard.listed(query, &[&started.id]).await.len(), times);
    }
    Outcome::Passed
}

pub(super) async fn p_046_runs_are_listed_by_workflow(fixture: &dyn PipelineFixture) -> Outcome {
    let yard = Yard::new(fixture);
    let Some(workflow) = fixture.other_workflow() else {
        return Outcome::NotOffered("the fixture knows one workflow");
    };
    let request = yard.request().with_workflow(workflow.as_str());
    let first = yard.start(request).await.id;
    let second = yard.started().await.id;
    let query = RunQuery::default().with_workflow(workflow);
    lets_through(&yard, query, &first, &second).await;
    Outcome::Passed
}

pub(super) async fn p_047_runs_are_listed_by_age(fixture: &dyn PipelineFixture) -> Outcome {
    let yard = Yard::new(fixture);
    let early = yard.started().await;
    fixture.advance(Duration::from_secs(3_600)).await;
    let late = yard.started().await;
    let Some(since) = late
        .created_at
        .filter(|_| late.created_at > early.created_at)
    else {
        return Outcome::NotOffered("the two are of the same instant");
    };
    let query = RunQuery::default().with_since(since);
    lets_through(&yard, query, &late.id, &early.id).await;
    Outcome::Passed
}

pub(super) async fn p_048_filters_hold_together(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    let query = RunQuery::default()
        .with_state(yard.ended(&run).await.state)
        .with_reference(fixture.missing_reference());
    assert!(yard.listed(query, &[&run]).await.is_empty());
}

pub(super) async fn p_049_a_listing_that_is_given_up_does_not_disturb_the_next(
    fixture: &dyn PipelineFixture,
) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    drop(yard.pipeline.list_runs(RunQuery::default()).next().await);
    let listed = yard.listed(RunQuery::default(), &[&run]).await;
    assert!(!listed.is_empty());
}
