//! The fixture of [`MemoryPipeline`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::id::RunId;
use ops_core::memory::MemoryPipeline;
use ops_core::pipeline::{GitReference, Pipeline, RunInputs};
use ops_core::{Clock, Timestamp};

use super::ManualClock;
use crate::fixture::Fixture;
use crate::pipeline::PipelineFixture;

/// The fixture of [`MemoryPipeline`].
#[derive(Debug)]
pub struct MemoryPipelineFixture {
    clock: Arc<ManualClock>,
    pipeline: MemoryPipeline,
    references: Vec<GitReference>,
}

impl MemoryPipelineFixture {
    /// A project without runs, with a branch, a tag, a commit and two workflows.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let pipeline = MemoryPipeline::with_clock(Arc::<ManualClock>::clone(&clock));
        pipeline.seed_workflow("nightly.yml", &[]);
        let references = vec![
            GitReference::Tag("v1.4.2".to_owned()),
            GitReference::Commit("0123456789abcdef0123456789abcdef01234567".to_owned()),
        ];
        for reference in &references {
            let _ = pipeline.seed_reference(reference.clone());
        }
        Self {
            clock,
            pipeline,
            references,
        }
    }

    /// The project.
    #[must_use]
    pub fn memory(&self) -> &MemoryPipeline {
        &self.pipeline
    }
}

impl Default for MemoryPipelineFixture {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Fixture for MemoryPipelineFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.clock.advance(by);
        true
    }
}

#[async_trait]
impl PipelineFixture for MemoryPipelineFixture {
    fn pipeline(&self) -> Arc<dyn Pipeline> {
        Arc::new(self.pipeline.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &[
            "as_cancel_runs",
            "as_rerun_runs",
            "as_pipeline_jobs",
            "as_pipeline_logs",
            "as_deploy_markers",
        ]
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn other_references(&self) -> Vec<GitReference> {
        self.references.clone()
    }

    fn workflow(&self) -> Option<String> {
        Some("release.yml".to_owned())
    }

    fn other_workflow(&self) -> Option<String> {
        Some("nightly.yml".to_owned())
    }

    fn jobs(&self) -> Vec<String> {
        ["build", "deploy"].map(str::to_owned).into()
    }

    async fn fail_next_run(&self) -> bool {
        self.pipeline.fail_next_run("the tests are red");
        true
    }

    async fn hold_next_run(&self) -> bool {
        self.pipeline.hold_next_run();
        true
    }

    async fn approve(&self, run: &RunId) {
        // A run that is not there does not wait either, which the case sees.
        let _ = self.pipeline.approve(run);
    }

    async fn print(&self, run: &RunId, job: &str, line: &str) -> bool {
        self.pipeline.print(run, job, line).is_ok()
    }

    async fn received_inputs(&self, run: &RunId) -> Option<RunInputs> {
        self.pipeline.inputs(run).ok()
    }

    async fn received_deploys(&self) -> Option<Vec<String>> {
        let markers = self.pipeline.markers().into_iter();
        Some(markers.map(|marker| marker.version).collect())
    }
}
