//! Running again.

use std::fmt;

use async_trait::async_trait;

use super::Run;
use crate::error::Result;
use crate::id::RunId;
use crate::macros::setters;

/// What of a run to run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RerunScope {
    /// All of it.
    #[default]
    All,
    /// The jobs that failed, and those that come after them.
    Failed,
}

/// A request to run again. Defaults to all of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RerunRequest {
    /// What of it. Defaults to all.
    pub scope: RerunScope,
}

setters! { RerunRequest {
    val { with_scope(scope: RerunScope) }
} }

/// Running again. An ability of [`Pipeline`](super::Pipeline).
#[async_trait]
pub trait RerunRuns: fmt::Debug + Send + Sync + 'static {
    /// Runs a run that has ended again, on the same commit and with the same inputs.
    ///
    /// # Behavior
    /// Answers the run to watch: the same one with the next attempt, or a new one, as the
    /// vendor has it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a run that has not ended, and for the failed jobs of one
    /// that has none. After a timeout the outcome is unknown: [`Pipeline::run`] tells.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the run started.
    ///
    /// [`Pipeline::run`]: super::Pipeline::run
    async fn rerun(&self, run: &RunId, request: RerunRequest) -> Result<Run>;
}

const _: fn(&dyn RerunRuns) = |_| {};
