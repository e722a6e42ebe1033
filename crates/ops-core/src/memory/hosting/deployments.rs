//! How deployments come and go.

use super::super::{error, missing};
use super::bad_input;
use super::state::{AppRecord, DeploymentRecord};
use crate::error::{ErrorKind, Result};
use crate::hosting::{AppSettings, DeployRequest, DeploySource, Deployment, DeploymentState};
use crate::id::{AppId, DeploymentId};
use crate::secret::Secret;
use crate::time::Timestamp;

impl AppRecord {
    pub(super) fn find(
        &self,
        operation: &'static str,
        id: &DeploymentId,
    ) -> Result<&DeploymentRecord> {
        let found = self
            .deployments
            .iter()
            .find(|record| record.deployment.id == *id);
        found.ok_or_else(|| missing(operation, id))
    }

    pub(super) fn found(&self, operation: &'static str, id: &DeploymentId) -> Result<Deployment> {
        self.find(operation, id)
            .map(|record| record.deployment.clone())
    }

    /// What a source stands for: a previous deployment stands for what it deployed.
    pub(super) fn resolve(
        &self,
        operation: &'static str,
        source: &DeploySource,
    ) -> Result<DeploySource> {
        match source {
            DeploySource::Previous(id) => {
                let source = self.find(operation, id)?.deployment.source.clone();
                source.ok_or_else(|| missing(operation, format_args!("the source of {id}")))
            }
            DeploySource::Archive(path) if !path.is_file() => Err(bad_input(
                operation,
                format!("{} is no file", path.display()),
            )),
            DeploySource::Directory(path) if !path.is_dir() => Err(bad_input(
                operation,
                format!("{} is no directory", path.display()),
            )),
            other => Ok(other.clone()),
        }
    }

    pub(super) fn start(
        &mut self,
        id: DeploymentId,
        app: AppId,
        source: DeploySource,
        request: DeployRequest,
        now: Timestamp,
    ) -> Deployment {
        let mut deployment = Deployment::new(id, app, DeploymentState::Queued)
            .with_source(source)
            .with_can_roll_back_to(false)
            .with_environment(
                request
                    .environment
                    .unwrap_or_else(|| "production".to_owned()),
            )
            .with_created_at(now);
        deployment.message = request.description;
        self.deployments.push(DeploymentRecord {
            deployment: deployment.clone(),
            settings: request.settings,
            will_fail: self.fail_next.take(),
            has_served: false,
        });
        self.note(
            now,
            deployment.id.clone(),
            format!("deployment {} queued", deployment.id),
        );
        deployment
    }

    /// Advances a deployment by one step, and answers what it is then.
    pub(super) fn look(&mut self, id: &DeploymentId, now: Timestamp) -> Result<Deployment> {
        let operation = "hosting.deployment";
        let record = self.find(operation, id)?;
        let is_image = matches!(record.deployment.source, Some(DeploySource::Image(_)));
        let next = match record.deployment.state {
            DeploymentState::Queued if is_image => DeploymentState::Deploying,
            DeploymentState::Queued => DeploymentState::Building,
            DeploymentState::Building => DeploymentState::Deploying,
            DeploymentState::Deploying if record.will_fail.is_some() => DeploymentState::Failed,
            DeploymentState::Deploying if self.is_overtaken(id) => DeploymentState::Superseded,
            DeploymentState::Deploying => DeploymentState::Live,
            _ => return Ok(record.deployment.clone()),
        };
        if next.is_live() {
            self.replace_live(id, now);
        } else {
            self.update(id, next, now);
        }
        self.found(operation, id)
    }

    /// Whether a deployment that was asked for later is live already.
    fn is_overtaken(&self, id: &DeploymentId) -> bool {
        let later = self
            .deployments
            .iter()
            .skip_while(|record| record.deployment.id != *id);
        later
            .skip(1)
            .any(|record| record.deployment.state.is_live())
    }

