//! Rotation by the vendor itself.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{IdempotencyKey, SecretName, SecretVersionId};
use crate::macros::setters;
use crate::time::Timestamp;

/// How far a rotation has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RotationState {
    /// Nobody has told the vendor how to rotate this secret.
    NotConfigured,
    /// No rotation runs now.
    Idle,
    /// A new value has been made and is not current yet.
    InProgress,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// What is known of a secret's rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Rotation {
    /// How far it has come.
    pub state: RotationState,
    /// The version that it makes or has made last, where the vendor tells.
    pub version: Option<SecretVersionId>,
    /// When a rotation last ended.
    pub last_rotated_at: Option<Timestamp>,
    /// When the vendor rotates by itself.
    pub next_rotation_at: Option<Timestamp>,
}

impl Rotation {
    /// What is known of every rotation.
    #[must_use]
    pub fn new(state: RotationState) -> Self {
        Self {
            state,
            version: None,
            last_rotated_at: None,
            next_rotation_at: None,
        }
    }
}

setters! { Rotation {
    opt {
        with_version(version: SecretVersionId),
        with_last_rotated_at(last_rotated_at: Timestamp),
        with_next_rotation_at(next_rotation_at: Timestamp),
    }
} }

/// Rotation by the vendor itself: it makes the new value and brings it to where it is
/// used. An ability of [`SecretStore`](super::SecretStore).
///
/// How a secret is rotated is configured at the vendor. Where the caller makes the new
/// value, any store that can be written serves:
/// [`SecretStoreExt::rotate_to`](crate::SecretStoreExt::rotate_to).
#[async_trait]
pub trait RotateSecrets: fmt::Debug + Send + Sync + 'static {
    /// Starts a rotation now.
    ///
    /// # Behavior
    /// 1. Returns when the vendor has accepted it. The current value stays current until
    ///    the rotation has ended; [`rotation`](Self::rotation) tells when.
    /// 2. Two calls with one idempotency key start one rotation.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where no rotation is configured or one is running. After a
    /// timeout the outcome is unknown: [`rotation`](Self::rotation) tells.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the rotation started.
    async fn rotate_secret(
        &self,
        name: &SecretName,
        idempotency_key: Option<IdempotencyKey>,
    ) -> Result<Rotation>;

    /// What is known of a secret's rotation.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn rotation(&self, name: &SecretName) -> Result<Rotation>;
}

const _: fn(&dyn RotateSecrets) = |_| {};
