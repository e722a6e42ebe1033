//! `Dns`.

use std::sync::Arc;

use ops_conformance::dns::{CASES, DnsFixture};
use ops_conformance::memory::MemoryDnsFixture;
use ops_conformance::{Fixture, async_trait};
use ops_core::dns::{Dns, DnsName};
use ops_core::id::ZoneId;

use crate::matrix::{each_case_is_failed_by_its_sabotage_alone, the_bare_provider_passes};

mod sabotage;

use sabotage::Sabotaged;

mod reference {
    use ops_conformance::memory::MemoryDnsFixture;

    ops_conformance::dns!(MemoryDnsFixture::new());
}

/// The zones in memory behind a wrapper that does one thing wrong.
struct SabotagedFixture {
    memory: MemoryDnsFixture,
    dns: Sabotaged,
}

impl SabotagedFixture {
    fn new(fault: &'static str) -> Self {
        let memory = MemoryDnsFixture::new();
        let dns = Sabotaged::new(memory.memory().clone(), fault);
        Self { memory, dns }
    }
}

impl Fixture for SabotagedFixture {}

#[async_trait]
impl DnsFixture for SabotagedFixture {
    fn dns(&self) -> Arc<dyn Dns> {
        Arc::new(self.dns.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        if self.dns.is_bare() {
            return &[];
        }
        self.memory.abilities()
    }

    async fn new_zone(&self) -> (ZoneId, DnsName) {
        self.memory.new_zone().await
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn DnsFixture> {
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
