//! The abilities but for domains and logs, with their faults.

use std::collections::BTreeMap;

use ops_conformance::async_trait;
use ops_core::hosting::{
    App, AppSecrets, CreateAppRequest, CreateApps, DeployRequest, DeploySource, Deployment,
    DeploymentState, EnvChange, EnvKey, EnvVars, Hosting, PlainEnv, Replicas, Restart, Rollback,
    RollbackRequest, RollbackTarget, Scale, ScaleRequest, ScaleState, SecretInfo, Usage,
};
use ops_core::id::{AppId, IdempotencyKey};
use ops_core::usage::{UsageQuery, UsageReport};
use ops_core::{Error, ErrorKind, Result, Secret};

use super::sabotage::{Sabotaged, is_missing};
use crate::saboteur::wrong;

impl Sabotaged {
    /// Whether a key was seen before.
    fn is_known(&self, key: Option<&IdempotencyKey>) -> bool {
        let Some(key) = key else { return false };
        let mut notes = self.notes();
        let is_known = notes.keys.contains(key);
        notes.keys.push(key.clone());
        is_known
    }
}

#[async_trait]
impl CreateApps for Sabotaged {
    async fn create_app(&self, mut request: CreateAppRequest) -> Result<App> {
        if self.is("H-041") && self.is_known(request.idempotency_key.as_ref()) {
            request.idempotency_key = None;
            request.name.push_str("-2");
        }
        let plain = CreateAppRequest::new(request.name.as_str());
        let mut made = match self.memory().create_app(request).await {
            Err(err) if self.is("H-042") && err.kind() == ErrorKind::AlreadyExists => {
                let resource = err.resource().unwrap_or_default().to_owned();
                return Err(
                    Error::new(ErrorKind::InvalidInput, "sabotaged").with_resource(resource)
                );
            }
            Err(err) if self.is("H-043") => return Err(Error::new(err.kind(), "sabotaged")),
            Err(err) if self.is("H-045") && err.kind() == ErrorKind::InvalidInput => {
                self.memory().create_app(plain).await?;
                return Err(err);
            }
            made => made?,
        };
        if self.is("H-044") {
            made.name.push_str("-x7f3");
        }
        Ok(made)
    }
}

#[async_trait]
impl Rollback for Sabotaged {
    async fn roll_back(&self, app: &AppId, mut request: RollbackRequest) -> Result<Deployment> {
        let history = self.history(app).await;
        let served = |each: &&Deployment| {
            matches!(
                each.state,
                DeploymentState::Live | DeploymentState::Superseded
            )
        };
        if self.is("H-053") && self.is_known(request.idempotency_key.as_ref()) {
            request.idempotency_key = None;
        }
        match request.target.clone() {
            RollbackTarget::Previous if self.is("H-050") => {
                if let (Some(current), true) = (
                    history.iter().find(served),
                    history.iter().filter(served).count() > 1,
                ) {
                    request.target = RollbackTarget::Deployment(current.id.clone());
                }
            }
            RollbackTarget::Deployment(id) => {
                let target = history.iter().find(|each| each.id == id);
                if self.is("H-051") && target.as_ref().is_some_and(served) {
                    request.target = RollbackTarget::Previous;
                }
                if self.is("H-055") && target.is_some_and(|each| !served(&each)) {
                    let request = DeployRequest::new(DeploySource::Previous(id));
                    return self.memory().deploy(app, request).await;
                }
                if self.is("H-056") && target.is_none() {
                    return wrong();
                }
            }
            _ => {}
        }
        if self.is("H-052") && history.iter().filter(served).count() > 1 {
            self.memory().fail_next_deployment(app, "sabotaged")?;
        }
        let is_previous = request.target == RollbackTarget::Previous;
        let started = self.memory().roll_back(app, request).await;
        let not_found = started.as_ref().is_err_and(Error::is_not_found);
        if not_found && (self.is("H-058") && is_missing(app)) {
            return wrong();
        }
        if not_found && self.is("H-054") && is_previous && !is_missing(app) {
            return wrong();
        }
        if self.is("H-057") {
            let mode = vec![EnvKey::new("MODE")?];
            self.memory().remove_env(app, mode).await?;
        }
        started
    }
}

#[async_trait]
impl Scale for Sabotaged {
    async fn scale_state(&self, app: &AppId) -> Result<ScaleState> {
        if self.is("H-067") && is_missing(app) {
            return Ok(ScaleState::new(Replicas::Total(0)));
        }
        let mut state = self.memory().scale_state(app).await?;
        if self.is("H-061") {
            state.size = None;
        }
        Ok(state)
    }

    async fn set_scale(&self, app: &AppId, mut request: ScaleRequest) -> Result<ScaleState> {
        if self.is("H-068") && is_missing(app) {
            return Ok(ScaleState::new(Replicas::Total(0)));
        }
        if self.is("H-060") && request.replicas == Some(Replicas::Total(3)) {
            request.replicas = None;
        }
        if self.is("H-062") && request.replicas.is_none() {
            request.regions = None;
        }
        if self.is("H-066") && matches!(request.replicas, Some(Replicas::PerRegion(_))) {
            request.regions = None;
        }
        let is_odd = matches!(request.replicas, Some(Replicas::Auto { .. }));
        if self.is("H-064") && is_odd {
            return self.memory().scale_state(app).await;
        }
        if let (true, true, Some(size)) = (self.is("H-065"), is_odd, request.size.clone()) {
            let size = ScaleRequest::default().with_size(size);
            self.memory().set_scale(app, size).await?;
        }
        let loses_size = self.is("H-063") && request.replicas == Some(Replicas::Total(2));
        let mut state = self.memory().set_scale(app, request).await?;
        if loses_size {
            state.size = None;
        }
        Ok(state)
    }
}

