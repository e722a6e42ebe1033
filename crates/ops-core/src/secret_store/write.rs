//! Setting and deleting.

use std::fmt;

use async_trait::async_trait;

use super::SecretMeta;
use crate::error::Result;
use crate::id::{IdempotencyKey, SecretName};
use crate::macros::setters;
use crate::outcome::DeleteOutcome;
use crate::secret::Secret;

/// A request to set a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SetSecretRequest {
    /// The value; not empty.
    pub value: Secret,
    /// The same key makes the same version. Defaults to a key of this call alone. Only
    /// stores with versions have a use for it: with the others setting again is the same
    /// as setting once.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl SetSecretRequest {
    /// Sets a value.
    pub fn new(value: impl Into<Secret>) -> Self {
        Self {
            value: value.into(),
            idempotency_key: None,
        }
    }
}

setters! { SetSecretRequest {
    opt { with_idempotency_key(idempotency_key: IdempotencyKey) }
} }

/// Setting and deleting. An ability of [`SecretStore`](super::SecretStore).
#[async_trait]
pub trait WriteSecrets: fmt::Debug + Send + Sync + 'static {
    /// Sets a secret, whether it is there or not.
    ///
    /// # Behavior
    /// 1. The value is encrypted at the vendor, and hidden in its pages and logs where
    ///    the vendor can do so.
    /// 2. No other secret is changed.
    /// 3. A store with versions makes a new one, which is current; what was current stays
    ///    readable as an earlier one.
    /// 4. Two calls with one idempotency key make one version; the same key with another
    ///    value is a `Conflict`.
    /// 5. A name that was deleted can be set again at once.
    /// 6. An empty value is `InvalidInput`, and nothing is changed.
    ///
    /// # Errors
    /// `InvalidInput` for a name or a value that the vendor cannot keep; `QuotaExceeded`;
    /// see [`SecretStore`](super::SecretStore).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the secret set.
    async fn set_secret(&self, name: &SecretName, request: SetSecretRequest) -> Result<SecretMeta>;

    /// Deletes a secret with all its versions. One that is not there is fine.
    ///
    /// # Behavior
    /// The secret is gone for every reader at once, also where the vendor could still
    /// restore it.
    ///
    /// # Errors
    /// `Conflict` where the vendor protects it; see [`SecretStore`](super::SecretStore).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the secret deleted.
    async fn delete_secret(&self, name: &SecretName) -> Result<DeleteOutcome>;
}

const _: fn(&dyn WriteSecrets) = |_| {};
