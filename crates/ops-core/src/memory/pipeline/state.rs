//! What the project holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::{Idempotency, Sequence, error, missing};
use crate::error::{ErrorKind, Result};
use crate::id::RunId;
use crate::monitor::DeployMarker;
use crate::pipeline::{
    GitReference, JobLogLine, PipelineJob, RerunRequest, RerunScope, Run, RunInputs, RunQuery,
    RunState, StartRunRequest,
};
use crate::time::Timestamp;

pub(super) const MAX_INPUTS: u32 = 25;
const JOBS: [&str; 2] = ["build", "deploy"];

/// What the project holds.
pub(super) struct State {
    /// The commit of each branch, tag and commit.
    references: HashMap<GitReference, String>,
    /// The inputs that each workflow takes; `None` takes any.
    workflows: BTreeMap<String, Option<BTreeSet<String>>>,
    /// Oldest first.
    pub(super) runs: Vec<RunRecord>,
    pub(super) fail_next: Option<String>,
    pub(super) hold_next: bool,
    pub(super) markers: Vec<DeployMarker>,
    started: Idempotency,
    sequence: Sequence,
}

/// What is kept of a run.
pub(super) struct RunRecord {
    run: Run,
    pub(super) inputs: RunInputs,
    will_fail: Option<String>,
    pub(super) held: bool,
    canceled: bool,
    pub(super) log: Vec<JobLogLine>,
}

impl State {
    pub(super) fn new() -> Self {
        let mut state = Self {
            references: HashMap::new(),
            workflows: BTreeMap::new(),
            runs: Vec::new(),
            fail_next: None,
            hold_next: false,
            markers: Vec::new(),
            started: Idempotency::default(),
            sequence: Sequence::default(),
        };
        state.add_reference(GitReference::Branch("main".to_owned()));
        state.add_workflow("release.yml", None);
        state
    }

    pub(super) fn add_reference(&mut self, reference: GitReference) -> String {
        let commit = match &reference {
            GitReference::Commit(hash) => hash.clone(),
            _ => format!("{:040x}", self.sequence.next()),
        };
        self.references.insert(reference, commit.clone());
        commit
    }

    pub(super) fn add_workflow(&mut self, name: &str, inputs: Option<BTreeSet<String>>) {
        self.workflows.insert(name.to_owned(), inputs);
    }

    pub(super) fn find(&mut self, operation: &'static str, id: &RunId) -> Result<&mut RunRecord> {
        let found = self.runs.iter_mut().find(|record| record.run.id == *id);
        found.ok_or_else(|| missing(operation, id))
    }

    fn workflow(&self, operation: &'static str, request: &StartRunRequest) -> Result<String> {
        let mut names = self.workflows.keys();
        let name = match (&request.workflow, names.next(), names.next()) {
            (Some(name), ..) => name,
            (None, Some(only), None) => only,
            _ => {
                let message = "the project has several workflows: say which";
                return Err(error(ErrorKind::InvalidInput, operation, message));
            }
        };
        let takes = self.workflows.get(name);
        let takes = takes.ok_or_else(|| missing(operation, name))?;
        let is_known = |input: &str| takes.as_ref().is_none_or(|takes| takes.contains(input));
        let problem = if request.inputs.len() > MAX_INPUTS as usize {
            format!("more than {MAX_INPUTS} inputs")
        } else if let Some((input, _)) = request.inputs.iter().find(|(i, _)| !is_known(i)) {
            format!("{name} has no input {input}")
        } else {
            return Ok(name.clone());
        };
        Err(error(ErrorKind::InvalidInput, operation, problem))
    }

    pub(super) fn start(&mut self, request: StartRunRequest, now: Timestamp) -> Result<Run> {
        let operation = "pipeline.start_run";
        let key = request.idempotency_key.as_ref();
        if let Some(id) = self.started.find(operation, key, &request)? {
            let id = RunId::new(id)?;
            return self.find(operation, &id).map(|record| record.run.clone());
        }
        let workflow = self.workflow(operation, &request)?;
        let commit = self.references.get(&request.reference);
        let commit =
            commit.ok_or_else(|| {
                let (GitReference::Branch(name)
                | GitReference::Tag(name)
                | GitReference::Commit(name)) = &request.reference;
                missing(operation, name)
            })?;
        let commit = commit.clone();
        let id = RunId::new(format!("run-{}", self.sequence.next()))?;
        let key = request.idempotency_key.clone();
        self.started.remember(key, &request, id.as_str());
        let run = Run::new(id.clone(), RunState::Queued)
            .with_workflow(workflow)
            .with_reference(request.reference)
            .with_commit(commit)
            .with_url(format!("https://memory.invalid/runs/{id}"))
            .with_attempt(1)
            .with_created_at(now);
        self.runs.push(RunRecord {
            run: run.clone(),
            inputs: request.inputs,
            will_fail: self.fail_next.take(),
            held: std::mem::take(&mut self.hold_next),
            canceled: false,
            log: Vec::new(),
        });
        Ok(run)
    }

