//! Stopping, running again, jobs, logs and marks.

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::id::RunId;
use ops_core::monitor::{DeployMarker, DeployMarkers};
use ops_core::pipeline::{
    CancelRuns, JobLogLine, PipelineJob, PipelineJobs, PipelineLogs, RerunRequest, RerunRuns,
    RerunScope, Run, RunState,
};
use ops_core::{ErrorKind, ItemStream, Result};

use super::{Sabotaged, cut, never_was};
use crate::saboteur::{fault, wrong};

impl Sabotaged {
    /// A run as it is, without looking at it.
    async fn peek(&self, run: &RunId) -> Option<Run> {
        let mut all = self.all().await.into_iter();
        all.find(|known| known.id == *run)
    }
}

#[async_trait]
impl CancelRuns for Sabotaged {
    async fn cancel_run(&self, run: &RunId) -> Result<Run> {
        let mut asked = run.clone();
        if self.is("P-055") {
            asked = cut(run);
        }
        let there = self.peek(&asked).await;
        let has_ended = there.as_ref().is_some_and(|run| run.state.is_terminal());
        let is_again = self.notes().stopped.contains(run);
        self.notes().stopped.push(run.clone());
        match (self.fault(), there) {
            ("P-050", Some(there)) => return Ok(there),
            ("P-051", _) if is_again => return Err(fault(ErrorKind::Conflict)),
            ("P-052", _) if has_ended => return Err(fault(ErrorKind::Conflict)),
            ("P-053", Some(_)) => {
                for run in self.all().await {
                    self.memory().cancel_run(&run.id).await?;
                }
            }
            ("P-054", None) if never_was(run) => return wrong(),
            _ => {}
        }
        self.memory().cancel_run(&asked).await
    }
}

#[async_trait]
impl RerunRuns for Sabotaged {
    async fn rerun(&self, run: &RunId, request: RerunRequest) -> Result<Run> {
        let there = self.peek(run).await;
        let (is_failed, has_ended) = there.as_ref().map_or((false, false), |run| {
            (run.state == RunState::Failed, run.state.is_terminal())
        });
        let wants_failed = request.scope == RerunScope::Failed;
        match self.fault() {
            "P-064" if !has_ended && there.is_some() => return Ok(there.unwrap()),
            "P-065" if wants_failed && has_ended && !is_failed => return Ok(there.unwrap()),
            "P-066" if wants_failed && is_failed => return wrong(),
            "P-067" if never_was(run) => return wrong(),
            _ => {}
        }
        let mut again = self.memory().rerun(run, request).await?;
        self.notes().again.push(run.clone());
        if self.is("P-061") {
            again.commit = Some("0".repeat(40));
        }
        if self.is("P-062") {
            return Ok(there.unwrap());
        }
        Ok(again)
    }
}

impl Sabotaged {
    async fn jobs(&self, run: &RunId) -> Vec<Result<PipelineJob>> {
        let listed = self.memory().list_jobs(run).try_collect().await;
        let mut jobs: Vec<PipelineJob> = match listed {
            Err(_) if self.is("P-075") => return Vec::new(),
            Err(err) => return vec![Err(err)],
            Ok(jobs) => jobs,
        };
        match self.fault() {
            "P-070" => jobs.clear(),
            "P-071" => "Build".clone_into(&mut jobs[0].name),
            "P-072" => jobs.extend_from_within(..),
            "P-073" => jobs[0].state = RunState::Running,
            _ => {}
        }
        for job in &mut jobs {
            if self.is("P-074") && job.state == RunState::Failed {
                job.state = RunState::Canceled;
            }
        }
        jobs.into_iter().map(Ok).collect()
    }

    async fn lines(&self, run: &RunId) -> Vec<Result<JobLogLine>> {
        let read = self.memory().run_logs(run).try_collect().await;
        let mut lines: Vec<JobLogLine> = match read {
            Err(_) if self.is("P-087") => return Vec::new(),
            Err(err) => return vec![Err(err)],
            Ok(lines) => lines,
        };
        let is_one_job = lines.windows(2).all(|two| two[0].job == two[1].job);
        match self.fault() {
            "P-080" if lines.len() == 1 && lines[0].message == "all is well" => lines.clear(),
            "P-081" if is_one_job => lines.reverse(),
            "P-082" if !is_one_job => lines.sort_by_key(|line| line.message.chars().last()),
            "P-086" => lines.truncate(1_000),
            "P-085" => {
                let mut others = self.all().await;
                others.retain(|other| other.id != *run);
                for other in others {
                    let more = self.memory().run_logs(&other.id);
                    lines.extend(more.try_collect::<Vec<_>>().await.unwrap());
                }
            }
            _ => {}
        }
        for line in &mut lines {
            match self.fault() {
                "P-083" => "a job".clone_into(&mut line.job),
                "P-084" => line.message.push('\n'),
                _ => {}
            }
        }
        lines.into_iter().map(Ok).collect()
    }
}

impl PipelineJobs for Sabotaged {
    fn list_jobs(&self, run: &RunId) -> ItemStream<PipelineJob> {
        let (this, run) = (self.clone(), run.clone());
        let jobs = async move { stream::iter(this.jobs(&run).await) };
        stream::once(jobs).flatten().boxed()
    }
}

impl PipelineLogs for Sabotaged {
    fn run_logs(&self, run: &RunId) -> ItemStream<JobLogLine> {
        let (this, run) = (self.clone(), run.clone());
        let lines = async move { stream::iter(this.lines(&run).await) };
        stream::once(lines).flatten().boxed()
    }
}

#[async_trait]
impl DeployMarkers for Sabotaged {
    async fn mark_deploy(&self, mut marker: DeployMarker) -> Result<()> {
        let is_lost = (self.is("P-090") && marker.version == "1.4.2")
            || (self.is("P-091") && marker.commit.is_some());
        if is_lost {
            return Ok(());
        }
        if self.is("P-092") {
            marker.version.retain(|c| c.is_ascii());
        }
        self.memory().mark_deploy(marker).await
    }
}
