//! What every object store does.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::object_store::ObjectStoreFixture;
use ops_conformance::{Fixture, async_trait};
use ops_core::ObjectStore;

use crate::support::Scratch;

struct LocalFixture(Scratch);

#[async_trait]
impl Fixture for LocalFixture {
    /// What is abandoned is removed by another thread.
    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[async_trait]
impl ObjectStoreFixture for LocalFixture {
    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.0.store.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &[]
    }

    async fn pending_uploads(&self) -> Option<usize> {
        Some(self.0.temporary_files())
    }
}

ops_conformance::object_store!(LocalFixture(Scratch::new()));
