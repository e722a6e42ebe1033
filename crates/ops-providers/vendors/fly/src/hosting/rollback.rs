//! Going back to an earlier image, and restarting.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use ops_core::hosting::{DeploySource, DeploymentState};
use ops_core::hosting::{Deployment, Hosting, Restart, Rollback, RollbackRequest, RollbackTarget};
use ops_core::id::AppId;
use ops_core::{Error, ErrorKind, Result};

use crate::error::refuse;
use crate::hosting::fingerprint;
use crate::rollout::lease::Lease;
use crate::rollout::{Note, Wanted};
use crate::settings::{Changes, Shape};
use crate::{Fly, PROVIDER, api};

#[async_trait]
impl Rollback for Fly {
    /// Deploys the image of an earlier release; what else the machines are configured with
    /// stays as it is. As `deploy`, it returns when nothing is left to do.
    async fn roll_back(&self, app: &AppId, request: RollbackRequest) -> Result<Deployment> {
        let asked = match &request.target {
            RollbackTarget::Previous => None,
            RollbackTarget::Deployment(id) => Some(id.as_str()),
            _ => return Err(refuse(ErrorKind::Unsupported, "such a target")),
        };
        let note = Note {
            key: request
                .idempotency_key
                .map(|key| (key.into(), fingerprint(&("rollback", asked)))),
            description: None,
        };
        let machines = self.machines(app).await?;
        if let Some(done) = self.done_before(app, &machines, &note).await? {
            return Ok(done);
        }
        let target = match request.target {
            RollbackTarget::Deployment(id) => self.deployment(app, &id).await?,
            _ => self.previous(app).await?,
        };
        let has_served = matches!(
            target.state,
            DeploymentState::Live | DeploymentState::Superseded
        );
        let (true, Some(DeploySource::Image(image))) = (has_served, target.source) else {
            let text = "the deployment never was live, or Fly has forgotten its image";
            return Err(refuse(ErrorKind::Conflict, text).with_resource(target.id.as_str()));
        };
        let wanted = Wanted {
            image,
            shape: Shape::default(),
            changes: Changes::default(),
            note,
        };
        self.roll_out(app, machines, &wanted).await
    }
}

impl Fly {
    /// The deployment that served before the one that serves.
    async fn previous(&self, app: &AppId) -> Result<Deployment> {
        let mut deployments = self.list_deployments(app);
        while let Some(seen) = deployments.try_next().await? {
            if seen.state == DeploymentState::Superseded {
                return Ok(seen);
            }
        }
        let text = "nothing served before";
        Err(Error::new(ErrorKind::NotFound, text)
            .with_provider(PROVIDER)
            .with_resource(app.as_str()))
    }
}

#[async_trait]
impl Restart for Fly {
    /// One machine after another, each waited for but the last. Machines that sleep are left
    /// asleep: they see what has changed when they wake.
    async fn restart(&self, app: &AppId) -> Result<()> {
        let mut machines = self.serving(app).await?;
        if machines.is_empty() {
            let text = "nothing is deployed that could be restarted";
            return Err(refuse(ErrorKind::Conflict, text).with_resource(app.as_str()));
        }
        let mut lease = Lease::take(self, app, &machines).await?;
        machines.retain(crate::model::Machine::is_awake);
        let mut left = machines.len();
        for machine in &machines {
            let call = api::restart(lease.at(&machine.id));
            self.inner.machines.execute(call).await?;
            left -= 1;
            if left > 0 {
                self.wait_healthy(&mut lease, machine).await?;
            }
        }
        lease.release().await;
        Ok(())
    }
}
