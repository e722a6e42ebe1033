//! `SecretStore`.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::memory::MemorySecretStoreFixture;
use ops_conformance::secret_store::{CASES, SecretStoreFixture};
use ops_conformance::{Fixture, async_trait};
use ops_core::id::SecretName;
use ops_core::secret_store::SecretStore;

use crate::matrix::{each_case_is_failed_by_its_sabotage_alone, the_bare_provider_passes};

mod sabotage;

use sabotage::{CREDENTIAL, Sabotaged};

mod reference {
    use ops_conformance::memory::MemorySecretStoreFixture;

    ops_conformance::secret_store!(MemorySecretStoreFixture::new());
}

mod read_only {
    use ops_conformance::memory::MemorySecretStoreFixture;

    ops_conformance::secret_store!(MemorySecretStoreFixture::read_only());
}

mod write_only {
    use ops_conformance::memory::MemorySecretStoreFixture;

    ops_conformance::secret_store!(MemorySecretStoreFixture::write_only());
}

/// The store in memory behind a wrapper that does one thing wrong.
struct SabotagedFixture {
    memory: MemorySecretStoreFixture,
    store: Sabotaged,
}

impl SabotagedFixture {
    fn new(fault: &'static str) -> Self {
        let memory = MemorySecretStoreFixture::new();
        let store = Sabotaged::new(memory.memory().clone(), fault);
        Self { memory, store }
    }
}

#[async_trait]
impl Fixture for SabotagedFixture {
    fn credential(&self) -> Option<String> {
        Some(CREDENTIAL.to_owned())
    }

    async fn advance(&self, by: Duration) -> bool {
        self.memory.advance(by).await
    }
}

#[async_trait]
impl SecretStoreFixture for SabotagedFixture {
    fn store(&self) -> Arc<dyn SecretStore> {
        Arc::new(self.store.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        if self.store.is_bare() {
            return &[];
        }
        self.memory.abilities()
    }

    async fn seed(&self, name: &SecretName, value: &str) -> bool {
        self.memory.seed(name, value).await
    }

    async fn kept(&self, name: &SecretName) -> Option<String> {
        self.memory.kept(name).await
    }

    async fn configure_rotation(&self, name: &SecretName) -> bool {
        self.memory.configure_rotation(name).await
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn SecretStoreFixture> {
    Box::new(SabotagedFixture::new(fault))
}

#[test]
fn each_case_is_needed() {
    each_case_is_failed_by_its_sabotage_alone(CASES, sabotaged);
}

#[test]
fn a_provider_without_abilities_passes() {
    the_bare_provider_passes(CASES, sabotaged);
}
