//! `CancelRuns`.

use ops_core::PipelineExt;
use ops_core::id::RunId;
use ops_core::pipeline::{Run, RunState};

use super::{PipelineFixture, Yard};
use crate::support::{AWKWARD, done, missing, unsupported};

impl Yard<'_> {
    async fn cancel(&self, run: &RunId) -> Run {
        let cancel = self.pipeline.as_cancel_runs().unwrap();
        done(cancel.cancel_run(run).await)
    }
}

pub(super) async fn p_050_a_run_is_stopped_or_that_is_unsupported_by_name(
    fixture: &dyn PipelineFixture,
) {
    let yard = Yard::new(fixture);
    if yard.pipeline.as_cancel_runs().is_none() {
        let required = yard.pipeline.require_cancel_runs();
        return unsupported(required, &yard.pipeline.provider(), "stopping runs");
    }
    let run = yard.started().await.id;
    yard.cancel(&run).await;
    assert_eq!(yard.ended(&run).await.state, RunState::Canceled);
}

pub(super) async fn p_051_stopping_twice_is_success(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    for _ in 0..2 {
        assert_eq!(yard.cancel(&run).await.id, run);
    }
}

pub(super) async fn p_052_a_run_that_has_ended_is_not_stopped(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    let ended = yard.ended(&run).await.state;
    assert_eq!(yard.cancel(&run).await.state, ended);
    let seen = done(yard.pipeline.run(&run).await).state;
    assert_ne!(seen, RunState::Canceled);
}

pub(super) async fn p_053_stopping_leaves_the_other_runs(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let (stopped, other) = (yard.started().await.id, yard.started().await.id);
    yard.cancel(&stopped).await;
    assert_ne!(yard.ended(&other).await.state, RunState::Canceled);
}

pub(super) async fn p_054_stopping_a_missing_run_is_not_found(fixture: &dyn PipelineFixture) {
    let pipeline = fixture.pipeline();
    let cancel = pipeline.as_cancel_runs().unwrap();
    missing(cancel.cancel_run(&fixture.missing_run()).await);
}

pub(super) async fn p_055_stopping_an_awkward_run_stops_nobody_else(fixture: &dyn PipelineFixture) {
    let yard = Yard::new(fixture);
    let run = yard.started().await.id;
    let cancel = yard.pipeline.as_cancel_runs().unwrap();
    for tail in AWKWARD {
        let other = RunId::new(format!("{run}{tail}")).unwrap();
        // However it is refused: it is not this run.
        let _ = cancel.cancel_run(&other).await;
    }
    assert_ne!(yard.ended(&run).await.state, RunState::Canceled);
}
