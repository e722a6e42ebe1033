//! `Monitor`.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::Fixture;
use ops_conformance::async_trait;
use ops_conformance::memory::MemoryMonitorFixture;
use ops_conformance::monitor::{CASES, MonitorFixture};
use ops_core::Timestamp;
use ops_core::id::{MonitorId, StatusPageId};
use ops_core::monitor::{ErrorEvent, Monitor, MonitorState};

use crate::matrix::{each_case_is_failed_by_its_sabotage_alone, the_bare_provider_passes};

mod checks;
mod heartbeats;
mod incidents;
mod sabotage;
mod signals;

use sabotage::Sabotaged;

mod reference {
    use ops_conformance::memory::MemoryMonitorFixture;

    ops_conformance::monitor!(MemoryMonitorFixture::new());
}

/// The account in memory behind a wrapper that does one thing wrong.
struct SabotagedFixture {
    memory: MemoryMonitorFixture,
    monitor: Sabotaged,
}

impl SabotagedFixture {
    fn new(fault: &'static str) -> Self {
        let memory = MemoryMonitorFixture::new();
        let monitor = Sabotaged::new(memory.memory().clone(), fault);
        Self { memory, monitor }
    }
}

#[async_trait]
impl Fixture for SabotagedFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.memory.advance(by).await
    }
}

#[async_trait]
impl MonitorFixture for SabotagedFixture {
    fn monitor(&self) -> Arc<dyn Monitor> {
        Arc::new(self.monitor.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        if self.monitor.is_bare() {
            return &[];
        }
        self.memory.abilities()
    }

    fn now(&self) -> Timestamp {
        self.memory.now()
    }

    async fn observe(&self, monitor: &MonitorId, state: MonitorState) -> bool {
        self.memory.observe(monitor, state).await
    }

    async fn new_page(&self) -> Option<StatusPageId> {
        self.memory.new_page().await
    }

    async fn received_errors(&self) -> Option<Vec<ErrorEvent>> {
        if self.monitor.is("M-061") {
            return Some(self.monitor.notes().events.clone());
        }
        self.memory.received_errors().await
    }

    async fn received_logs(&self) -> Option<Vec<String>> {
        self.memory.received_logs().await
    }

    async fn received_metrics(&self) -> Option<Vec<String>> {
        self.memory.received_metrics().await
    }

    async fn received_deploys(&self) -> Option<Vec<String>> {
        self.memory.received_deploys().await
    }

    async fn received_updates(&self, page: &StatusPageId) -> Option<Vec<String>> {
        self.memory.received_updates(page).await
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn MonitorFixture> {
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
