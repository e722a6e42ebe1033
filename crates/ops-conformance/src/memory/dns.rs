//! The fixture of [`MemoryDns`].

#![expect(clippy::unwrap_used, reason = "the names of a fixture are names")]

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::dns::{Dns, DnsName};
use ops_core::id::ZoneId;
use ops_core::memory::MemoryDns;

use crate::dns::DnsFixture;
use crate::fixture::Fixture;

/// The fixture of [`MemoryDns`].
#[derive(Debug, Default)]
pub struct MemoryDnsFixture(MemoryDns);

impl MemoryDnsFixture {
    /// An account without zones.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The account.
    #[must_use]
    pub fn memory(&self) -> &MemoryDns {
        &self.0
    }
}

impl Fixture for MemoryDnsFixture {}

#[async_trait]
impl DnsFixture for MemoryDnsFixture {
    fn dns(&self) -> Arc<dyn Dns> {
        Arc::new(self.0.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &["as_zone_tls"]
    }

    async fn new_zone(&self) -> (ZoneId, DnsName) {
        let name = DnsName::new(format!("{}.example", self.unique("zone"))).unwrap();
        (self.0.seed_zone(name.as_str()).unwrap(), name)
    }
}