    fn update(&mut self, id: &DeploymentId, state: DeploymentState, now: Timestamp) {
        let Some(record) = self.deployments.iter_mut().find(|r| r.deployment.id == *id) else {
            return;
        };
        if let (DeploymentState::Failed, Some(message)) = (&state, &record.will_fail) {
            record.deployment.message = Some(message.clone());
        }
        if state.is_terminal() {
            record.deployment.finished_at.get_or_insert(now);
        }
        let message = format!("deployment {id} {}", state.as_str());
        record.deployment.state = state;
        self.note(now, id.clone(), message);
    }

    fn replace_live(&mut self, id: &DeploymentId, now: Timestamp) {
        if let Some(old) = self.live().map(|record| record.deployment.id.clone()) {
            self.update(&old, DeploymentState::Superseded, now);
        }
        self.update(id, DeploymentState::Live, now);
        let record = self
            .deployments
            .iter_mut()
            .find(|record| record.deployment.id == *id);
        if let Some(record) = record {
            record.has_served = true;
            record.deployment.can_roll_back_to = Some(true);
            let settings = std::mem::take(&mut record.settings);
            merge(&mut self.settings, settings);
        }
        self.load_env();
    }

    /// Gives the instances the present variables and secrets.
    fn load_env(&mut self) {
        let plain = self
            .env
            .iter()
            .map(|(key, value)| (key.clone(), Secret::from(value.as_str())));
        let secret = self
            .secrets
            .iter()
            .map(|(key, (value, _))| (key.clone(), value.clone()));
        self.instance_env = plain.chain(secret).collect();
    }

    pub(super) fn restart(&mut self, now: Timestamp) -> Result<()> {
        let operation = "hosting.restart";
        let Some(live) = self.live().map(|record| record.deployment.id.clone()) else {
            return Err(error(ErrorKind::Conflict, operation, "nothing is deployed"));
        };
        self.load_env();
        self.restarts += 1;
        self.note(now, live, "restarted".to_owned());
        Ok(())
    }

    pub(super) fn crash(&mut self, message: &str, now: Timestamp) -> Result<()> {
        let live = self.live().map(|record| record.deployment.id.clone());
        let id = live.ok_or_else(|| missing("memory.crash", "a live deployment"))?;
        let record = self
            .deployments
            .iter_mut()
            .find(|record| record.deployment.id == id);
        if let Some(record) = record {
            record.will_fail = Some(message.to_owned());
        }
        self.update(&id, DeploymentState::Failed, now);
        Ok(())
    }

    /// The deployment that served before the one that serves now, or before the one that crashed.
    pub(super) fn served_before(&self, operation: &'static str) -> Result<DeploymentId> {
        let mut served = self
            .deployments
            .iter()
            .rev()
            .filter(|record| record.has_served);
        served
            .nth(1)
            .map(|record| record.deployment.id.clone())
            .ok_or_else(|| missing(operation, "a previous deployment"))
    }

    pub(super) fn has_served(
        &self,
        operation: &'static str,
        id: &DeploymentId,
    ) -> Result<DeploymentId> {
        let record = self.find(operation, id)?;
        if record.has_served {
            return Ok(id.clone());
        }
        let message = format!("deployment {id} has never served");
        Err(error(ErrorKind::Conflict, operation, message).with_resource(id.as_str()))
    }
}

/// Sets what a request asks for and leaves the rest.
fn merge(settings: &mut AppSettings, request: AppSettings) {
    let AppSettings {
        regions,
        size,
        replicas,
        port,
        force_https,
        health_check,
        restart,
    } = request;
    if !regions.is_empty() {
        settings.regions = regions;
    }
    settings.size = size.or(settings.size.take());
    settings.replicas = replicas.or(settings.replicas.take());
    settings.port = port.or(settings.port);
    settings.force_https = force_https.or(settings.force_https);
    settings.health_check = health_check.or(settings.health_check.take());
    settings.restart = restart.or(settings.restart);
}
