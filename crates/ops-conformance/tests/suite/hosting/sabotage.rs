//! The wrapper that does one thing wrong, and its base methods.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::hosting::{
    App, AppSecrets, AppSettings, AppState, CreateApps, DeployRequest, DeploySource, Deployment,
    DeploymentState, Domain, Domains, EnvKey, EnvVars, Hosting, HostingLimits, Logs, Restart,
    Rollback, Scale, Usage,
};
use ops_core::id::{AppId, DeploymentId, DomainId, IdempotencyKey, ProviderId};
use ops_core::memory::MemoryHosting;
use ops_core::{DeleteOutcome, Error, ItemStream, Result, Secret};

use crate::saboteur::{Saboteur, wrong};

pub(super) type Sabotaged = Saboteur<MemoryHosting, Notes>;

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) listing: Option<Vec<App>>,
    pub(super) asked: Option<AppId>,
    pub(super) deleted: Vec<App>,
    pub(super) deployed: BTreeMap<IdempotencyKey, DeployRequest>,
    pub(super) keys: Vec<IdempotencyKey>,
    pub(super) secrets: BTreeMap<EnvKey, Secret>,
    pub(super) removed: BTreeMap<DomainId, Domain>,
}

/// A deployment that this vendor cannot carry out.
pub(super) fn moon(source: DeploySource) -> DeployRequest {
    DeployRequest::new(source).with_environment("moon")
}

pub(super) fn is_missing(app: &AppId) -> bool {
    app.as_str() == "ops-test-no-such-app"
}

fn is_missing_deployment(deployment: &DeploymentId) -> bool {
    deployment.as_str() == "ops-test-no-such-deployment"
}

impl Sabotaged {
    pub(super) async fn history(&self, app: &AppId) -> Vec<Deployment> {
        let listed = self.memory().list_deployments(app).try_collect().await;
        listed.unwrap_or_default()
    }

    /// What the first deployment of an app breaks.
    async fn forget(&self, app: &AppId) -> Result<()> {
        if !self.history(app).await.is_empty() {
            return Ok(());
        }
        if self.is("H-079") {
            let keys = self.memory().env(app).await?.into_map().into_keys();
            self.memory().remove_env(app, keys.collect()).await?;
        }
        if self.is("H-097") {
            let secrets = self.memory().list_secrets(app).await?.into_iter();
            let keys = secrets.map(|secret| secret.key).collect();
            self.memory().remove_secrets(app, keys).await?;
        }
        if self.is("H-132") {
            let domains: Vec<_> = self.memory().list_domains(app).try_collect().await?;
            for domain in domains {
                self.memory().remove_domain(app, &domain.id).await?;
            }
        }
        Ok(())
    }

    /// What a fault makes of a request to deploy.
    fn twist(&self, mut request: DeployRequest) -> DeployRequest {
        if let (true, Some(key)) = (self.is("H-026"), request.idempotency_key.clone()) {
            let earlier = self.notes().deployed.insert(key, request.clone());
            if earlier.as_ref() == Some(&request) {
                request.idempotency_key = None;
            }
        }
        match &request.source {
            DeploySource::Previous(id) if self.is("H-028") && !is_missing_deployment(id) => {
                request.source = DeploySource::image("registry.example/shop:another");
            }
            _ => {}
        }
        if self.is("H-038") {
            request.settings = AppSettings::default();
        }
        request
    }
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notes = self.notes();
        let shown = notes.secrets.values().filter(|_| self.is("H-091"));
        let shown: Vec<_> = shown.map(Secret::expose).collect();
        f.debug_tuple("Sabotaged").field(&shown).finish()
    }
}

/// The id without what an URL would take for something else.
fn cut(id: &str) -> &str {
    id.split('?').next().unwrap_or(id)
}

fn items<T: Send + 'static>(items: Vec<Result<T>>) -> ItemStream<T> {
    Box::pin(stream::iter(items))
}

