//! Stopping runs.

use std::fmt;

use async_trait::async_trait;

use super::Run;
use crate::error::Result;
use crate::id::RunId;

/// Stopping runs. An ability of [`Pipeline`](super::Pipeline).
#[async_trait]
pub trait CancelRuns: fmt::Debug + Send + Sync + 'static {
    /// Stops a run.
    ///
    /// # Behavior
    /// 1. Returns when the vendor has accepted it; the run is [`RunState::Canceled`] some
    ///    time later, unless it ended by itself first.
    /// 2. A run that has ended is left as it is, and is the answer.
    ///
    /// # Errors
    /// `NotFound`; see [`Pipeline`](super::Pipeline). Repeating is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the run stopped.
    ///
    /// [`RunState::Canceled`]: super::RunState::Canceled
    async fn cancel_run(&self, run: &RunId) -> Result<Run>;
}

const _: fn(&dyn CancelRuns) = |_| {};
