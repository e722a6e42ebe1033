//! A place that keeps secrets.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{ProviderId, SecretName, SecretVersionId};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::time::Timestamp;

mod read;
mod restore;
mod rotate;
mod versions;
mod write;

pub use read::{ReadSecrets, SecretValue};
pub use restore::RestoreSecrets;
pub use rotate::{RotateSecrets, Rotation, RotationState};
pub use versions::{SecretVersion, SecretVersionState, SecretVersions};
pub use write::{SetSecretRequest, WriteSecrets};

/// What a store can carry. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretStoreLimits {
    /// The longest value, in bytes.
    pub max_value_bytes: Option<u64>,
    /// The longest name, in bytes.
    pub max_name_bytes: Option<u32>,
    /// The most secrets.
    pub max_secrets: Option<u32>,
}

setters! { SecretStoreLimits {
    opt {
        with_max_value_bytes(max_value_bytes: u64),
        with_max_name_bytes(max_name_bytes: u32),
        with_max_secrets(max_secrets: u32),
    }
} }

/// What is known of a secret besides its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SecretMeta {
    /// Its name.
    pub name: SecretName,
    /// The version that is current, where the vendor keeps versions and tells.
    pub version: Option<SecretVersionId>,
    /// When it was made, where the vendor tells.
    pub created_at: Option<Timestamp>,
    /// When its value was last set, where the vendor tells.
    pub updated_at: Option<Timestamp>,
}

impl SecretMeta {
    /// What is known of every secret.
    #[must_use]
    pub fn new(name: SecretName) -> Self {
        Self {
            name,
            version: None,
            created_at: None,
            updated_at: None,
        }
    }
}

setters! { SecretMeta {
    opt {
        with_version(version: SecretVersionId),
        with_created_at(created_at: Timestamp),
        with_updated_at(updated_at: Timestamp),
    }
} }

/// A place that keeps secrets: a config of Doppler, AWS Secrets Manager, the Actions
/// secrets of a repository, a context of CircleCI, a `.env` file.
///
/// Implemented by each vendor that keeps secrets; called by applications and by whatever
/// resolves the references of a configuration, which hold an `Arc<dyn SecretStore>`.
///
/// The base is what all of them can do: tell which secrets there are. CI systems take
/// values and never give them back, files are read and never written: both are abilities.
///
/// # Contract
/// 1. A provider stands for one config, project, repository, environment, context, region
///    of an account, or file.
/// 2. Methods may be called concurrently. Clones of a provider are the same store.
/// 3. Names are given back as they were set. A name that the vendor would change or
///    cannot keep is refused with `InvalidInput` before anything is changed.
/// 4. A value is text and is kept byte for byte: no trimming, no change of line ends.
/// 5. No value and no part of one is in a listing, an error or a `Debug`.
/// 6. What was set is listed, and read where the store can be read, by the next call.
/// 7. Deleting what is not there succeeds.
///
/// # Abilities
/// | accessor | ability |
/// | --- | --- |
/// | [`as_read_secrets`](Self::as_read_secrets) | [`ReadSecrets`] |
/// | [`as_write_secrets`](Self::as_write_secrets) | [`WriteSecrets`] |
/// | [`as_secret_versions`](Self::as_secret_versions) | [`SecretVersions`] |
/// | [`as_rotate_secrets`](Self::as_rotate_secrets) | [`RotateSecrets`] |
/// | [`as_restore_secrets`](Self::as_restore_secrets) | [`RestoreSecrets`] |
///
/// # Errors
/// `NotFound` for a secret that must exist, `InvalidInput` for a name or a value that the
/// vendor cannot keep, `Unauthenticated` and `PermissionDenied` for the token,
/// `QuotaExceeded` for the number of secrets, `Conflict` where the secret's present state
/// refuses, `RateLimited`, `Unavailable`, `Timeout`. After a timeout of a change the
/// outcome is unknown; setting and deleting again is harmless.
///
/// # Implementing
/// Implement the base methods, return `Some(self)` from the accessor of each ability
/// that the vendor has, and run the conformance suite. A wrapper wraps the abilities
/// too: handing out the inner accessor would go around the wrapper.
///
/// # Examples
/// ```
/// # #[cfg(feature = "memory")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::id::SecretName;
/// use ops_core::memory::MemorySecretStore;
/// use ops_core::secret_store::SetSecretRequest;
/// use ops_core::{Secret, SecretStoreExt};
///
/// let store = MemorySecretStore::new();
/// let name = SecretName::new("JWT_SECRET")?;
/// let value = Secret::from("correct horse battery staple 42!");
/// store.require_write_secrets()?.set_secret(&name, SetSecretRequest::new(value)).await?;
///
/// let read = store.read_strong(&[name], 32).await?;
/// assert_eq!(format!("{read:?}"), "[Secret([redacted])]");
/// # Ok(())
/// # })
/// # }
/// # #[cfg(not(feature = "memory"))]
/// # fn main() {}
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SecretStore: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `doppler`.
    fn provider(&self) -> ProviderId;

    /// What the store can carry.
    fn limits(&self) -> SecretStoreLimits;

    /// Lists the secrets without their values, page by page as the stream is polled, in
    /// no certain order.
    fn list_secrets(&self) -> ItemStream<SecretMeta>;

    /// What is known of a secret besides its value.
    ///
    /// # Behavior
    /// A secret that was deleted is not there, also while the vendor could still restore it.
    ///
    /// # Errors
    /// `NotFound`; see the trait.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn secret(&self, name: &SecretName) -> Result<SecretMeta>;

    /// Reading values, where the vendor gives them back.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_read_secrets<'a>(&'a self) -> Option<&'a dyn ReadSecrets> {
        None
    }

    /// Setting and deleting, where the store is not read-only.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_write_secrets<'a>(&'a self) -> Option<&'a dyn WriteSecrets> {
        None
    }

    /// Earlier values, where the vendor keeps them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_secret_versions<'a>(&'a self) -> Option<&'a dyn SecretVersions> {
        None
    }

    /// Rotation by the vendor itself, where it has that.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_rotate_secrets<'a>(&'a self) -> Option<&'a dyn RotateSecrets> {
        None
    }

    /// Taking a deletion back, where the vendor can.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_restore_secrets<'a>(&'a self) -> Option<&'a dyn RestoreSecrets> {
        None
    }
}

const _: fn(&dyn SecretStore) = |_| {};