    pub(super) fn rerun(&mut self, id: &RunId, request: RerunRequest) -> Result<Run> {
        let operation = "pipeline.rerun";
        let will_fail = self.fail_next.take();
        let record = self.find(operation, id)?;
        let run = &mut record.run;
        let problem = if !run.state.is_terminal() {
            "has not ended"
        } else if request.scope == RerunScope::Failed && run.state != RunState::Failed {
            "has no failed job"
        } else {
            run.state = RunState::Queued;
            run.attempt = run.attempt.map(|attempt| attempt + 1);
            run.message = None;
            run.started_at = None;
            run.finished_at = None;
            record.will_fail = will_fail;
            record.canceled = false;
            record.log.clear();
            return Ok(record.run.clone());
        };
        let message = format!("{id} {problem}");
        Err(error(ErrorKind::Conflict, operation, message).with_resource(id.as_str()))
    }

    pub(super) fn listed(&self, query: &RunQuery) -> Vec<Run> {
        let matches = |run: &&Run| {
            let RunQuery {
                workflow,
                reference,
                state,
                since,
            } = query;
            let same_workflow = workflow.is_none() || *workflow == run.workflow;
            let same_reference = match reference {
                Some(GitReference::Commit(hash)) => run.commit.as_ref() == Some(hash),
                Some(_) => *reference == run.reference,
                None => true,
            };
            let same_state = state.as_ref().is_none_or(|state| *state == run.state);
            let recent = since.is_none_or(|since| run.created_at >= Some(since));
            same_workflow && same_reference && same_state && recent
        };
        let newest_first = self.runs.iter().rev().map(|record| &record.run);
        newest_first.filter(matches).cloned().collect()
    }
}

impl RunRecord {
    /// Advances a run by one step, and answers what it is then.
    pub(super) fn look(&mut self, now: Timestamp) -> Run {
        let next = match self.run.state {
            RunState::Queued | RunState::Running | RunState::Waiting if self.canceled => {
                RunState::Canceled
            }
            RunState::Running | RunState::Waiting if self.held => RunState::Waiting,
            RunState::Queued | RunState::Waiting => RunState::Running,
            RunState::Running if self.will_fail.is_some() => RunState::Failed,
            RunState::Running => RunState::Succeeded,
            _ => return self.run.clone(),
        };
        if next == RunState::Running {
            self.run.started_at.get_or_insert(now);
        }
        if next.is_terminal() {
            self.run.finished_at = Some(now);
        }
        if next == RunState::Failed {
            self.run.message.clone_from(&self.will_fail);
        }
        self.run.state = next;
        self.run.clone()
    }

    pub(super) fn cancel(&mut self) -> Run {
        self.canceled |= !self.run.state.is_terminal();
        self.run.clone()
    }

    /// The first job is over when the second one fails or waits.
    pub(super) fn jobs(&self) -> Vec<PipelineJob> {
        let state = &self.run.state;
        let (first, second) = match state {
            RunState::Running => (RunState::Running, RunState::Queued),
            RunState::Waiting | RunState::Failed => (RunState::Succeeded, state.clone()),
            other => (other.clone(), other.clone()),
        };
        let job = |name, state| {
            let mut job = PipelineJob::new(name, state);
            job.started_at = self.run.started_at;
            if job.state.is_terminal() {
                job.finished_at = self.run.finished_at;
            }
            job
        };
        let [build, deploy] = JOBS;
        let mut last = job(deploy, second);
        if last.state == RunState::Failed {
            last.failed_step = Some(deploy.to_owned());
        }
        vec![job(build, first), last]
    }

    /// The lines, job by job.
    pub(super) fn lines(&self) -> Vec<JobLogLine> {
        let mut lines = self.log.clone();
        let place = |line: &JobLogLine| {
            let known = JOBS.iter().position(|job| *job == line.job);
            known.unwrap_or(JOBS.len())
        };
        lines.sort_by_key(place);
        lines
    }
}
