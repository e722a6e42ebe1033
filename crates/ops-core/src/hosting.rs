//! A place that runs apps.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{AppId, DeploymentId, ProviderId};
use crate::object_store::ItemStream;
use crate::outcome::DeleteOutcome;

mod app;
mod create;
mod deploy;
mod domains;
mod env;
mod logs;
mod rollback;
mod scale;

pub use crate::usage::Usage;
pub use app::{
    App, AppSettings, AppState, HealthCheck, HostingLimits, MachineSize, Replicas, RestartPolicy,
};
pub use create::{CreateAppRequest, CreateApps};
pub use deploy::{DeployRequest, DeploySource, Deployment, DeploymentState, GitReference};
pub use domains::{CertificateState, DnsRecord, Domain, DomainState, Domains};
pub use env::{AppSecrets, EnvChange, EnvKey, EnvVars, PlainEnv, SecretInfo};
pub use logs::{LogLine, LogQuery, LogSource, Logs};
pub use rollback::{Restart, Rollback, RollbackRequest, RollbackTarget};
pub use scale::{Scale, ScaleRequest, ScaleState};

/// A place that runs apps: an app of Fly.io, a project of Vercel, a service of Railway
/// or ECS, a container, a process under a supervisor.
///
/// Implemented by each vendor that runs code; called by applications, pipelines and the
/// engines, which hold an `Arc<dyn Hosting>`.
///
/// # Contract
/// 1. A provider stands for one account (team, organization, project, host) of a vendor.
/// 2. Methods may be called concurrently. Clones of a provider are the same account.
/// 3. Ids are opaque: they come from this provider and are given back to it.
/// 4. Deleting what is not there succeeds.
/// 5. What a request asks for and the vendor cannot do is refused with `Unsupported`
///    before anything is changed; it is never left out in silence.
/// 6. An app keeps its name, plain variables, secrets and domains over deployments.
///
/// # Abilities
/// | accessor | ability |
/// | --- | --- |
/// | [`as_create_apps`](Self::as_create_apps) | [`CreateApps`] |
/// | [`as_rollback`](Self::as_rollback) | [`Rollback`] |
/// | [`as_scale`](Self::as_scale) | [`Scale`] |
/// | [`as_env_vars`](Self::as_env_vars) | [`EnvVars`] |
/// | [`as_app_secrets`](Self::as_app_secrets) | [`AppSecrets`] |
/// | [`as_logs`](Self::as_logs) | [`Logs`] |
/// | [`as_domains`](Self::as_domains) | [`Domains`] |
/// | [`as_restart`](Self::as_restart) | [`Restart`] |
/// | [`as_usage`](Self::as_usage) | [`Usage`] |
///
/// # Errors
/// `NotFound` for an app or a deployment that must exist, `Unauthenticated` and
/// `PermissionDenied` for the token, `Conflict` where the app's present state refuses,
/// `QuotaExceeded` for a plan limit, `RateLimited`, `Unavailable`, `Timeout`. After a
/// timeout of a change the outcome is unknown: read [`app`](Self::app) or
/// [`list_deployments`](Self::list_deployments).
///
/// # Implementing
/// Implement the base methods, return `Some(self)` from the accessor of each ability
/// that the vendor has, and run the conformance suite. A wrapper wraps the abilities
/// too: handing out the inner accessor would go around the wrapper.
///
/// # Examples
/// ```
/// # #[cfg(feature = "memory")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::hosting::{DeployRequest, DeploySource, Hosting};
/// use ops_core::memory::MemoryHosting;
///
/// let hosting = MemoryHosting::new();
/// let app = hosting.seed_app("shop")?;
/// let request = DeployRequest::new(DeploySource::image("registry.example/shop:1.4.2"));
/// let deployment = hosting.deploy(&app, request).await?;
/// assert_eq!(deployment.app, app);
/// # Ok(())
/// # })
/// # }
/// # #[cfg(not(feature = "memory"))]
/// # fn main() {}
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Hosting: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `fly`.
    fn provider(&self) -> ProviderId;

    /// What the vendor can carry.
    fn limits(&self) -> HostingLimits;

    /// Lists the account's apps, page by page as the stream is polled, in no certain order.
    fn list_apps(&self) -> ItemStream<App>;

    /// What is known of an app.
    ///
    /// # Errors
    /// `NotFound`; see the trait.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn app(&self, app: &AppId) -> Result<App>;

    /// Starts a deployment of an app.
    ///
    /// # Behavior
    /// 1. Returns when the vendor has accepted the deployment, not when it is live:
    ///    [`HostingExt::deploy_and_wait`](crate::HostingExt::deploy_and_wait) waits.
    /// 2. The version that is live stays live until the new one is.
    /// 3. Two calls with one idempotency key make one deployment and both answer it; the
    ///    same key with another request is a `Conflict`.
    /// 4. A source or a setting that the vendor does not have is `Unsupported`.
    ///
    /// # Errors
    /// `NotFound` for the app or for a previous deployment; `InvalidInput` for a source
    /// that cannot be read; see the trait. After a timeout the outcome is unknown: the
    /// deployment is in [`list_deployments`](Self::list_deployments) or was not made.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the deployment started.
    async fn deploy(&self, app: &AppId, request: DeployRequest) -> Result<Deployment>;

    /// What is known of a deployment.
    ///
    /// # Errors
    /// `NotFound`; see the trait.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn deployment(&self, app: &AppId, deployment: &DeploymentId) -> Result<Deployment>;

    /// Lists an app's deployments, newest first, page by page as the stream is polled.
    ///
    /// The first item is `NotFound` where there is no such app.
    fn list_deployments(&self, app: &AppId) -> ItemStream<Deployment>;

    /// Deletes an app and everything deployed under it.
    ///
    /// # Behavior
    /// 1. Deleting what is not there succeeds.
    /// 2. Returns when the vendor has accepted the deletion, not when it has finished.
    ///
    /// # Errors
    /// `Conflict` while the app may not be deleted; see the trait. After a timeout the
    /// outcome is unknown: [`app`](Self::app) tells, and deleting again is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the deletion applied.
    async fn delete_app(&self, app: &AppId) -> Result<DeleteOutcome>;

    /// Making apps, where the provider may.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_create_apps<'a>(&'a self) -> Option<&'a dyn CreateApps> {
        None
    }

    /// Going back to an earlier deployment, where the vendor can.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_rollback<'a>(&'a self) -> Option<&'a dyn Rollback> {
        None
    }

    /// Number, size and place of instances, where the vendor lets one choose.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_scale<'a>(&'a self) -> Option<&'a dyn Scale> {
        None
    }

    /// Plain environment variables, where the vendor keeps them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_env_vars<'a>(&'a self) -> Option<&'a dyn EnvVars> {
        None
    }

    /// Secret environment variables, where the vendor keeps them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_app_secrets<'a>(&'a self) -> Option<&'a dyn AppSecrets> {
        None
    }

    /// What apps print, where the vendor keeps it.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_logs<'a>(&'a self) -> Option<&'a dyn Logs> {
        None
    }

    /// Custom domains and their certificates, where the vendor serves them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_domains<'a>(&'a self) -> Option<&'a dyn Domains> {
        None
    }

    /// Restarting without a deployment, where the vendor can.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_restart<'a>(&'a self) -> Option<&'a dyn Restart> {
        None
    }

    /// What was used and what it costs, where the vendor tells.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_usage<'a>(&'a self) -> Option<&'a dyn Usage> {
        None
    }
}

const _: fn(&dyn Hosting) = |_| {};
