//! The fixture of [`MemorySecretStore`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::id::SecretName;
use ops_core::memory::MemorySecretStore;
use ops_core::secret_store::{ReadSecrets, SecretStore, SetSecretRequest, WriteSecrets};

use super::ManualClock;
use crate::fixture::Fixture;
use crate::secret_store::SecretStoreFixture;

/// The fixture of [`MemorySecretStore`].
#[derive(Debug)]
pub struct MemorySecretStoreFixture {
    clock: Arc<ManualClock>,
    /// What the vendor keeps.
    whole: MemorySecretStore,
    /// How the provider sees it.
    view: MemorySecretStore,
    abilities: &'static [&'static str],
}

impl MemorySecretStoreFixture {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let whole = MemorySecretStore::with_clock(Arc::<ManualClock>::clone(&clock));
        Self {
            clock,
            view: whole.clone(),
            whole,
            abilities: &[
                "as_read_secrets",
                "as_write_secrets",
                "as_secret_versions",
                "as_rotate_secrets",
                "as_restore_secrets",
            ],
        }
    }

    /// An empty store whose values go in and never come out, as that of a CI system.
    #[must_use]
    pub fn write_only() -> Self {
        let mut fixture = Self::new();
        fixture.view = fixture.view.without_reading();
        fixture.abilities = &[
            "as_write_secrets",
            "as_rotate_secrets",
            "as_restore_secrets",
        ];
        fixture
    }

    /// An empty store that somebody else writes, as a file.
    #[must_use]
    pub fn read_only() -> Self {
        let mut fixture = Self::new();
        fixture.view = fixture.view.without_writing();
        fixture.abilities = &["as_read_secrets", "as_secret_versions"];
        fixture
    }

    /// The store.
    #[must_use]
    pub fn memory(&self) -> &MemorySecretStore {
        &self.whole
    }
}

impl Default for MemorySecretStoreFixture {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Fixture for MemorySecretStoreFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.clock.advance(by);
        true
    }
}

#[async_trait]
impl SecretStoreFixture for MemorySecretStoreFixture {
    fn store(&self) -> Arc<dyn SecretStore> {
        Arc::new(self.view.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        self.abilities
    }

    async fn seed(&self, name: &SecretName, value: &str) -> bool {
        let set = self.whole.set_secret(name, SetSecretRequest::new(value));
        set.await.is_ok()
    }

    async fn kept(&self, name: &SecretName) -> Option<String> {
        let read = self.whole.read_secret(name).await.ok()?;
        Some(read.value.expose().to_owned())
    }

    async fn configure_rotation(&self, name: &SecretName) -> bool {
        let day = Duration::from_secs(24 * 60 * 60);
        self.whole.configure_rotation(name, day).is_ok()
    }
}
