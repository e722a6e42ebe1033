//! What is not started.

use ops_core::ErrorKind;
use ops_core::id::IdempotencyKey;
use ops_core::pipeline::{RunInputs, StartRunRequest};

use super::{PipelineFixture, Yard};
use crate::case::Outcome;
use crate::support::{done, missing, refused};

impl Yard<'_> {
    /// A request for what is not in the repository.
    fn for_nothing(&self) -> StartRunRequest {
        let mut request = self.request();
        request.reference = self.fixture.missing_reference();
        request
    }

    /// A request with a key of this call alone.
    fn keyed(&self) -> (StartRunRequest, IdempotencyKey) {
        let key = IdempotencyKey::new(self.fixture.unique("key")).unwrap();
        (self.request().with_idempotency_key(key.clone()), key)
    }
}

pub(super) async fn p_020_a_missing_workflow_is_not_found(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let request = yard.request().with_workflow(fixture.missing_workflow());
    missing(yard.pipeline.start_run(request).await);
}

pub(super) async fn p_021_a_missing_reference_is_not_found(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    missing(yard.pipeline.start_run(yard.for_nothing()).await);
}

pub(super) async fn p_022_more_inputs_than_the_limit_are_refused(
    fixture: &dyn PipelineFixture,
) -> Outcome {
    let yard = Yard::new(fixture);
    let Some(max) = yard.pipeline.limits().max_inputs else {
        return Outcome::NotOffered("the limits do not tell");
    };
    let inputs = (0..=max).map(|number| (format!("input-{number}"), "x"));
    let request = yard.request().with_inputs(RunInputs::new(inputs).unwrap());
    let started = yard.pipeline.start_run(request).await;
    refused(started, &[ErrorKind::InvalidInput]);
    Outcome::Passed
}

pub(super) async fn p_023_a_refused_start_starts_nothing(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let before = yard.count().await;
    if yard.pipeline.start_run(yard.for_nothing()).await.is_err() {
        assert_eq!(yard.count().await, before, "refused and started");
    }
}

pub(super) async fn p_024_one_key_starts_one_run_or_is_unsupported(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let before = yard.count().await;
    let (request, _) = yard.keyed();
    match yard.pipeline.start_run(request.clone()).await {
        Ok(first) => {
            assert_eq!(yard.start(request).await.id, first.id);
            assert_eq!(yard.count().await, before + 1);
        }
        refusal => {
            refused(refusal, &[ErrorKind::Unsupported]);
            assert_eq!(yard.count().await, before, "unsupported and started");
        }
    }
}

pub(super) async fn p_025_the_key_of_another_run_is_a_conflict(
    fixture: &dyn PipelineFixture,
) -> Outcome {
    let yard = Yard::new(fixture);
    let (request, key) = yard.keyed();
    let first = yard.pipeline.start_run(request).await;
    if first.as_ref().is_err_and(ops_core::Error::is_unsupported) {
        return Outcome::NotOffered("the vendor knows no idempotency keys");
    }
    done(first);
    let other = yard.telling("another").with_idempotency_key(key);
    let other = yard.pipeline.start_run(other).await;
    refused(other, &[ErrorKind::Conflict]);
    Outcome::Passed
}
