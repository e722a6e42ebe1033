//! A secret store in memory.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{PROVIDER, lock};
use crate::error::Result;
use crate::id::{IdempotencyKey, ProviderId, SecretName, SecretVersionId};
use crate::memory::items;
use crate::object_store::ItemStream;
use crate::outcome::DeleteOutcome;
use crate::secret_store::{
    ReadSecrets, RestoreSecrets, RotateSecrets, Rotation, SecretMeta, SecretStore,
    SecretStoreLimits, SecretValue, SecretVersion, SecretVersions, SetSecretRequest, WriteSecrets,
};
use crate::time::{Clock, SystemClock};

mod state;

use state::{MAX_VALUE_BYTES, Record, State};

/// A secret store in memory, with every ability that was not taken from it.
///
/// Clones are the same store. A value that is set is a new version; a deleted secret can
/// be restored for seven days. A rotation ends when [`rotation`](RotateSecrets::rotation)
/// looks at it, or when its period is over, and makes a value of its own.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::id::SecretName;
/// use ops_core::memory::MemorySecretStore;
/// use ops_core::secret_store::{SecretStore, SetSecretRequest};
/// use ops_core::SecretStoreExt;
///
/// // Another view of the store, as a CI system has it: values go in and never come out.
/// let store = MemorySecretStore::new();
/// let ci = store.clone().without_reading();
/// let name = SecretName::new("DEPLOY_TOKEN")?;
/// ci.require_write_secrets()?.set_secret(&name, SetSecretRequest::new("t0ps3cret")).await?;
/// assert!(ci.as_read_secrets().is_none());
/// let read = store.require_read_secrets()?.read_secret(&name).await?;
/// assert!(read.value.matches("t0ps3cret"));
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemorySecretStore {
    shared: Arc<Shared>,
    reads: bool,
    writes: bool,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl MemorySecretStore {
    /// A store without secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// A store without secrets, with a clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::default();
        Self {
            shared: Arc::new(Shared { clock, state }),
            reads: true,
            writes: true,
        }
    }

    /// The same store without [`ReadSecrets`] and [`SecretVersions`], as CI systems are.
    #[must_use]
    pub fn without_reading(mut self) -> Self {
        self.reads = false;
        self
    }

    /// The same store without what changes it, as files are.
    #[must_use]
    pub fn without_writing(mut self) -> Self {
        self.writes = false;
        self
    }

    /// Tells the store how often to rotate a secret.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn configure_rotation(&self, name: &SecretName, period: Duration) -> Result<()> {
        self.with("memory.configure_rotation", name, |record, state| {
            record.configure_rotation(period, state.now);
            Ok(())
        })
    }

    /// Makes a version unreadable.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn disable_version(&self, name: &SecretName, version: &SecretVersionId) -> Result<()> {
        self.with("memory.disable_version", name, |record, _| {
            record.disable(version)
        })
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.shared.state);
        state.turn_to(self.shared.clock.now());
        work(&mut state)
    }

    fn with<T>(
        &self,
        operation: &'static str,
        name: &SecretName,
        work: impl FnOnce(&mut Record, &mut state::Numbers) -> Result<T>,
    ) -> Result<T> {
        self.state(|state| {
            let (record, numbers) = state.find(operation, name)?;
            work(record, numbers)
        })
    }
}

impl Default for MemorySecretStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySecretStore")
            .field("secrets", &self.state(|state| state.listed().len()))
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretStore for MemorySecretStore {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> SecretStoreLimits {
        SecretStoreLimits::default().with_max_value_bytes(MAX_VALUE_BYTES as u64)
    }

    fn list_secrets(&self) -> ItemStream<SecretMeta> {
        items::of(Ok(self.state(|state| state.listed())))
    }

    async fn secret(&self, name: &SecretName) -> Result<SecretMeta> {
        self.with("secret_store.secret", name, |record, _| {
            Ok(record.describe(name))
        })
    }

    fn as_read_secrets(&self) -> Option<&dyn ReadSecrets> {
        self.reads.then_some(self)
    }

    fn as_write_secrets(&self) -> Option<&dyn WriteSecrets> {
        self.writes.then_some(self)
    }

    fn as_secret_versions(&self) -> Option<&dyn SecretVersions> {
        self.reads.then_some(self)
    }

    fn as_rotate_secrets(&self) -> Option<&dyn RotateSecrets> {
        self.writes.then_some(self)
    }

    fn as_restore_secrets(&self) -> Option<&dyn RestoreSecrets> {
        self.writes.then_some(self)
    }
}

#[async_trait]
impl ReadSecrets for MemorySecretStore {
    async fn read_secret(&self, name: &SecretName) -> Result<SecretValue> {
        let operation = "secret_store.read_secret";
        self.with(operation, name, |record, _| record.read(operation, name))
    }

    async fn read_secrets(&self, names: Vec<SecretName>) -> Result<Vec<Result<SecretValue>>> {
        let operation = "secret_store.read_secrets";
        let read = |name| self.with(operation, name, |record, _| record.read(operation, name));
        Ok(names.iter().map(read).collect())
    }
}

#[async_trait]
impl WriteSecrets for MemorySecretStore {
    async fn set_secret(&self, name: &SecretName, request: SetSecretRequest) -> Result<SecretMeta> {
        self.state(|state| state.set(name, request))
    }

    async fn delete_secret(&self, name: &SecretName) -> Result<DeleteOutcome> {
        Ok(self.state(|state| state.delete(name)))
    }
}

#[async_trait]
impl SecretVersions for MemorySecretStore {
    fn list_secret_versions(&self, name: &SecretName) -> ItemStream<SecretVersion> {
        let operation = "secret_store.list_secret_versions";
        items::of(self.with(operation, name, |record, _| Ok(record.versions())))
    }

    async fn read_secret_version(
        &self,
        name: &SecretName,
        version: &SecretVersionId,
    ) -> Result<SecretValue> {
        let operation = "secret_store.read_secret_version";
        self.with(operation, name, |record, _| record.read_version(version))
    }
}

#[async_trait]
impl RotateSecrets for MemorySecretStore {
    async fn rotate_secret(
        &self,
        name: &SecretName,
        idempotency_key: Option<IdempotencyKey>,
    ) -> Result<Rotation> {
        let operation = "secret_store.rotate_secret";
        self.with(operation, name, |record, numbers| {
            record.start_rotation(idempotency_key, numbers)
        })
    }

    async fn rotation(&self, name: &SecretName) -> Result<Rotation> {
        let operation = "secret_store.rotation";
        self.with(operation, name, |record, numbers| {
            let seen = record.rotation();
            record.finish_rotation(numbers.now);
            Ok(seen)
        })
    }
}

#[async_trait]
impl RestoreSecrets for MemorySecretStore {
    async fn restore_secret(&self, name: &SecretName) -> Result<SecretMeta> {
        self.state(|state| state.restore(name))
    }
}
