//! `Pipeline`.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::memory::MemoryPipelineFixture;
use ops_conformance::pipeline::{CASES, PipelineFixture};
use ops_conformance::{Fixture, async_trait};
use ops_core::Timestamp;
use ops_core::id::RunId;
use ops_core::pipeline::{GitReference, Pipeline, RunInputs};

use crate::matrix::{each_case_is_failed_by_its_sabotage_alone, the_bare_provider_passes};

mod sabotage;

use sabotage::{CREDENTIAL, Sabotaged};

mod reference {
    use ops_conformance::memory::MemoryPipelineFixture;

    ops_conformance::pipeline!(MemoryPipelineFixture::new());
}

/// The project in memory behind a wrapper that does one thing wrong.
struct SabotagedFixture {
    memory: MemoryPipelineFixture,
    pipeline: Sabotaged,
}

impl SabotagedFixture {
    fn new(fault: &'static str) -> Self {
        let memory = MemoryPipelineFixture::new();
        let pipeline = Sabotaged::new(memory.memory().clone(), fault);
        Self { memory, pipeline }
    }
}

#[async_trait]
impl Fixture for SabotagedFixture {
    fn credential(&self) -> Option<String> {
        Some(CREDENTIAL.to_owned())
    }

    async fn advance(&self, by: Duration) -> bool {
        self.memory.advance(by).await
    }
}

#[async_trait]
impl PipelineFixture for SabotagedFixture {
    fn pipeline(&self) -> Arc<dyn Pipeline> {
        Arc::new(self.pipeline.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        if self.pipeline.is_bare() {
            return &[];
        }
        self.memory.abilities()
    }

    fn now(&self) -> Timestamp {
        self.memory.now()
    }

    fn other_references(&self) -> Vec<GitReference> {
        self.memory.other_references()
    }

    fn workflow(&self) -> Option<String> {
        self.memory.workflow()
    }

    fn other_workflow(&self) -> Option<String> {
        self.memory.other_workflow()
    }

    fn jobs(&self) -> Vec<String> {
        self.memory.jobs()
    }

    async fn fail_next_run(&self) -> bool {
        self.memory.fail_next_run().await
    }

    async fn hold_next_run(&self) -> bool {
        self.memory.hold_next_run().await
    }

    async fn approve(&self, run: &RunId) {
        self.memory.approve(run).await;
    }

    async fn print(&self, run: &RunId, job: &str, line: &str) -> bool {
        self.memory.print(run, job, line).await
    }

    async fn received_inputs(&self, run: &RunId) -> Option<RunInputs> {
        let inputs = self.memory.received_inputs(run).await?;
        Some(self.pipeline.as_told(run, inputs))
    }

    async fn received_deploys(&self) -> Option<Vec<String>> {
        self.memory.received_deploys().await
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn PipelineFixture> {
    Box::new(SabotagedFixture::new(fault))
}

#[test]
fn each_case_is_needed() {
    each_case_is_failed_by_its_sabotage_alone(CASES, sabotaged);
}

#[test]
fn a_provider_without_abilities_passes() {
    the_bare_provider_passes(CASES, sabotaged);
}
