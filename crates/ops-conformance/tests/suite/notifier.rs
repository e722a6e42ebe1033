//! `Notifier`.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::memory::MemoryNotifierFixture;
use ops_conformance::notifier::{CASES, NotifierFixture};
use ops_conformance::{Fixture, async_trait};
use ops_core::Timestamp;
use ops_core::id::DedupKey;
use ops_core::notifier::Notifier;

use crate::matrix::{each_case_is_failed_by_its_sabotage_alone, the_bare_provider_passes};

mod sabotage;

use sabotage::{CREDENTIAL, Sabotaged};

mod reference {
    use ops_conformance::memory::MemoryNotifierFixture;

    ops_conformance::notifier!(MemoryNotifierFixture::new());
}

mod short {
    use ops_conformance::memory::MemoryNotifierFixture;

    ops_conformance::notifier!(MemoryNotifierFixture::with_max_text_chars(160));
}

/// The destination in memory behind a wrapper that does one thing wrong.
struct SabotagedFixture {
    memory: MemoryNotifierFixture,
    notifier: Sabotaged,
}

impl SabotagedFixture {
    fn new(fault: &'static str) -> Self {
        let memory = MemoryNotifierFixture::with_max_text_chars(2_000);
        let notifier = Sabotaged::new(memory.memory().clone(), fault);
        Self { memory, notifier }
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
impl NotifierFixture for SabotagedFixture {
    fn notifier(&self) -> Arc<dyn Notifier> {
        Arc::new(self.notifier.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        if self.notifier.is_bare() {
            return &[];
        }
        self.memory.abilities()
    }

    fn now(&self) -> Timestamp {
        self.memory.now()
    }

    async fn received(&self) -> Option<Vec<String>> {
        let texts = self.memory.received().await?;
        Some(self.notifier.as_read(texts))
    }

    async fn open_alerts(&self) -> Option<Vec<DedupKey>> {
        let open = self.memory.open_alerts().await?;
        Some(self.notifier.as_kept(open))
    }

    async fn received_deploys(&self) -> Option<Vec<String>> {
        self.memory.received_deploys().await
    }

    async fn refuse_next(&self) -> bool {
        self.memory.refuse_next().await
    }

    async fn lose_next(&self) -> bool {
        self.memory.lose_next().await
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn NotifierFixture> {
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
