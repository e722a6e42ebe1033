//! `Hosting` over the Machines API of Fly.io and its list of releases.
//!
//! | here | at Fly |
//! | --- | --- |
//! | app, and its id | app, by its name |
//! | deployment | release, which Fly keeps for its own client: an entry in a list, which nothing else depends on |
//! | instance | machine, whose configuration holds image, size, variables and checks |
//!
//! Machines change when they are told to and at no other time, so that somebody must carry
//! a deployment out: here that is the future of `deploy`, which is done when nothing is left
//! to do. The module `rollout` says how.

use std::sync::PoisonError;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use ops_core::hosting::{
    App, AppSecrets, AppState, CreateApps, DeployRequest, DeploySource, Deployment, Domains,
    EnvVars, Hosting, HostingLimits, Logs, Restart, Rollback, Scale,
};
use ops_core::id::{AppId, DeploymentId, Region};
use ops_core::{DeleteOutcome, Error, ErrorKind, ItemStream, ProviderId, Result};
use serde::Serialize;

use crate::error::refuse;
use crate::model::{AppNode, DEPLOY_KEY, DEPLOY_REQUEST, Machine, RELEASE_ID, Release, Standing};
use crate::rollout::{Note, Wanted};
use crate::settings::{Changes, Shape};
use crate::{Fly, PROVIDER, api};

mod create;
mod domains;
mod env;
mod logs;
mod rollback;
mod scale;
mod secrets;
pub(crate) mod staged;

/// How long Fly keeps logs, about.
pub(crate) const LOG_RETENTION: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

/// Of how many deployments the reason of their failure is kept.
const FAILURES: usize = 32;

#[async_trait]
impl Hosting for Fly {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> HostingLimits {
        HostingLimits::default().with_log_retention(LOG_RETENTION)
    }

    fn list_apps(&self) -> ItemStream<App> {
        let fly = self.clone();
        let listing = async move {
            let call = api::list_apps(&fly.inner.settings.organization);
            let apps = fly.inner.machines.execute(call).await?.apps;
            let apps: Vec<Result<App>> = apps.into_iter().map(listed).collect();
            Ok::<_, Error>(stream::iter(apps))
        };
        stream::once(listing).try_flatten().boxed()
    }

    async fn app(&self, app: &AppId) -> Result<App> {
        let machines = self.serving(app).await?;
        let call = api::app(app, api::RELEASES_PER_PAGE);
        let node = self.inner.platform.execute(call).await?.found();
        Ok(described(
            app,
            &machines,
            node.map_err(|err| named(err, app))?,
        ))
    }

    /// Carries the deployment out, and returns when nothing is left to do: no one else would
    /// go on with it. That takes as long as machines take to start; `start_timeout` bounds it.
    /// A deployment that failed is answered as such, and nothing of it is left; why it failed,
    /// the provider that carried it out remembers and Fly does not.
    ///
    /// The idempotency key and the description are kept by the machines that the deployment
    /// brought up: a request is known again as long as they run.
    ///
    /// # Cancel safety
    /// Dropping the future leaves what served serving. What the deployment has made by then
    /// serves nobody, and the next deployment removes it.
    async fn deploy(&self, app: &AppId, request: DeployRequest) -> Result<Deployment> {
        let environment = request.environment.as_deref().unwrap_or("production");
        if environment != "production" {
            return Err(refuse(ErrorKind::Unsupported, "an environment of an app"));
        }
        let settings = &request.settings;
        let regions = Some(settings.regions.as_slice()).filter(|it| !it.is_empty());
        let shape = Shape::of(settings.replicas.as_ref(), regions)?;
        let changes = Changes::of(settings, &shape)?;
        let kind = request.source.kind();
        if !matches!(
            request.source,
            DeploySource::Image(_) | DeploySource::Previous(_)
        ) {
            let text = format!("Fly's API deploys images, not a source of the kind {kind}");
            return Err(refuse(ErrorKind::Unsupported, text));
        }
        let note = Note {
            key: request.idempotency_key.as_ref().map(|key| {
                (
                    key.as_str().to_owned(),
                    fingerprint(&(&request.source, settings)),
                )
            }),
            description: request.description,
        };
        let machines = self.machines(app).await?;
        if let Some(done) = self.done_before(app, &machines, &note).await? {
            return Ok(done);
        }
        let image = match request.source {
            DeploySource::Image(image) => image,
            DeploySource::Previous(id) => self.image_of(app, &id).await?,
            _ => return Err(refuse(ErrorKind::Unsupported, "such a source")),
        };
        if image.trim().is_empty() {
            return Err(refuse(
                ErrorKind::InvalidInput,
                "the name of the image is empty",
            ));
        }
        let wanted = Wanted {
            image,
            shape,
            changes,
            note,
        };
        self.roll_out(app, machines, &wanted).await
    }

    async fn deployment(&self, app: &AppId, deployment: &DeploymentId) -> Result<Deployment> {
        let mut deployments = self.list_deployments(app);
        while let Some(seen) = deployments.try_next().await? {
            if seen.id == *deployment {
                return Ok(seen);
            }
        }
        Err(Error::not_found(deployment.as_str()).with_provider(PROVIDER))
    }

    fn list_deployments(&self, app: &AppId) -> ItemStream<Deployment> {
        let (fly, app) = (self.clone(), app.clone());
        let mut standing = Standing::default();
        self.releases(&app)
            .map_ok(move |release| {
                let state = standing.next(&release);
                let mut deployment = release.deployment(&app, state);
                deployment.message = fly.failure_of(&deployment.id);
                deployment
            })
            .boxed()
    }

