//! The fixture of [`MemoryObjectStore`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ops_core::memory::MemoryObjectStore;
use ops_core::{ObjectStore, Result, Secret};

use super::ManualClock;
use crate::fixture::Fixture;
use crate::object_store::ObjectStoreFixture;

/// The fixture of [`MemoryObjectStore`].
#[derive(Debug)]
pub struct MemoryObjectStoreFixture {
    clock: Arc<ManualClock>,
    store: MemoryObjectStore,
}

impl MemoryObjectStoreFixture {
    /// An empty bucket, whose bodies come in pieces.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let store = MemoryObjectStore::builder()
            .clock(Arc::<ManualClock>::clone(&clock))
            .chunk_bytes(10_007)
            .build();
        Self { clock, store }
    }

    /// The bucket.
    #[must_use]
    pub fn memory(&self) -> &MemoryObjectStore {
        &self.store
    }
}

impl Default for MemoryObjectStoreFixture {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Fixture for MemoryObjectStoreFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.clock.advance(by);
        true
    }
}

#[async_trait]
impl ObjectStoreFixture for MemoryObjectStoreFixture {
    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.store.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &[
            "as_presign",
            "as_lifecycle",
            "as_versions",
            "as_object_lock",
            "as_bucket_admin",
        ]
    }

    async fn pending_uploads(&self) -> Option<usize> {
        Some(self.store.pending_uploads())
    }

    async fn fetch(&self, url: &Secret) -> Option<Result<Bytes>> {
        Some(self.store.presigned_get(url))
    }

    async fn send(&self, url: &Secret, data: Bytes) -> Option<Result<()>> {
        Some(self.store.presigned_put(url, data).map(drop))
    }
}
