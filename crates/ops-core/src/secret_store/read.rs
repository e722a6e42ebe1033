//! Values that the vendor gives back.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{SecretName, SecretVersionId};
use crate::secret::Secret;

/// A value that was read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SecretValue {
    /// The value.
    pub value: Secret,
    /// Which version it is, where the vendor keeps versions and tells.
    pub version: Option<SecretVersionId>,
}

impl SecretValue {
    /// A value whose version is not known.
    pub fn new(value: impl Into<Secret>) -> Self {
        Self {
            value: value.into(),
            version: None,
        }
    }

    /// Sets which version it is.
    #[must_use]
    pub fn with_version(mut self, version: SecretVersionId) -> Self {
        self.version = Some(version);
        self
    }
}

/// Reading values. An ability of [`SecretStore`](super::SecretStore).
#[async_trait]
pub trait ReadSecrets: fmt::Debug + Send + Sync + 'static {
    /// The current value of a secret.
    ///
    /// # Behavior
    /// 1. References that the vendor resolves, such as `${USER}` of Doppler, are resolved.
    /// 2. A value that is no text is `Unsupported`, not something cut or encoded.
    ///
    /// # Errors
    /// `NotFound`, also for a secret without a current version; `PermissionDenied` where
    /// the token or the secret is not allowed to be read; see
    /// [`SecretStore`](super::SecretStore).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn read_secret(&self, name: &SecretName) -> Result<SecretValue>;

    /// The current values of several secrets, in as few requests as the vendor lets.
    ///
    /// # Behavior
    /// One answer per name, in the order of the names; what fails for one name does not
    /// fail the others.
    ///
    /// # Errors
    /// Only where nothing could be read at all; otherwise as
    /// [`read_secret`](Self::read_secret), per name.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn read_secrets(&self, names: Vec<SecretName>) -> Result<Vec<Result<SecretValue>>>;
}

const _: fn(&dyn ReadSecrets) = |_| {};
