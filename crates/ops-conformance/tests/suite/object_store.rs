//! `ObjectStore`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ops_conformance::Fixture;
use ops_conformance::async_trait;
use ops_conformance::memory::MemoryObjectStoreFixture;
use ops_conformance::object_store::{CASES, ObjectStoreFixture};
use ops_core::{ObjectStore, Result, Secret};

use crate::matrix::{each_case_is_failed_by_its_sabotage_alone, the_bare_provider_passes};

mod abilities;
mod sabotage;
mod stream;
mod versions;

use sabotage::Sabotaged;

mod reference {
    use ops_conformance::memory::MemoryObjectStoreFixture;

    ops_conformance::object_store!(MemoryObjectStoreFixture::new());
}

/// As if parts were small, so that a matrix of cases is quick.
const PART: usize = 200_000;

/// The bucket in memory behind a wrapper that does one thing wrong.
struct SabotagedFixture {
    memory: MemoryObjectStoreFixture,
    store: Sabotaged,
}

impl SabotagedFixture {
    fn new(fault: &'static str) -> Self {
        let memory = MemoryObjectStoreFixture::new();
        let store = Sabotaged::new(memory.memory().clone(), fault);
        Self { memory, store }
    }
}

#[async_trait]
impl Fixture for SabotagedFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.memory.advance(by).await
    }
}

#[async_trait]
impl ObjectStoreFixture for SabotagedFixture {
    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.store.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        if self.store.is_bare() {
            return &[];
        }
        self.memory.abilities()
    }

    fn more_than_a_page(&self) -> usize {
        60
    }

    fn several_parts(&self) -> usize {
        2 * PART + PART / 5 + 1
    }

    fn full_parts(&self) -> Vec<usize> {
        vec![PART, 2 * PART]
    }

    async fn pending_uploads(&self) -> Option<usize> {
        Some(self.memory.pending_uploads().await? + self.store.notes().leaked)
    }

    async fn fetch(&self, url: &Secret) -> Option<Result<Bytes>> {
        let read = self.memory.fetch(url).await?;
        if self.store.is("O-113") && read.is_err() {
            return Some(Ok(Bytes::new()));
        }
        Some(read)
    }

    async fn send(&self, url: &Secret, data: Bytes) -> Option<Result<()>> {
        let sent = self.memory.send(url, data).await?;
        if self.store.is("O-112") && sent.is_err() {
            return Some(Ok(()));
        }
        Some(sent)
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn ObjectStoreFixture> {
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
