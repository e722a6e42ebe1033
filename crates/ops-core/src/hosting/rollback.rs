//! Going back, and starting again.

use std::fmt;

use async_trait::async_trait;

use super::Deployment;
use crate::error::Result;
use crate::id::{AppId, DeploymentId, IdempotencyKey};
use crate::macros::setters;

/// What to go back to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RollbackTarget {
    /// The deployment that served before the one that serves now.
    #[default]
    Previous,
    /// A certain one.
    Deployment(DeploymentId),
}

/// A request to go back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RollbackRequest {
    /// What to go back to. Defaults to the previous one.
    pub target: RollbackTarget,
    /// The same key makes the same deployment. Defaults to a key of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl RollbackRequest {
    /// Goes back to the deployment that served before the one that serves now.
    #[must_use]
    pub fn previous() -> Self {
        Self::default()
    }

    /// Goes back to a certain deployment.
    #[must_use]
    pub fn to(deployment: DeploymentId) -> Self {
        Self {
            target: RollbackTarget::Deployment(deployment),
            idempotency_key: None,
        }
    }
}

setters! { RollbackRequest {
    opt { with_idempotency_key(idempotency_key: IdempotencyKey) }
} }

/// Going back to an earlier deployment. An ability of [`Hosting`](super::Hosting).
#[async_trait]
pub trait Rollback: fmt::Debug + Send + Sync + 'static {
    /// Deploys again what an earlier deployment deployed.
    ///
    /// # Behavior
    /// 1. Answers the deployment that brings the old version back: a new one, or the old
    ///    one where the vendor promotes it. Its `source` is the old one's.
    /// 2. A deployment that never was live is no target.
    /// 3. Variables and secrets are not rolled back.
    /// 4. Returns when the vendor has accepted it; wait for it as for any deployment.
    ///
    /// # Errors
    /// `NotFound` for a target that is not there, also where nothing served before;
    /// `Conflict` for a target that cannot be deployed any more or never was live. After a
    /// timeout the outcome is unknown: the app's `current_deployment` tells.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the rollback started.
    async fn roll_back(&self, app: &AppId, request: RollbackRequest) -> Result<Deployment>;
}

/// Restarting without a deployment. An ability of [`Hosting`](super::Hosting).
#[async_trait]
pub trait Restart: fmt::Debug + Send + Sync + 'static {
    /// Restarts the app's instances, one after another where the vendor can.
    ///
    /// # Behavior
    /// 1. The same version, variables and secrets run again; changes that waited for a
    ///    restart take effect.
    /// 2. Returns when the vendor has accepted it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where nothing is deployed. Restarting again is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the restart started.
    async fn restart(&self, app: &AppId) -> Result<()>;
}

const _: fn(&dyn Rollback) = |_| {};
const _: fn(&dyn Restart) = |_| {};
