//! The fixture of [`MemoryCdn`].

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::cdn::Cdn;
use ops_core::memory::MemoryCdn;

use crate::cdn::CdnFixture;
use crate::fixture::Fixture;

const HOST: &str = "shop.example";

/// The fixture of [`MemoryCdn`].
#[derive(Debug)]
pub struct MemoryCdnFixture(MemoryCdn);

impl MemoryCdnFixture {
    /// A cache whose purges are done at once.
    #[must_use]
    pub fn new() -> Self {
        Self(MemoryCdn::new([HOST]))
    }

    /// A cache whose purges take time.
    #[must_use]
    pub fn slow() -> Self {
        Self(MemoryCdn::new([HOST]).slow())
    }

    /// The cache.
    #[must_use]
    pub fn memory(&self) -> &MemoryCdn {
        &self.0
    }
}

impl Default for MemoryCdnFixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture for MemoryCdnFixture {}

#[async_trait]
impl CdnFixture for MemoryCdnFixture {
    fn cdn(&self) -> Arc<dyn Cdn> {
        Arc::new(self.0.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &["as_purge_tags", "as_purge_hosts", "as_purge_status"]
    }

    fn host(&self) -> String {
        HOST.to_owned()
    }

    async fn cache(&self, url: &str, tags: &[&str]) -> bool {
        self.0.cache(url, tags).is_ok()
    }

    async fn is_cached(&self, url: &str) -> bool {
        self.0.cached().iter().any(|cached| cached == url)
    }

    fn knows_keys(&self) -> bool {
        true
    }
}
