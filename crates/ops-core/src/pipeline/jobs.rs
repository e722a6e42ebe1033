//! What a run consists of, and what it prints.

use std::fmt;

use async_trait::async_trait;

use super::RunState;
use crate::id::RunId;
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::time::Timestamp;

/// One job of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PipelineJob {
    /// Its name, such as `test`.
    pub name: String,
    /// How far it has come.
    pub state: RunState,
    /// The step at which it failed, where the vendor tells.
    pub failed_step: Option<String>,
    /// Where people can watch it.
    pub url: Option<String>,
    /// When it began to work.
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal state.
    pub finished_at: Option<Timestamp>,
}

impl PipelineJob {
    /// What is known of every job.
    pub fn new(name: impl Into<String>, state: RunState) -> Self {
        Self {
            name: name.into(),
            state,
            failed_step: None,
            url: None,
            started_at: None,
            finished_at: None,
        }
    }
}

setters! { PipelineJob {
    opt { with_started_at(started_at: Timestamp), with_finished_at(finished_at: Timestamp) }
    opt_into { with_failed_step(failed_step: String), with_url(url: String) }
} }

/// The jobs of a run. An ability of [`Pipeline`](super::Pipeline).
#[async_trait]
pub trait PipelineJobs: fmt::Debug + Send + Sync + 'static {
    /// Lists the jobs of a run's last attempt, in the vendor's order, page by page as the
    /// stream is polled.
    ///
    /// The first item is `NotFound` where there is no such run.
    fn list_jobs(&self, run: &RunId) -> ItemStream<PipelineJob>;
}

/// One line that a job printed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct JobLogLine {
    /// The name of the job.
    pub job: String,
    /// When, where the vendor tells.
    pub at: Option<Timestamp>,
    /// The text without its line end. Jobs print secrets: do not pass it on unread.
    pub message: String,
}

impl JobLogLine {
    /// A line without an instant.
    pub fn new(job: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            job: job.into(),
            at: None,
            message: message.into(),
        }
    }
}

setters! { JobLogLine {
    opt { with_at(at: Timestamp) }
} }

/// What runs print. An ability of [`Pipeline`](super::Pipeline).
#[async_trait]
pub trait PipelineLogs: fmt::Debug + Send + Sync + 'static {
    /// Reads the lines of a run's last attempt, job by job, in the order of each job.
    ///
    /// The first item is `NotFound` where there is no such run or its log was deleted,
    /// and `Conflict` where the vendor gives it out only after the run has ended.
    fn run_logs(&self, run: &RunId) -> ItemStream<JobLogLine>;
}

const _: fn(&dyn PipelineJobs) = |_| {};
const _: fn(&dyn PipelineLogs) = |_| {};