    async fn delete_app(&self, app: &AppId) -> Result<DeleteOutcome> {
        let existed = self.inner.machines.execute(api::delete_app(app)).await?;
        Ok(deleted(existed))
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
}

impl Fly {
    /// The releases of an app, newest first.
    pub(crate) fn releases(&self, app: &AppId) -> ItemStream<Release> {
        let app = app.clone();
        let releases = self.inner.platform.pages(api::list_releases(&app));
        releases.map_err(move |err| named(err, &app)).boxed()
    }

    /// The newest releases of an app, as many as one page holds.
    pub(crate) async fn recent_releases(&self, app: &AppId) -> Result<Vec<Release>> {
        let call = api::app(app, api::RELEASES_PER_PAGE);
        let node = self.inner.platform.execute(call).await?.found();
        let node = node.map_err(|err| named(err, app))?;
        Ok(node.releases.nodes.into_iter().flatten().collect())
    }

    /// The deployment that this very request has made already.
    pub(crate) async fn done_before(
        &self,
        app: &AppId,
        machines: &[Machine],
        note: &Note,
    ) -> Result<Option<Deployment>> {
        let Some((key, request)) = &note.key else {
            return Ok(None);
        };
        let made = machines
            .iter()
            .map(|machine| &machine.config)
            .find(|config| config.metadata(DEPLOY_KEY) == Some(key));
        let Some(made) = made else {
            return Ok(None);
        };
        if made.metadata(DEPLOY_REQUEST) != Some(request) {
            let text = "the idempotency key belongs to another deployment";
            return Err(refuse(ErrorKind::Conflict, text));
        }
        let Some(release) = made.metadata(RELEASE_ID) else {
            return Ok(None);
        };
        let id = DeploymentId::new(release)?;
        let seen = self.deployment(app, &id).await?;
        // One that was given up in the middle is taken up again.
        let is_over = seen.state.is_live() || !seen.state.is_terminal();
        Ok(is_over.then_some(seen))
    }

    /// Keeps the reason for which a deployment has failed.
    pub(crate) fn remember_failure(&self, deployment: &DeploymentId, reason: &str) {
        let failures = self.inner.failures.lock();
        let mut failures = failures.unwrap_or_else(PoisonError::into_inner);
        failures.push_back((deployment.clone(), reason.to_owned()));
        while failures.len() > FAILURES {
            failures.pop_front();
        }
    }

    fn failure_of(&self, deployment: &DeploymentId) -> Option<String> {
        let failures = self.inner.failures.lock();
        let failures = failures.unwrap_or_else(PoisonError::into_inner);
        let (_, reason) = failures.iter().find(|(of, _)| of == deployment)?;
        Some(reason.clone())
    }

    async fn image_of(&self, app: &AppId, deployment: &DeploymentId) -> Result<String> {
        let Some(DeploySource::Image(image)) = self.deployment(app, deployment).await?.source
        else {
            let text = "Fly has forgotten the image of the deployment";
            return Err(refuse(ErrorKind::Conflict, text).with_resource(deployment.as_str()));
        };
        Ok(image)
    }
}

/// A short text that differs where requests do. It is FNV-1a, for it need not stand up to
/// anybody: whoever makes the request has chosen the key as well.
pub(crate) fn fingerprint(request: &impl Serialize) -> String {
    let text = serde_json::to_vec(request).unwrap_or_default();
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn named(err: Error, app: &AppId) -> Error {
    match err.resource() {
        None => err.with_resource(app.as_str()),
        Some(_) => err,
    }
}

pub(crate) fn deleted(existed: bool) -> DeleteOutcome {
    if existed {
        DeleteOutcome::Deleted
    } else {
        DeleteOutcome::AlreadyGone
    }
}

fn listed(app: crate::model::App) -> Result<App> {
    let state = match app.status.as_str() {
        _ if app.machine_count == 0 => AppState::Empty,
        "deployed" => AppState::Running,
        "suspended" => AppState::Suspended,
        "pending" => AppState::Empty,
        other => AppState::Other(other.to_owned()),
    };
    Ok(App::new(AppId::new(app.name.as_str())?, app.name, state))
}

fn described(app: &AppId, machines: &[Machine], node: AppNode) -> App {
    let mut described = App::new(app.clone(), app.as_str(), state(machines));
    let mut regions: Vec<Region> = machines
        .iter()
        .filter_map(|machine| Region::new(machine.region.as_deref()?).ok())
        .collect();
    regions.sort();
    regions.dedup();
    described.regions = regions;
    let hostname = node.hostname.filter(|it| !it.is_empty());
    described.url = hostname.map(|it| format!("https://{it}"));
    described.created_at = node.created_at;
    let releases = node.releases.nodes.into_iter().flatten();
    let live = releases.into_iter().find(Release::has_served);
    described.current_deployment = live.map(|release| release.id);
    described
}

/// What an app does, by its machines.
fn state(machines: &[Machine]) -> AppState {
    let any = |states: &[&str]| {
        machines
            .iter()
            .any(|it| states.contains(&it.state.as_str()))
    };
    let Some(first) = machines.first() else {
        return AppState::Empty;
    };
    if any(&["started"]) {
        AppState::Running
    } else if any(&["created", "starting", "replacing", "updating", "restarting"]) {
        AppState::Starting
    } else if any(&["suspended", "suspending"]) {
        AppState::Suspended
    } else if any(&["stopped", "stopping"]) {
        AppState::Stopped
    } else if any(&["failed"]) {
        AppState::Failed
    } else {
        AppState::Other(first.state.clone())
    }
}
