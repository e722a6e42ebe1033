//! Earlier values.

use std::fmt;

use async_trait::async_trait;

use super::SecretValue;
use crate::error::Result;
use crate::id::{SecretName, SecretVersionId};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::time::Timestamp;

/// What a version is good for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum SecretVersionState {
    /// What [`ReadSecrets::read_secret`](super::ReadSecrets::read_secret) answers.
    Current,
    /// An earlier one that can be read.
    Earlier,
    /// A rotation has made it, and it is not current yet.
    Pending,
    /// Cannot be read until somebody enables it.
    Disabled,
    /// Its value is gone.
    Destroyed,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// One version of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SecretVersion {
    /// The vendor's id.
    pub id: SecretVersionId,
    /// What it is good for.
    pub state: SecretVersionState,
    /// When it was set, where the vendor tells.
    pub created_at: Option<Timestamp>,
}

impl SecretVersion {
    /// What is known of every version.
    #[must_use]
    pub fn new(id: SecretVersionId, state: SecretVersionState) -> Self {
        Self {
            id,
            state,
            created_at: None,
        }
    }
}

setters! { SecretVersion {
    opt { with_created_at(created_at: Timestamp) }
} }

/// Earlier values. An ability of [`SecretStore`](super::SecretStore).
///
/// After a rotation, what was signed or encrypted with the value before is still to be
/// read for a while: this is where that value is.
#[async_trait]
pub trait SecretVersions: fmt::Debug + Send + Sync + 'static {
    /// Lists a secret's versions, newest first, page by page as the stream is polled.
    ///
    /// # Behavior
    /// 1. Exactly one of them is current, unless the current one was disabled.
    /// 2. How many earlier ones there are is the vendor's choice; the one before the
    ///    current is among them.
    ///
    /// The first item is `NotFound` where there is no such secret.
    fn list_secret_versions(&self, name: &SecretName) -> ItemStream<SecretVersion>;

    /// The value of a version.
    ///
    /// # Errors
    /// `NotFound` for the secret, and for a version that is not there or destroyed;
    /// `Conflict` for one that is disabled.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn read_secret_version(
        &self,
        name: &SecretName,
        version: &SecretVersionId,
    ) -> Result<SecretValue>;
}

const _: fn(&dyn SecretVersions) = |_| {};