#[async_trait]
impl Hosting for Sabotaged {
    fn provider(&self) -> ProviderId {
        self.memory().provider()
    }

    fn limits(&self) -> HostingLimits {
        self.memory().limits()
    }

    fn list_apps(&self) -> ItemStream<App> {
        let this = self.clone();
        Box::pin(stream::once(async move { this.listed().await }).flatten())
    }

    async fn app(&self, app: &AppId) -> Result<App> {
        let mut asked = app.clone();
        if self.is("H-005") && is_missing(app) {
            return wrong();
        }
        if self.is("H-006") {
            asked = AppId::new(cut(app.as_str()))?;
        }
        if self.is("H-007") {
            self.notes().asked = Some(app.clone());
            tokio::task::yield_now().await;
            asked = self.notes().asked.clone().unwrap();
        }
        if self.is("H-009") {
            let deleted = self.notes().deleted.clone();
            if let Some(kept) = deleted.into_iter().find(|kept| kept.id == *app) {
                return Ok(kept);
            }
        }
        let mut described = self.memory().app(&asked).await?;
        if self.is("H-002") && described.state == AppState::Empty {
            described.current_deployment = Some(DeploymentId::new("deployment-0")?);
        }
        if self.is("H-021") && described.current_deployment.is_some() {
            let first = self.history(app).await.pop();
            described.current_deployment = first.map(|each| each.id);
        }
        if self.is("H-037") && described.current_deployment.is_some() {
            described.name.push_str("-live");
        }
        Ok(described)
    }

    async fn deploy(&self, app: &AppId, request: DeployRequest) -> Result<Deployment> {
        if self.is("H-032") && is_missing(app) {
            return wrong();
        }
        if request.environment.as_deref() == Some("moon") && !self.is("H-031") {
            return Err(Error::unsupported("the environment moon"));
        }
        if let (true, DeploySource::Previous(id)) = (self.is("H-035"), &request.source) {
            self.memory()
                .deployment(app, id)
                .await
                .or_else(|_| wrong())?;
        }
        self.forget(app).await?;
        let request = self.twist(request);
        let refused = self.is("H-031") && request.environment.is_some();
        let again = DeployRequest::new(request.source.clone());
        let mut started = match self.memory().deploy(app, request).await {
            Err(err) if self.is("H-027") && err.is_conflict() => {
                self.memory().deploy(app, again).await?
            }
            started => started?,
        };
        if refused {
            return Err(Error::unsupported("the environment moon"));
        }
        if self.is("H-020") {
            started.app = AppId::new("another")?;
        }
        Ok(started)
    }

    async fn deployment(&self, app: &AppId, deployment: &DeploymentId) -> Result<Deployment> {
        let mut asked = deployment.clone();
        if self.is("H-034") && is_missing_deployment(deployment) {
            return wrong();
        }
        if self.is("H-036") {
            asked = DeploymentId::new(cut(deployment.as_str()))?;
        }
        if self.is("H-039") {
            let apps: Vec<App> = self.memory().list_apps().try_collect().await?;
            for other in apps {
                if let Ok(found) = self.memory().deployment(&other.id, &asked).await {
                    return Ok(found);
                }
            }
        }
        let mut seen = self.memory().deployment(app, &asked).await?;
        self.misreport(app, &mut seen).await;
        Ok(seen)
    }

    fn list_deployments(&self, app: &AppId) -> ItemStream<Deployment> {
        if self.is("H-033") && is_missing(app) {
            return Box::pin(stream::empty());
        }
        let listed = self.memory().list_deployments(app);
        if self.is("H-025") {
            return Box::pin(listed.take(4));
        }
        if self.is("H-024") {
            let reversed = listed.collect::<Vec<_>>();
            return Box::pin(
                stream::once(reversed).flat_map(|listed| stream::iter(listed.into_iter().rev())),
            );
        }
        listed
    }

