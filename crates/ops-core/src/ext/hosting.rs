//! [`HostingExt`].

use std::time::Duration;

use super::gate::{self, Gate, GateReport};
use super::require;
use super::wait::{Unanswered, WaitOptions, poll_until};
use crate::error::{Error, ErrorKind, Result};
use crate::hosting::{
    AppSecrets, CreateApps, DeployRequest, Deployment, DeploymentState, Domains, EnvVars, Hosting,
    Logs, Restart, Rollback, Scale, Usage,
};
use crate::id::{AppId, DeploymentId};

/// How a deployment that was waited for has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a deployment that failed is an answer, not an error"]
pub enum DeployOutcome {
    /// It serves.
    Live(Deployment),
    /// It failed, was canceled, or another one took its place: see its state and message.
    NotLive(Deployment),
}

impl DeployOutcome {
    /// The deployment, however it ended.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        match self {
            Self::Live(deployment) | Self::NotLive(deployment) => deployment,
        }
    }
}

impl From<Deployment> for DeployOutcome {
    fn from(deployment: Deployment) -> Self {
        if deployment.state.is_live() {
            Self::Live(deployment)
        } else {
            Self::NotLive(deployment)
        }
    }
}

/// What every [`Hosting`] can do because it is one.
pub trait HostingExt: Hosting {
    require! {
        require_create_apps: as_create_apps -> CreateApps = "making apps";
        require_rollback: as_rollback -> Rollback = "rollback";
        require_scale: as_scale -> Scale = "scaling";
        require_env_vars: as_env_vars -> EnvVars = "setting variables";
        require_app_secrets: as_app_secrets -> AppSecrets = "setting secrets";
        require_logs: as_logs -> Logs = "reading logs";
        require_domains: as_domains -> Domains = "custom domains";
        require_restart: as_restart -> Restart = "restarting";
        require_usage: as_usage -> Usage = "reading usage";
    }

    /// Waits until a deployment is in a state that `until` accepts.
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
    fn wait_until<P, S, F>(
        &self,
        app: &AppId,
        deployment: &DeploymentId,
        until: P,
        options: WaitOptions,
        sleep: S,
    ) -> impl Future<Output = Result<Deployment>> + Send
    where
        P: Fn(&DeploymentState) -> bool + Send + Sync,
        S: Fn(Duration) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        async move {
            let look = || self.deployment(app, deployment);
            let waited = poll_until(options, &sleep, look, |seen| until(&seen.state)).await;
            waited.map_err(|unanswered| match unanswered {
                Unanswered::Failed(err) => err,
                Unanswered::TimedOut { seen, error } => {
                    timed_out(deployment, options, seen.as_ref(), error)
                        .with_provider(self.provider())
                        .with_operation("hosting.wait_until")
                }
            })
        }
    }

    /// Deploys, and waits until the deployment serves or has ended otherwise.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> ops_core::Result<()> {
    /// use ops_core::hosting::{DeployRequest, DeploySource};
    /// use ops_core::memory::MemoryHosting;
    /// use ops_core::{DeployOutcome, HostingExt, WaitOptions};
    ///
    /// let hosting = MemoryHosting::new();
    /// let app = hosting.seed_app("shop")?;
    /// let request = DeployRequest::new(DeploySource::image("registry.example/shop:1.4.2"));
    /// let wait = WaitOptions::default();
    /// let outcome = hosting.deploy_and_wait(&app, request, wait, tokio::time::sleep).await?;
    /// assert!(matches!(outcome, DeployOutcome::Live(_)));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "memory"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// As [`deploy`](Hosting::deploy) and [`wait_until`](Self::wait_until). After a timeout
    /// the deployment goes on.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the deployment.
    fn deploy_and_wait<S, F>(
        &self,
        app: &AppId,
        request: DeployRequest,
        options: WaitOptions,
        sleep: S,
    ) -> impl Future<Output = Result<DeployOutcome>> + Send
    where
        S: Fn(Duration) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        async move {
            let started = self.deploy(app, request).await?;
            let ended = self
                .wait_until(
                    app,
                    &started.id,
                    DeploymentState::is_terminal,
                    options,
                    sleep,
                )
                .await?;
            Ok(ended.into())
        }
    }

    /// Deploys, waits until the deployment serves, probes it, and rolls back by itself
    /// where it does not pass.
    ///
    /// # Behavior
    /// 1. A provider without [`Rollback`] is refused before anything is deployed.
    /// 2. A deployment that ends without having served is not rolled back: what served
    ///    before serves still.
    /// 3. One that serves is probed as the [`Gate`] says. Where it fails, and where it
    ///    could not be seen to serve in time, the deployment that served before is
    ///    deployed again and waited for.
    /// 4. What happened is in the report, also a rollback that failed.
    ///
    /// # Errors
    /// Only before the deployment has started: as [`app`](Hosting::app) and
    /// [`deploy`](Hosting::deploy); `Unsupported` without [`Rollback`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves whatever serves then, ungated.
    fn deploy_gated<P, PF, S, F>(
        &self,
        app: &AppId,
        request: DeployRequest,
        gate: Gate,
        probe: P,
        sleep: S,
    ) -> impl Future<Output = Result<GateReport>> + Send
    where
        P: Fn() -> PF + Send + Sync,
        PF: Future<Output = Result<()>> + Send,
        S: Fn(Duration) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        gate::run(self, app, request, gate, probe, sleep)
    }
}

impl<T: Hosting + ?Sized> HostingExt for T {}

#[cold]
fn timed_out(
    deployment: &DeploymentId,
    options: WaitOptions,
    seen: Option<&Deployment>,
    error: Option<Error>,
) -> Error {
    let seconds = options.timeout.as_secs();
    let message = match seen {
        Some(seen) => format!(
            "deployment {deployment} was still {} after {seconds} s",
            seen.state.as_str(),
        ),
        None => format!("deployment {deployment} could not be seen within {seconds} s"),
    };
    let err = Error::new(ErrorKind::Timeout, message).with_resource(deployment.as_str());
    match error {
        Some(source) => err.with_source(source),
        None => err,
    }
}
