//! `Hosting`.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::Fixture;
use ops_conformance::async_trait;
use ops_conformance::hosting::{CASES, HostingFixture};
use ops_conformance::memory::MemoryHostingFixture;
use ops_core::Hosting;
use ops_core::hosting::{CreateAppRequest, DeployRequest};
use ops_core::id::AppId;

use crate::matrix::{each_case_is_failed_by_its_sabotage_alone, the_bare_provider_passes};

mod abilities;
mod domains;
mod sabotage;

use sabotage::{Sabotaged, moon};

mod reference {
    use ops_conformance::memory::MemoryHostingFixture;

    ops_conformance::hosting!(MemoryHostingFixture::new());
}

/// The in-memory account behind a wrapper that does one thing wrong.
struct SabotagedFixture {
    memory: MemoryHostingFixture,
    hosting: Sabotaged,
}

impl SabotagedFixture {
    fn new(fault: &'static str) -> Self {
        let memory = MemoryHostingFixture::new();
        let hosting = Sabotaged::new(memory.memory().clone(), fault);
        Self { memory, hosting }
    }
}

#[async_trait]
impl Fixture for SabotagedFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.memory.advance(by).await
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(3)
    }
}

#[async_trait]
impl HostingFixture for SabotagedFixture {
    fn hosting(&self) -> Arc<dyn Hosting> {
        Arc::new(self.hosting.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        if self.hosting.is_bare() {
            return &[];
        }
        self.memory.abilities()
    }

    async fn new_app(&self) -> AppId {
        let hosting = if self.hosting.is_bare() {
            self.memory.hosting()
        } else {
            self.hosting()
        };
        let request = CreateAppRequest::new(self.unique("app"));
        let apps = hosting.as_create_apps().unwrap();
        apps.create_app(request).await.unwrap().id
    }

    fn refused_request(&self) -> Option<DeployRequest> {
        Some(moon(self.source(1)))
    }

    async fn fail_next_deployment(&self, app: &AppId) -> bool {
        self.memory.fail_next_deployment(app).await
    }

    async fn print(&self, app: &AppId, line: &str) -> bool {
        self.memory.print(app, line).await
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn HostingFixture> {
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
