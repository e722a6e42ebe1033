//! Taking a deletion back.

use std::fmt;

use async_trait::async_trait;

use super::SecretMeta;
use crate::error::Result;
use crate::id::SecretName;

/// Taking a deletion back. An ability of [`SecretStore`](super::SecretStore).
#[async_trait]
pub trait RestoreSecrets: fmt::Debug + Send + Sync + 'static {
    /// Brings a deleted secret back with the value that it had. One that is not deleted
    /// is left as it is.
    ///
    /// # Errors
    /// `NotFound` where there never was one or its time to be restored is over.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the secret restored.
    async fn restore_secret(&self, name: &SecretName) -> Result<SecretMeta>;
}

const _: fn(&dyn RestoreSecrets) = |_| {};
