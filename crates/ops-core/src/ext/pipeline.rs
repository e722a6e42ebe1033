//! [`PipelineExt`].

use std::time::Duration;

use super::require;
use super::wait::{Unanswered, WaitOptions, poll_until};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RunId;
use crate::monitor::DeployMarkers;
use crate::pipeline::{
    CancelRuns, Pipeline, PipelineJobs, PipelineLogs, RerunRuns, Run, RunState, StartRunRequest,
};

/// How a run that was waited for has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a run that failed is an answer, not an error"]
pub enum RunOutcome {
    /// It ended well.
    Succeeded(Run),
    /// It failed, was stopped, or had nothing to do: see its state and message.
    NotSucceeded(Run),
}

impl RunOutcome {
    /// The run, however it ended.
    #[must_use]
    pub fn run(&self) -> &Run {
        match self {
            Self::Succeeded(run) | Self::NotSucceeded(run) => run,
        }
    }
}

impl From<Run> for RunOutcome {
    fn from(run: Run) -> Self {
        if run.state == RunState::Succeeded {
            Self::Succeeded(run)
        } else {
            Self::NotSucceeded(run)
        }
    }
}

/// What every [`Pipeline`] can do because it is one.
pub trait PipelineExt: Pipeline {
    require! {
        require_cancel_runs: as_cancel_runs -> CancelRuns = "stopping runs";
        require_rerun_runs: as_rerun_runs -> RerunRuns = "running again";
        require_pipeline_jobs: as_pipeline_jobs -> PipelineJobs = "listing jobs";
        require_pipeline_logs: as_pipeline_logs -> PipelineLogs = "reading logs";
        require_deploy_markers: as_deploy_markers -> DeployMarkers = "marking deployments";
    }

    /// Waits until a run is in a state that `until` accepts.
    ///
    /// # Behavior
    /// 1. Looks at once, then every [`interval`](WaitOptions::interval).
    /// 2. A look that fails in a way that may get better does not end the wait, and a
    ///    vendor's "not before" is kept.
    /// 3. The deadline also ends a look that hangs.
    ///
    /// # Errors
    /// `Timeout` with the last state in its text, and the last failed look as its source;
    /// `NotFound` and whatever else will not get better.
    ///
    /// # Cancel safety
    /// Waiting changes nothing.
    fn wait_for_run<P, S, F>(
        &self,
        run: &RunId,
        until: P,
        options: WaitOptions,
        sleep: S,
    ) -> impl Future<Output = Result<Run>> + Send
    where
        P: Fn(&RunState) -> bool + Send + Sync,
        S: Fn(Duration) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        async move {
            let look = || self.run(run);
            let waited = poll_until(options, &sleep, look, |seen| until(&seen.state)).await;
            waited.map_err(|unanswered| match unanswered {
                Unanswered::Failed(err) => err,
                Unanswered::TimedOut { seen, error } => {
                    timed_out(run, options, seen.as_ref(), error)
                        .with_provider(self.provider())
                        .with_operation("pipeline.wait_for_run")
                }
            })
        }
    }

    /// Starts a run, and waits until it has ended.
    ///
    /// # Errors
    /// As [`start_run`](Pipeline::start_run) and [`wait_for_run`](Self::wait_for_run).
    /// After a timeout the run goes on: its id is the error's
    /// [`resource`](Error::resource), and [`CancelRuns`] stops it.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the run.
    fn run_and_wait<S, F>(
        &self,
        request: StartRunRequest,
        options: WaitOptions,
        sleep: S,
    ) -> impl Future<Output = Result<RunOutcome>> + Send
    where
        S: Fn(Duration) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        async move {
            let started = self.start_run(request).await?;
            let ended = self
                .wait_for_run(&started.id, RunState::is_terminal, options, sleep)
                .await?;
            Ok(ended.into())
        }
    }
}

impl<T: Pipeline + ?Sized> PipelineExt for T {}

#[cold]
fn timed_out(run: &RunId, options: WaitOptions, seen: Option<&Run>, error: Option<Error>) -> Error {
    let seconds = options.timeout.as_secs();
    let message = match seen {
        Some(seen) => format!(
            "run {run} was still {} after {seconds} s",
            seen.state.as_str()
        ),
        None => format!("run {run} could not be seen within {seconds} s"),
    };
    let err = Error::new(ErrorKind::Timeout, message).with_resource(run.as_str());
    match error {
        Some(source) => err.with_source(source),
        None => err,
    }
}