#[async_trait]
impl EnvVars for Sabotaged {
    async fn env(&self, app: &AppId) -> Result<PlainEnv> {
        if self.is("H-080") && is_missing(app) {
            return Ok(PlainEnv::default());
        }
        let mut env = self.memory().env(app).await?.into_map();
        if self.is("H-071") {
            for value in env.values_mut() {
                *value = value.trim().to_owned();
            }
        }
        if self.is("H-082") && env.is_empty() {
            for other in all_apps(self).await? {
                env.extend(self.memory().env(&other).await?.into_map());
            }
        }
        if self.is("H-092") {
            let secrets = self.notes().secrets.clone();
            let shown = secrets
                .into_iter()
                .map(|(key, value)| (key, value.expose().to_owned()));
            env.extend(shown);
        }
        Ok(PlainEnv::keep_plain(env))
    }

    async fn set_env(&self, app: &AppId, variables: PlainEnv) -> Result<EnvChange> {
        if self.is("H-081") && is_missing(app) {
            return Ok(EnvChange::Unchanged);
        }
        let secrets: Vec<_> = self.memory().list_secrets(app).await?;
        let secrets: Vec<_> = secrets.into_iter().map(|secret| secret.key).collect();
        if self.is("H-076") {
            self.memory().remove_secrets(app, secrets.clone()).await?;
        }
        if self.is("H-077") && variables.iter().any(|(key, _)| secrets.contains(key)) {
            let mut fine = variables.clone().into_map();
            fine.retain(|key, _| !secrets.contains(key));
            self.memory()
                .set_env(app, PlainEnv::keep_plain(fine))
                .await?;
        }
        let change = self.memory().set_env(app, variables.clone()).await?;
        if self.is("H-072") {
            let mut others = self.memory().env(app).await?.into_map();
            others.retain(|key, _| variables.get(key.as_str()).is_none());
            let others = others.into_keys().collect();
            self.memory().remove_env(app, others).await?;
        }
        Ok(match change {
            _ if self.is("H-070") => EnvChange::Unchanged,
            EnvChange::Unchanged if self.is("H-073") => EnvChange::Staged,
            change => change,
        })
    }

    async fn remove_env(&self, app: &AppId, keys: Vec<EnvKey>) -> Result<EnvChange> {
        if self.is("H-074") && keys.iter().any(|key| key.as_str() == "GONE") {
            return Ok(EnvChange::Staged);
        }
        if self.is("H-078") {
            self.memory().remove_secrets(app, keys.clone()).await?;
        }
        match self.memory().remove_env(app, keys).await? {
            EnvChange::Unchanged if self.is("H-075") => Err(Error::not_found("the variable")),
            change => Ok(change),
        }
    }
}

/// All apps.
async fn all_apps(sabotaged: &Sabotaged) -> Result<Vec<AppId>> {
    use futures_util::TryStreamExt;
    let apps: Vec<App> = sabotaged.memory().list_apps().try_collect().await?;
    Ok(apps.into_iter().map(|app| app.id).collect())
}

#[async_trait]
impl AppSecrets for Sabotaged {
    async fn list_secrets(&self, app: &AppId) -> Result<Vec<SecretInfo>> {
        if self.is("H-098") && is_missing(app) {
            return Ok(Vec::new());
        }
        let mut listed = self.memory().list_secrets(app).await?;
        if self.is("H-090") {
            listed.reverse();
        }
        Ok(listed)
    }

    async fn set_secrets(
        &self,
        app: &AppId,
        secrets: BTreeMap<EnvKey, Secret>,
    ) -> Result<EnvChange> {
        if self.is("H-099") && is_missing(app) {
            return Ok(EnvChange::Unchanged);
        }
        self.notes().secrets.extend(secrets.clone());
        let change = match self.memory().set_secrets(app, secrets.clone()).await {
            Err(err) if self.is("H-094") && err.is_conflict() => return Ok(EnvChange::Staged),
            change => change?,
        };
        if self.is("H-093") {
            let listed = self.memory().list_secrets(app).await?;
            let others = listed.into_iter().map(|secret| secret.key);
            let others = others.filter(|key| !secrets.contains_key(key)).collect();
            self.memory().remove_secrets(app, others).await?;
        }
        Ok(change)
    }

    async fn remove_secrets(&self, app: &AppId, keys: Vec<EnvKey>) -> Result<EnvChange> {
        if self.is("H-095") && keys.iter().any(|key| key.as_str() != "NEVER_SET") {
            return Ok(EnvChange::Staged);
        }
        match self.memory().remove_secrets(app, keys).await? {
            EnvChange::Unchanged if self.is("H-096") => Err(Error::not_found("the secret")),
            change => Ok(change),
        }
    }
}

#[async_trait]
impl Restart for Sabotaged {
    async fn restart(&self, app: &AppId) -> Result<()> {
        match self.memory().restart(app).await {
            Ok(()) if self.is("H-140") => self.memory().crash(app, "sabotaged"),
            Err(err) if self.is("H-141") && err.is_conflict() => Ok(()),
            Err(_) if self.is("H-142") && is_missing(app) => Ok(()),
            answer => answer,
        }
    }
}

#[async_trait]
impl Usage for Sabotaged {
    async fn usage(&self, mut query: UsageQuery) -> Result<UsageReport> {
        if self.is("H-150") {
            query.period = None;
        }
        if self.is("H-151") {
            query.budget = None;
        }
        let mut report = self.memory().usage(query).await?;
        if self.is("H-152") {
            report.items.iter_mut().for_each(|item| item.used = -1.0);
        }
        Ok(report)
    }
}
