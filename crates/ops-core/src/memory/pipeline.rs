//! A CI/CD project in memory.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{PROVIDER, lock};
use crate::error::Result;
use crate::id::{ProviderId, RunId};
use crate::memory::items;
use crate::monitor::{DeployMarker, DeployMarkers};
use crate::object_store::ItemStream;
use crate::pipeline::{
    CancelRuns, GitReference, JobLogLine, Pipeline, PipelineJob, PipelineJobs, PipelineLimits,
    PipelineLogs, RerunRequest, RerunRuns, Run, RunInputs, RunQuery, StartRunRequest,
};
use crate::time::{Clock, SystemClock};

mod state;

use state::{MAX_INPUTS, RunRecord, State};

/// A CI/CD project in memory, with every ability.
///
/// It begins with the branch `main` and the workflow `release.yml`, which takes any
/// input. Clones are the same project. A run advances by one step each time
/// [`run`](Pipeline::run) looks at it: queued, running, succeeded. It has two jobs,
/// `build` and `deploy`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::memory::MemoryPipeline;
/// use ops_core::pipeline::{GitReference, Pipeline, RunState, StartRunRequest};
///
/// let pipeline = MemoryPipeline::new();
/// pipeline.fail_next_run("the tests are red");
/// let main = GitReference::Branch("main".to_owned());
/// let started = pipeline.start_run(StartRunRequest::new(main)).await?;
/// assert_eq!(pipeline.run(&started.id).await?.state, RunState::Running);
/// let ended = pipeline.run(&started.id).await?;
/// assert_eq!(ended.state, RunState::Failed);
/// assert_eq!(ended.message.as_deref(), Some("the tests are red"));
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryPipeline(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl MemoryPipeline {
    /// A project without runs.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// A project without runs, with a clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(State::new());
        Self(Arc::new(Shared { clock, state }))
    }

    /// Adds a branch, a tag or a commit to the repository, and answers its commit.
    #[must_use]
    pub fn seed_reference(&self, reference: GitReference) -> String {
        lock(&self.0.state).add_reference(reference)
    }

    /// Adds a workflow that takes these inputs and no others.
    pub fn seed_workflow(&self, name: &str, inputs: &[&str]) {
        let inputs = inputs.iter().map(|input| (*input).to_owned()).collect();
        lock(&self.0.state).add_workflow(name, Some(inputs));
    }

    /// Makes the next run that is started fail with this message.
    pub fn fail_next_run(&self, message: &str) {
        lock(&self.0.state).fail_next = Some(message.to_owned());
    }

    /// Makes the next run that is started wait for [`approve`](Self::approve) once it runs.
    pub fn hold_next_run(&self) {
        lock(&self.0.state).hold_next = true;
    }

    /// Lets a run that waits go on.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn approve(&self, run: &RunId) -> Result<()> {
        self.with("memory.approve", run, |record| {
            record.held = false;
            Ok(())
        })
    }

    /// Prints a line, as a job would.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn print(&self, run: &RunId, job: &str, message: &str) -> Result<()> {
        let line = JobLogLine::new(job, message).with_at(self.0.clock.now());
        self.with("memory.print", run, |record| {
            record.log.push(line);
            Ok(())
        })
    }

    /// What a run was told.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn inputs(&self, run: &RunId) -> Result<RunInputs> {
        self.with("memory.inputs", run, |record| Ok(record.inputs.clone()))
    }

    /// The marks that were received, oldest first.
    #[must_use]
    pub fn markers(&self) -> Vec<DeployMarker> {
        lock(&self.0.state).markers.clone()
    }

    fn with<T>(
        &self,
        operation: &'static str,
        run: &RunId,
        work: impl FnOnce(&mut RunRecord) -> Result<T>,
    ) -> Result<T> {
        work(lock(&self.0.state).find(operation, run)?)
    }
}

impl Default for MemoryPipeline {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPipeline")
            .field("runs", &lock(&self.0.state).runs.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Pipeline for MemoryPipeline {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> PipelineLimits {
        PipelineLimits::default().with_max_inputs(MAX_INPUTS)
    }

    async fn start_run(&self, request: StartRunRequest) -> Result<Run> {
        let now = self.0.clock.now();
        lock(&self.0.state).start(request, now)
    }

    async fn run(&self, run: &RunId) -> Result<Run> {
        let now = self.0.clock.now();
        self.with("pipeline.run", run, |record| Ok(record.look(now)))
    }

    fn list_runs(&self, query: RunQuery) -> ItemStream<Run> {
        items::of(Ok(lock(&self.0.state).listed(&query)))
    }

    fn as_cancel_runs(&self) -> Option<&dyn CancelRuns> {
        Some(self)
    }

    fn as_rerun_runs(&self) -> Option<&dyn RerunRuns> {
        Some(self)
    }

    fn as_pipeline_jobs(&self) -> Option<&dyn PipelineJobs> {
        Some(self)
    }

    fn as_pipeline_logs(&self) -> Option<&dyn PipelineLogs> {
        Some(self)
    }

    fn as_deploy_markers(&self) -> Option<&dyn DeployMarkers> {
        Some(self)
    }
}

#[async_trait]
impl CancelRuns for MemoryPipeline {
    async fn cancel_run(&self, run: &RunId) -> Result<Run> {
        self.with("pipeline.cancel_run", run, |record| Ok(record.cancel()))
    }
}

#[async_trait]
impl RerunRuns for MemoryPipeline {
    async fn rerun(&self, run: &RunId, request: RerunRequest) -> Result<Run> {
        lock(&self.0.state).rerun(run, request)
    }
}

#[async_trait]
impl PipelineJobs for MemoryPipeline {
    fn list_jobs(&self, run: &RunId) -> ItemStream<PipelineJob> {
        items::of(self.with("pipeline.list_jobs", run, |record| Ok(record.jobs())))
    }
}

#[async_trait]
impl PipelineLogs for MemoryPipeline {
    fn run_logs(&self, run: &RunId) -> ItemStream<JobLogLine> {
        items::of(self.with("pipeline.run_logs", run, |record| Ok(record.lines())))
    }
}

#[async_trait]
impl DeployMarkers for MemoryPipeline {
    async fn mark_deploy(&self, marker: DeployMarker) -> Result<()> {
        lock(&self.0.state).markers.push(marker);
        Ok(())
    }
}
