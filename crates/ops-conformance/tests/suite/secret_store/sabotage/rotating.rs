//! Rotation.

use ops_conformance::async_trait;
use ops_core::id::{IdempotencyKey, SecretName};
use ops_core::secret_store::{RotateSecrets, Rotation, RotationState};
use ops_core::{ErrorKind, Result};

use super::{Sabotaged, never_was};
use crate::saboteur::{fault, wrong};

#[async_trait]
impl RotateSecrets for Sabotaged {
    async fn rotate_secret(
        &self,
        name: &SecretName,
        mut idempotency_key: Option<IdempotencyKey>,
    ) -> Result<Rotation> {
        let before = self.peek(name).await;
        self.notes().before_rotation = before;
        if self.is("S-096") {
            idempotency_key = None;
        }
        let has_key = idempotency_key.is_some();
        let started = match self.memory().rotate_secret(name, idempotency_key).await {
            Err(_) if self.is("S-092") && never_was(name) => return wrong(),
            Err(err) if err.kind() == ErrorKind::Conflict => {
                let rotation = self.memory().rotation(name).await?;
                let is_configured = rotation.state != RotationState::NotConfigured;
                let excused = (self.is("S-091") && !is_configured)
                    || (self.is("S-097") && is_configured && !has_key);
                return if excused { Ok(rotation) } else { Err(err) };
            }
            started => started?,
        };
        self.notes().is_rotating = true;
        Ok(started)
    }

    async fn rotation(&self, name: &SecretName) -> Result<Rotation> {
        let mut seen = match self.memory().rotation(name).await {
            Err(_) if self.is("S-093") && never_was(name) => return wrong(),
            seen => seen?,
        };
        if self.is("S-090") && seen.state == RotationState::NotConfigured {
            return Err(fault(ErrorKind::Conflict));
        }
        if self.is("S-098") {
            seen.last_rotated_at = None;
        }
        self.notes().is_rotating = false;
        Ok(seen)
    }
}
