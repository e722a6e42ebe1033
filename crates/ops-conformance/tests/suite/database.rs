//! `Database`.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::Fixture;
use ops_conformance::async_trait;
use ops_conformance::database::{CASES, DatabaseFixture, Place};
use ops_conformance::memory::MemoryDatabaseFixture;
use ops_core::Database;

use crate::matrix::{each_case_is_failed_by_its_sabotage_alone, the_bare_provider_passes};

mod branches;
mod numbers;
mod provision;
mod sabotage;

use sabotage::Sabotaged;

mod reference {
    use ops_conformance::memory::MemoryDatabaseFixture;

    ops_conformance::database!(MemoryDatabaseFixture::new());
}

/// The account in memory behind a wrapper that does one thing wrong.
struct SabotagedFixture {
    memory: MemoryDatabaseFixture,
    database: Sabotaged,
}

impl SabotagedFixture {
    fn new(fault: &'static str) -> Self {
        let memory = MemoryDatabaseFixture::new();
        let database = Sabotaged::new(memory.memory().clone(), fault);
        Self { memory, database }
    }
}

#[async_trait]
impl Fixture for SabotagedFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.memory.advance(by).await
    }
}

#[async_trait]
impl DatabaseFixture for SabotagedFixture {
    fn database(&self) -> Arc<dyn Database> {
        Arc::new(self.database.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        if self.database.is_bare() {
            return &[];
        }
        self.memory.abilities()
    }

    async fn write(&self, place: &Place, text: &str) -> bool {
        match place {
            Place::Branch(_) if self.database.is("D-073") => {
                self.memory.write(&Place::Here, text).await;
            }
            Place::Here if self.database.is("D-074") => {
                for branch in self.database.made_branches() {
                    self.memory.write(&Place::Branch(branch), text).await;
                }
            }
            _ => {}
        }
        self.memory.write(place, text).await
    }

    async fn read(&self, place: &Place) -> Option<String> {
        self.memory.read(place).await
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn DatabaseFixture> {
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
