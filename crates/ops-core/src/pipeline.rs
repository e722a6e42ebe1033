//! A CI/CD system.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{ProviderId, RunId};
use crate::macros::setters;
use crate::monitor::DeployMarkers;
use crate::object_store::ItemStream;

mod cancel;
mod jobs;
mod rerun;
mod run;

pub use crate::hosting::GitReference;
pub use cancel::CancelRuns;
pub use jobs::{JobLogLine, PipelineJob, PipelineJobs, PipelineLogs};
pub use rerun::{RerunRequest, RerunRuns, RerunScope};
pub use run::{Run, RunInputs, RunQuery, RunState, StartRunRequest};

/// What a CI/CD system can carry. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PipelineLimits {
    /// The most inputs of one run.
    pub max_inputs: Option<u32>,
}

setters! { PipelineLimits {
    opt { with_max_inputs(max_inputs: u32) }
} }

/// A CI/CD system: the Actions of a GitHub repository, the pipelines of a GitLab or
/// CircleCI project.
///
/// Implemented by each vendor that runs pipelines; called by applications that release
/// through one, which hold an `Arc<dyn Pipeline>`.
///
/// # Contract
/// 1. A provider stands for one repository or project.
/// 2. Methods may be called concurrently. Clones of a provider are the same project.
/// 3. Ids are opaque: they come from this provider and are given back to it.
/// 4. What a request asks for and the vendor cannot do is refused with `Unsupported`
///    before anything is started; it is never left out in silence.
/// 5. Inputs are plain: vendors show them to everybody who sees the run. Secrets belong
///    into the vendor's [`SecretStore`](crate::SecretStore).
///
/// # Abilities
/// | accessor | ability |
/// | --- | --- |
/// | [`as_cancel_runs`](Self::as_cancel_runs) | [`CancelRuns`] |
/// | [`as_rerun_runs`](Self::as_rerun_runs) | [`RerunRuns`] |
/// | [`as_pipeline_jobs`](Self::as_pipeline_jobs) | [`PipelineJobs`] |
/// | [`as_pipeline_logs`](Self::as_pipeline_logs) | [`PipelineLogs`] |
/// | [`as_deploy_markers`](Self::as_deploy_markers) | [`DeployMarkers`] |
///
/// # Errors
/// `NotFound` for a run, a workflow or a git reference that must exist, `InvalidInput` for
/// inputs that the vendor refuses, `Unauthenticated` and `PermissionDenied` for the token,
/// `Conflict` where the run's present state refuses, `QuotaExceeded` for minutes or a plan
/// limit, `RateLimited`, `Unavailable`, `Timeout`. After a timeout of a change the outcome
/// is unknown: read [`run`](Self::run) or [`list_runs`](Self::list_runs).
///
/// # Implementing
/// Implement the base methods, return `Some(self)` from the accessor of each ability
/// that the vendor has, and run the conformance suite. A wrapper wraps the abilities
/// too: handing out the inner accessor would go around the wrapper.
///
/// # Examples
/// ```
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> ops_core::Result<()> {
/// use ops_core::memory::MemoryPipeline;
/// use ops_core::pipeline::{GitReference, StartRunRequest};
/// use ops_core::{PipelineExt, RunOutcome, WaitOptions};
///
/// let pipeline = MemoryPipeline::new();
/// let request = StartRunRequest::new(GitReference::Branch("main".to_owned()))
///     .with_workflow("release.yml");
/// let wait = WaitOptions::default();
/// let outcome = pipeline.run_and_wait(request, wait, tokio::time::sleep).await?;
/// assert!(matches!(outcome, RunOutcome::Succeeded(_)));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "memory"))]
/// # fn main() {}
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Pipeline: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `github`.
    fn provider(&self) -> ProviderId;

    /// What the vendor can carry.
    fn limits(&self) -> PipelineLimits;

    /// Starts a run.
    ///
    /// # Behavior
    /// 1. Returns when the vendor has accepted the run, not when it has ended:
    ///    [`PipelineExt::run_and_wait`](crate::PipelineExt::run_and_wait) waits.
    /// 2. The run that is answered is the one that this call has started, never another
    ///    of the same workflow and reference.
    /// 3. Two calls with one idempotency key start one run, as far as the vendor knows
    ///    keys; with one that knows none, a request with a key is `Unsupported`.
    /// 4. A kind of reference that the vendor does not start from is `Unsupported`.
    ///
    /// # Errors
    /// `NotFound` for a workflow or a reference; `InvalidInput` for inputs that the
    /// workflow does not know; see the trait. After a timeout the outcome is unknown: the
    /// run is in [`list_runs`](Self::list_runs) or was not started.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the run started.
    async fn start_run(&self, request: StartRunRequest) -> Result<Run>;

    /// What is known of a run.
    ///
    /// # Errors
    /// `NotFound`; see the trait.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn run(&self, run: &RunId) -> Result<Run>;

    /// Lists runs, newest first, page by page as the stream is polled.
    ///
    /// A filter that the vendor does not have is applied by the provider.
    fn list_runs(&self, query: RunQuery) -> ItemStream<Run>;

    /// Stopping runs, where the vendor can.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_cancel_runs<'a>(&'a self) -> Option<&'a dyn CancelRuns> {
        None
    }

    /// Running again, where the vendor can.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_rerun_runs<'a>(&'a self) -> Option<&'a dyn RerunRuns> {
        None
    }

    /// The jobs of a run, where the vendor tells.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_pipeline_jobs<'a>(&'a self) -> Option<&'a dyn PipelineJobs> {
        None
    }

    /// What runs print, where the vendor gives it out.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_pipeline_logs<'a>(&'a self) -> Option<&'a dyn PipelineLogs> {
        None
    }

    /// Marks of deployments beside the code, where the vendor shows them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_deploy_markers<'a>(&'a self) -> Option<&'a dyn DeployMarkers> {
        None
    }
}

const _: fn(&dyn Pipeline) = |_| {};
