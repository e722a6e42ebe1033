//! Releases, which are what Fly knows of deployments.

use ops_core::Timestamp;
use ops_core::hosting::{DeploySource, Deployment, DeploymentState};
use ops_core::id::{AppId, DeploymentId};
use ops_http::decode::timestamp_opt;
use serde::Deserialize;

/// `ReleaseUnprocessed`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Release {
    pub(crate) id: DeploymentId,
    pub(crate) version: i64,
    pub(crate) status: String,
    pub(crate) image_ref: Option<String>,
    #[serde(default, deserialize_with = "timestamp_opt")]
    pub(crate) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "timestamp_opt")]
    pub(crate) updated_at: Option<Timestamp>,
}

/// What `createRelease` answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedRelease {
    pub(crate) create_release: Option<Payload>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Payload {
    pub(crate) release: Option<Release>,
}

/// What `updateRelease` answers: that it did.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdatedRelease {
    #[expect(dead_code, reason = "an answer without it is not understood")]
    update_release: serde::de::IgnoredAny,
}

impl Release {
    /// Whether it has served, by what whoever carried it out wrote down.
    pub(crate) fn has_served(&self) -> bool {
        matches!(self.status.as_str(), "complete" | "succeeded")
    }

    /// Whether it has begun and nobody has written down how it ended.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "pending" | "running")
    }

    pub(crate) fn deployment(self, app: &AppId, state: DeploymentState) -> Deployment {
        let has_served = self.has_served();
        let mut deployment = Deployment::new(self.id, app.clone(), state)
            .with_can_roll_back_to(has_served && self.image_ref.is_some());
        deployment.source = self.image_ref.map(DeploySource::Image);
        deployment.created_at = self.created_at;
        if deployment.state.is_terminal() {
            deployment.finished_at = self.updated_at;
        }
        deployment
    }
}

/// Reads the states out of releases, which are told newest first: which one serves depends
/// on those behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    has_live: bool,
}

impl Standing {
    /// The state of the next older release.
    pub(crate) fn next(&mut self, release: &Release) -> DeploymentState {
        if release.has_served() {
            let is_older = std::mem::replace(&mut self.has_live, true);
            return if is_older {
                DeploymentState::Superseded
            } else {
                DeploymentState::Live
            };
        }
        match release.status.as_str() {
            // Somebody has gone on without it: nobody will finish it.
            "pending" | "running" if self.has_live => DeploymentState::Canceled,
            "pending" => DeploymentState::Queued,
            "running" => DeploymentState::Deploying,
            "failed" => DeploymentState::Failed,
            "interrupted" => DeploymentState::Canceled,
            other => DeploymentState::Other(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(statuses: &[&str]) -> Vec<DeploymentState> {
        let mut standing = Standing::default();
        let release = |status: &&str| Release {
            id: DeploymentId::new("r").unwrap(),
            version: 1,
            status: (*status).to_owned(),
            image_ref: None,
            created_at: None,
            updated_at: None,
        };
        statuses
            .iter()
            .map(|status| standing.next(&release(status)))
            .collect()
    }

    #[test]
    fn the_newest_that_was_completed_is_live() {
        use DeploymentState::{Canceled, Deploying, Failed, Live, Other, Superseded};
        assert_eq!(
            states(&["running", "failed", "complete", "complete", "succeeded"]),
            [Deploying, Failed, Live, Superseded, Superseded]
        );
        assert_eq!(
            states(&["interrupted", "odd", "complete", "running", "pending"]),
            [Canceled, Other("odd".to_owned()), Live, Canceled, Canceled]
        );
    }
}
