//! `Cdn`.

use std::sync::Arc;

use ops_conformance::cdn::{CASES, CdnFixture};
use ops_conformance::memory::MemoryCdnFixture;
use ops_conformance::{Fixture, async_trait};
use ops_core::cdn::Cdn;

use crate::matrix::{each_case_is_failed_by_its_sabotage_alone, the_bare_provider_passes};

mod sabotage;

use sabotage::{CREDENTIAL, Sabotaged};

mod reference {
    use ops_conformance::memory::MemoryCdnFixture;

    ops_conformance::cdn!(MemoryCdnFixture::new());
}

mod slow {
    use ops_conformance::memory::MemoryCdnFixture;

    ops_conformance::cdn!(MemoryCdnFixture::slow());
}

/// The cache in memory behind a wrapper that does one thing wrong.
pub(crate) struct SabotagedFixture {
    memory: MemoryCdnFixture,
    cdn: Sabotaged,
}

impl SabotagedFixture {
    pub(crate) fn new(fault: &'static str) -> Self {
        // Nobody can look at the purges of one without abilities.
        let memory = match fault {
            "bare" | "nameless" => MemoryCdnFixture::new(),
            _ => MemoryCdnFixture::slow(),
        };
        let cdn = Sabotaged::new(memory.memory().clone(), fault);
        Self { memory, cdn }
    }
}

impl Fixture for SabotagedFixture {
    fn credential(&self) -> Option<String> {
        Some(CREDENTIAL.to_owned())
    }
}

#[async_trait]
impl CdnFixture for SabotagedFixture {
    fn cdn(&self) -> Arc<dyn Cdn> {
        Arc::new(self.cdn.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        if self.cdn.is_bare() {
            return &[];
        }
        self.memory.abilities()
    }

    fn host(&self) -> String {
        self.memory.host()
    }

    async fn cache(&self, url: &str, tags: &[&str]) -> bool {
        self.memory.cache(url, tags).await
    }

    async fn is_cached(&self, url: &str) -> bool {
        self.memory.is_cached(url).await
    }

    fn knows_keys(&self) -> bool {
        true
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn CdnFixture> {
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
