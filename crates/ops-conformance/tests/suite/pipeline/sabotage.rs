//! The wrapper that does one thing wrong, and its base methods.

use std::fmt;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::id::{ProviderId, RunId};
use ops_core::memory::MemoryPipeline;
use ops_core::monitor::DeployMarkers;
use ops_core::pipeline::{
    CancelRuns, GitReference, Pipeline, PipelineJobs, PipelineLimits, PipelineLogs, RerunRuns, Run,
    RunInputs, RunQuery, RunState, StartRunRequest,
};
use ops_core::{Error, ItemStream, Result};

use crate::saboteur::{Saboteur, wrong};

mod abilities;
mod starts;

pub(super) const CREDENTIAL: &str = "canary-yard-7f3a9d61c0";

pub(super) type Sabotaged = Saboteur<MemoryPipeline, Notes>;

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    asked: Option<RunId>,
    first: Option<Run>,
    requests: Vec<StartRunRequest>,
    ended: Vec<(RunId, Option<u32>)>,
    stopped: Vec<RunId>,
    again: Vec<RunId>,
    is_listing: bool,
}

/// What an id is up to a question mark, as where it is not encoded in a URL.
fn cut(run: &RunId) -> RunId {
    RunId::new(run.as_str().split('?').next().unwrap()).unwrap()
}

fn never_was(run: &RunId) -> bool {
    run.as_str() == "999999999"
}

fn is_told(inputs: &RunInputs, what: &str) -> bool {
    inputs.get("environment") == Some(what)
}

impl Sabotaged {
    /// The runs that there really are, newest first.
    async fn all(&self) -> Vec<Run> {
        let listed = self.memory().list_runs(RunQuery::default());
        listed.try_collect().await.unwrap()
    }

    /// What a run was told where a fault shows it.
    pub(super) fn as_told(&self, run: &RunId, inputs: RunInputs) -> RunInputs {
        let is_lost = self.is("P-014") || (self.is("P-063") && self.notes().again.contains(run));
        if is_lost {
            return RunInputs::default();
        }
        inputs
    }

    /// What a fault makes of a run that is looked at.
    fn shown(&self, mut run: Run) -> Run {
        let inputs = self.memory().inputs(&run.id).unwrap();
        match (self.fault(), &run.state) {
            ("P-011", RunState::Succeeded) if is_told(&inputs, "to-the-end") => {
                run.state = RunState::Skipped;
            }
            ("P-034", RunState::Failed) => run.state = RunState::Succeeded,
            ("P-035", RunState::Waiting) => run.state = RunState::Canceled,
            ("P-060", RunState::Succeeded) if run.attempt == Some(2) => {
                run.state = RunState::Failed;
            }
            _ => {}
        }
        if self.is("P-030") {
            run.workflow = Some("another.yml".to_owned());
        }
        if self.is("P-037") {
            let hour = Duration::from_secs(3_600);
            run.started_at = run.finished_at.map(|ended| ended.saturating_add(hour));
        }
        if self.is("P-036") && run.state.is_terminal() {
            let attempt = (run.id.clone(), run.attempt);
            let mut notes = self.notes();
            if notes.ended.contains(&attempt) {
                run.state = RunState::Running;
            }
            notes.ended.push(attempt);
        }
        run
    }

    /// What a fault makes of a listing.
    async fn listed(&self, mut query: RunQuery) -> Vec<Result<Run>> {
        if std::mem::replace(&mut self.notes().is_listing, true) && self.is("P-049") {
            return Vec::new();
        }
        let is_commit = matches!(query.reference, Some(GitReference::Commit(_)));
        let has_state = query.state.is_some();
        let has_key = |request: &StartRunRequest| request.idempotency_key.is_some();
        let is_plain = query == RunQuery::default() && !self.notes().requests.iter().any(has_key);
        match self.fault() {
            "P-043" => query.state = None,
            "P-044" if !has_state && !is_commit => query.reference = None,
            "P-045" if is_commit => query.reference = None,
            "P-046" => query.workflow = None,
            "P-047" => query.since = None,
            "P-048" if has_state => query.reference = None,
            _ => {}
        }
        let listed = self.memory().list_runs(query).try_collect().await;
        let mut listed: Vec<Run> = listed.unwrap();
        match self.fault() {
            "P-040" if is_plain && listed.len() == 1 => listed.extend_from_within(..),
            "P-041" => listed.reverse(),
            "P-042" => listed.truncate(4),
            _ => {}
        }
        listed.into_iter().map(Ok).collect()
    }
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = if self.is("P-003") { CREDENTIAL } else { "" };
        write!(f, "Sabotaged({}, {token})", self.fault())
    }
}

#[async_trait]
impl Pipeline for Sabotaged {
    fn provider(&self) -> ProviderId {
        if self.is("nameless") {
            return ProviderId::from_static("");
        }
        self.memory().provider()
    }

    fn limits(&self) -> PipelineLimits {
        self.memory().limits()
    }

    async fn start_run(&self, request: StartRunRequest) -> Result<Run> {
        self.start(request).await
    }

    async fn run(&self, run: &RunId) -> Result<Run> {
        let mut asked = run.clone();
        if self.is("P-032") {
            asked = cut(run);
        }
        if self.is("P-033") {
            self.notes().asked = Some(asked);
            tokio::task::yield_now().await;
            asked = self.notes().asked.clone().unwrap();
        }
        match self.memory().run(&asked).await {
            Err(err) if self.is("P-002") => Err(Error::new(err.kind(), "sabotaged")),
            Err(_) if self.is("P-031") && never_was(run) => wrong(),
            seen => Ok(self.shown(seen?)),
        }
    }

    fn list_runs(&self, query: RunQuery) -> ItemStream<Run> {
        let (this, end) = (self.clone(), self.clone());
        let items = async move { stream::iter(this.listed(query).await) };
        let end = async move {
            end.notes().is_listing = false;
            stream::empty()
        };
        let items = stream::once(items).flatten();
        items.chain(stream::once(end).flatten()).boxed()
    }

    fn as_cancel_runs(&self) -> Option<&dyn CancelRuns> {
        (!self.is_bare() && !self.is("P-001")).then_some(self as &dyn CancelRuns)
    }

    fn as_rerun_runs(&self) -> Option<&dyn RerunRuns> {
        (!self.is_bare()).then_some(self as &dyn RerunRuns)
    }

    fn as_pipeline_jobs(&self) -> Option<&dyn PipelineJobs> {
        (!self.is_bare()).then_some(self as &dyn PipelineJobs)
    }

    fn as_pipeline_logs(&self) -> Option<&dyn PipelineLogs> {
        (!self.is_bare()).then_some(self as &dyn PipelineLogs)
    }

    fn as_deploy_markers(&self) -> Option<&dyn DeployMarkers> {
        (!self.is_bare()).then_some(self as &dyn DeployMarkers)
    }
}