    async fn delete_app(&self, app: &AppId) -> Result<DeleteOutcome> {
        if self.is("H-012") && is_missing(app) {
            return Err(Error::not_found(app.as_str()));
        }
        if let Ok(described) = self.memory().app(app).await {
            self.notes().deleted.push(described);
        }
        if self.is("H-011") && !is_missing(app) {
            let apps: Vec<App> = self.memory().list_apps().try_collect().await?;
            for other in apps {
                self.memory().delete_app(&other.id).await?;
            }
            return Ok(DeleteOutcome::Deleted);
        }
        let outcome = self.memory().delete_app(app).await?;
        if self.is("H-008") && outcome == DeleteOutcome::AlreadyGone && !is_missing(app) {
            return Err(Error::not_found(app.as_str()));
        }
        Ok(outcome)
    }

    fn as_create_apps(&self) -> Option<&dyn CreateApps> {
        if self.is("H-040") {
            // Goes around the wrapper, which then does not know that its listing is old.
            return self.memory().as_create_apps();
        }
        (!self.is_bare()).then_some(self as &dyn CreateApps)
    }

    fn as_rollback(&self) -> Option<&dyn Rollback> {
        (!self.is_bare()).then_some(self as &dyn Rollback)
    }

    fn as_scale(&self) -> Option<&dyn Scale> {
        (!self.is_bare()).then_some(self as &dyn Scale)
    }

    fn as_env_vars(&self) -> Option<&dyn EnvVars> {
        (!self.is_bare()).then_some(self as &dyn EnvVars)
    }

    fn as_app_secrets(&self) -> Option<&dyn AppSecrets> {
        (!self.is_bare()).then_some(self as &dyn AppSecrets)
    }

    fn as_logs(&self) -> Option<&dyn Logs> {
        (!self.is_bare()).then_some(self as &dyn Logs)
    }

    fn as_domains(&self) -> Option<&dyn Domains> {
        (!self.is_bare()).then_some(self as &dyn Domains)
    }

    fn as_restart(&self) -> Option<&dyn Restart> {
        (!self.is_bare()).then_some(self as &dyn Restart)
    }

    fn as_usage(&self) -> Option<&dyn Usage> {
        (!self.is_bare() && !self.is("H-001")).then_some(self as &dyn Usage)
    }
}

impl Sabotaged {
    async fn listed(&self) -> ItemStream<App> {
        let kept = self.notes().listing.clone();
        let listed = match kept {
            Some(kept) => kept,
            None => self.memory().list_apps().try_collect().await.unwrap(),
        };
        self.notes().listing = Some(listed.clone());
        if !self.is("H-040") {
            self.notes().listing = None;
        }
        let mut listed: Vec<_> = listed.into_iter().map(Ok).collect();
        if self.is("H-003") {
            let again: Vec<_> = listed.iter().flatten().cloned().map(Ok).collect();
            listed.extend(again);
        }
        if self.is("H-004") {
            listed.truncate(4);
        }
        if self.is("H-010") {
            let deleted = self.notes().deleted.clone();
            listed.extend(deleted.into_iter().map(Ok));
        }
        items(listed)
    }

    /// Changes what is told of a deployment's state.
    async fn misreport(&self, app: &AppId, seen: &mut Deployment) {
        let newest = self.history(app).await.into_iter().next();
        let newest = newest.filter(|newest| newest.id != seen.id);
        let newest = newest.map(|newest| newest.state);
        let state = match seen.state {
            DeploymentState::Live
                if self.is("H-022") && newest.as_ref().is_some_and(|s| !s.is_terminal()) =>
            {
                DeploymentState::Superseded
            }
            DeploymentState::Live
                if self.is("H-030") && newest == Some(DeploymentState::Failed) =>
            {
                DeploymentState::Superseded
            }
            DeploymentState::Superseded if self.is("H-023") => DeploymentState::Live,
            DeploymentState::Failed if self.is("H-029") => DeploymentState::Canceled,
            _ => return,
        };
        seen.state = state;
    }
}
