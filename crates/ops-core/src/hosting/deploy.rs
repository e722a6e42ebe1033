//! What is deployed, and how far it has come.

use std::path::PathBuf;

use super::AppSettings;
use crate::id::{AppId, DeploymentId, IdempotencyKey};
use crate::macros::setters;
use crate::time::Timestamp;

/// A point in a git repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum GitReference {
    /// The tip of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// A commit by its full hash.
    Commit(String),
}

/// What to deploy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DeploySource {
    /// A container image, such as `registry.example/shop:1.4.2` or one with a digest.
    Image(String),
    /// A point in a git repository.
    Git {
        /// The repository's address; `None` is the one that the app is connected with.
        repository: Option<String>,
        /// Which point.
        reference: GitReference,
    },
    /// A `.tar.gz` or `.zip` file with the source or the built site.
    Archive(PathBuf),
    /// A directory with the source or the built site.
    Directory(PathBuf),
    /// What an earlier deployment of the same app deployed.
    Previous(DeploymentId),
}

impl DeploySource {
    /// A container image.
    pub fn image(reference: impl Into<String>) -> Self {
        Self::Image(reference.into())
    }

    /// A commit of the repository that the app is connected with.
    pub fn commit(hash: impl Into<String>) -> Self {
        Self::Git {
            repository: None,
            reference: GitReference::Commit(hash.into()),
        }
    }

    /// The tip of a branch of the repository that the app is connected with.
    pub fn branch(name: impl Into<String>) -> Self {
        Self::Git {
            repository: None,
            reference: GitReference::Branch(name.into()),
        }
    }

    /// The name of the variant, lowercase, for error texts and spans.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Image(_) => "image",
            Self::Git { .. } => "git",
            Self::Archive(_) => "archive",
            Self::Directory(_) => "directory",
            Self::Previous(_) => "previous",
        }
    }
}

/// A request to deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeployRequest {
    /// What to deploy.
    pub source: DeploySource,
    /// What to change about how the app runs, with this deployment. Defaults to nothing.
    pub settings: AppSettings,
    /// The vendor's environment, such as `production` or `preview`. Defaults to production.
    pub environment: Option<String>,
    /// A text that the vendor shows with the deployment.
    pub description: Option<String>,
    /// The same key makes the same deployment. Defaults to a key of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl DeployRequest {
    /// Deploys a source to production and changes nothing else.
    #[must_use]
    pub fn new(source: DeploySource) -> Self {
        Self {
            source,
            settings: AppSettings::default(),
            environment: None,
            description: None,
            idempotency_key: None,
        }
    }
}

setters! { DeployRequest {
    opt { with_idempotency_key(idempotency_key: IdempotencyKey) }
    opt_into { with_environment(environment: String), with_description(description: String) }
    val { with_settings(settings: AppSettings) }
} }

/// How far a deployment has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DeploymentState {
    /// Accepted; nothing happens yet, or somebody must approve it.
    Queued,
    /// The source is being built or fetched.
    Building,
    /// Instances are being replaced.
    Deploying,
    /// Serves.
    Live,
    /// Served, and a later deployment took its place.
    Superseded,
    /// Did not come up, or crashed later.
    Failed,
    /// Was stopped before it served.
    Canceled,
    /// Anything else, in the vendor's own word.
    Other(String),
}

impl DeploymentState {
    /// Whether it will not change by itself any more, other than being superseded.
    ///
    /// An unknown word is not taken for an end.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Live | Self::Superseded | Self::Failed | Self::Canceled
        )
    }

    /// The state in one word, or the vendor's own word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Queued => "queued",
            Self::Building => "building",
            Self::Deploying => "deploying",
            Self::Live => "live",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Other(word) => word,
        }
    }

    /// Whether it serves now.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Live)
    }
}

/// One deployment of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Deployment {
    /// The vendor's id.
    pub id: DeploymentId,
    /// The app.
    pub app: AppId,
    /// How far it has come.
    pub state: DeploymentState,
    /// What was deployed, where the vendor tells: with the digest or hash that it was resolved to.
    pub source: Option<DeploySource>,
    /// The vendor's environment.
    pub environment: Option<String>,
    /// Where this deployment answers, also while it is not live, where the vendor has such an address.
    pub url: Option<String>,
    /// What the vendor says about it, such as why it failed.
    pub message: Option<String>,
    /// Whether [`Rollback`](super::Rollback) can go back to it; `None` where the vendor does not tell.
    pub can_roll_back_to: Option<bool>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// When it reached a terminal state.
    pub finished_at: Option<Timestamp>,
}

impl Deployment {
    /// What is known of every deployment.
    #[must_use]
    pub fn new(id: DeploymentId, app: AppId, state: DeploymentState) -> Self {
        Self {
            id,
            app,
            state,
            source: None,
            environment: None,
            url: None,
            message: None,
            can_roll_back_to: None,
            created_at: None,
            finished_at: None,
        }
    }
}

setters! { Deployment {
    opt {
        with_source(source: DeploySource),
        with_can_roll_back_to(can_roll_back_to: bool),
        with_created_at(created_at: Timestamp),
        with_finished_at(finished_at: Timestamp),
    }
    opt_into { with_environment(environment: String), with_url(url: String), with_message(message: String) }
} }
