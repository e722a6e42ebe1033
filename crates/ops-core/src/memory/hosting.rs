//! A hosting account in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{PROVIDER, lock, missing};
use crate::error::{Error, Result};
use crate::hosting::{
    App, AppSecrets, CreateAppRequest, CreateApps, DeployRequest, Deployment, Domains, EnvKey,
    EnvVars, Hosting, HostingLimits, LogLine, LogSource, Logs, Restart, Rollback, RollbackRequest,
    Scale, Usage,
};
use crate::id::{AppId, DeploymentId, ProviderId};
use crate::memory::items;
use crate::object_store::{DeleteOutcome, ItemStream};
use crate::secret::Secret;
use crate::time::{Clock, SystemClock};
use crate::usage::UsageItem;

mod abilities;
mod deployments;
mod domains;
mod env;
mod logs;
mod state;

use state::{AppRecord, State};

/// A hosting account in memory, with every ability.
///
/// Clones are the same account. A deployment advances by one step each time
/// [`deployment`](Hosting::deployment) looks at it: queued, building (not for an image),
/// deploying, live.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::hosting::{DeployRequest, DeploySource, DeploymentState, Hosting};
/// use ops_core::memory::MemoryHosting;
///
/// let hosting = MemoryHosting::new();
/// let app = hosting.seed_app("shop")?;
/// let request = DeployRequest::new(DeploySource::image("shop:1"));
/// let started = hosting.deploy(&app, request).await?;
/// assert_eq!(started.state, DeploymentState::Queued);
/// hosting.deployment(&app, &started.id).await?;
/// let ended = hosting.deployment(&app, &started.id).await?;
/// assert_eq!(ended.state, DeploymentState::Live);
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryHosting(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl MemoryHosting {
    /// An account without apps.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An account without apps, with a clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            clock,
            state: Mutex::default(),
        }))
    }

    /// Makes an app, for the start of a test.
    ///
    /// # Errors
    /// As [`CreateApps::create_app`].
    pub fn seed_app(&self, name: &str) -> Result<AppId> {
        let now = self.0.clock.now();
        let app = lock(&self.0.state).create_app(&CreateAppRequest::new(name), now)?;
        Ok(app.id)
    }

    /// Makes the next deployment of an app fail with this message when its instances should come up.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn fail_next_deployment(&self, app: &AppId, message: &str) -> Result<()> {
        self.with_app("memory.fail_next_deployment", app, |record| {
            record.fail_next = Some(message.to_owned());
            Ok(())
        })
    }

    /// Makes the deployment that is live fail now, as when it crashes.
    ///
    /// # Errors
    /// `NotFound`, also where nothing is live.
    pub fn crash(&self, app: &AppId, message: &str) -> Result<()> {
        let now = self.0.clock.now();
        self.with_app("memory.crash", app, |record| record.crash(message, now))
    }

    /// Prints a line, as the app would.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn print(&self, app: &AppId, source: LogSource, message: &str) -> Result<()> {
        let line = LogLine::new(self.0.clock.now(), source, message);
        self.with_app("memory.print", app, |record| {
            record.print(line);
            Ok(())
        })
    }

    /// Sets what [`Usage::usage`] reports.
    pub fn set_usage(&self, items: Vec<UsageItem>) {
        lock(&self.0.state).usage = items;
    }

    /// The variables and secrets that the live instances were started with.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn instance_env(&self, app: &AppId) -> Result<BTreeMap<EnvKey, Secret>> {
        self.with_app("memory.instance_env", app, |record| {
            Ok(record.instance_env.clone())
        })
    }

    /// How often an app was restarted.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn restarts(&self, app: &AppId) -> Result<u64> {
        self.with_app("memory.restarts", app, |record| Ok(record.restarts))
    }

    fn with_app<T>(
        &self,
        operation: &'static str,
        app: &AppId,
        work: impl FnOnce(&mut AppRecord) -> Result<T>,
    ) -> Result<T> {
        let mut state = lock(&self.0.state);
        work(
            state
                .apps
                .get_mut(app)
                .ok_or_else(|| missing(operation, app))?,
        )
    }

    /// Items of an app as a stream; the first is the error where there is no such app.
    fn list<T: Send + Unpin + 'static>(
        &self,
        operation: &'static str,
        app: &AppId,
        select: impl FnOnce(&AppRecord) -> Vec<T>,
    ) -> ItemStream<T> {
        items::of(self.with_app(operation, app, |record| Ok(select(record))))
    }
}

impl Default for MemoryHosting {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryHosting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHosting")
            .field("apps", &lock(&self.0.state).apps.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Hosting for MemoryHosting {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> HostingLimits {
        HostingLimits::default()
    }

    fn list_apps(&self) -> ItemStream<App> {
        let apps: Vec<_> = lock(&self.0.state)
            .apps
            .values()
            .map(AppRecord::describe)
            .collect();
        items::iter(apps.into_iter().map(Ok))
    }

    async fn app(&self, app: &AppId) -> Result<App> {
        self.with_app("hosting.app", app, |record| Ok(record.describe()))
    }

    async fn deploy(&self, app: &AppId, request: DeployRequest) -> Result<Deployment> {
        let now = self.0.clock.now();
        lock(&self.0.state).deploy(app, request, now)
    }

    async fn deployment(&self, app: &AppId, deployment: &DeploymentId) -> Result<Deployment> {
        let now = self.0.clock.now();
        self.with_app("hosting.deployment", app, |record| {
            record.look(deployment, now)
        })
    }

    fn list_deployments(&self, app: &AppId) -> ItemStream<Deployment> {
        self.list("hosting.list_deployments", app, |record| {
            record
                .deployments
                .iter()
                .rev()
                .map(|record| record.deployment.clone())
                .collect()
        })
    }

    async fn delete_app(&self, app: &AppId) -> Result<DeleteOutcome> {
        let removed = lock(&self.0.state).apps.remove(app);
        Ok(match removed {
            Some(mut record) => {
                record.wake();
                DeleteOutcome::Deleted
            }
            None => DeleteOutcome::AlreadyGone,
        })
    }

    fn as_create_apps(&self) -> Option<&dyn CreateApps> {
        Some(self)
    }

    fn as_rollback(&self) -> Option<&dyn Rollback> {
        Some(self)
    }

    fn as_scale(&self) -> Option<&dyn Scale> {
        Some(self)
    }

    fn as_env_vars(&self) -> Option<&dyn EnvVars> {
        Some(self)
    }

    fn as_app_secrets(&self) -> Option<&dyn AppSecrets> {
        Some(self)
    }

    fn as_logs(&self) -> Option<&dyn Logs> {
        Some(self)
    }

    fn as_domains(&self) -> Option<&dyn Domains> {
        Some(self)
    }

    fn as_restart(&self) -> Option<&dyn Restart> {
        Some(self)
    }

    fn as_usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }
}

#[async_trait]
impl Rollback for MemoryHosting {
    async fn roll_back(&self, app: &AppId, request: RollbackRequest) -> Result<Deployment> {
        let now = self.0.clock.now();
        lock(&self.0.state).roll_back(app, request, now)
    }
}

#[async_trait]
impl Restart for MemoryHosting {
    async fn restart(&self, app: &AppId) -> Result<()> {
        let now = self.0.clock.now();
        self.with_app("hosting.restart", app, |record| record.restart(now))
    }
}

fn bad_input(operation: &'static str, message: impl Into<String>) -> Error {
    super::error(crate::error::ErrorKind::InvalidInput, operation, message)
}
