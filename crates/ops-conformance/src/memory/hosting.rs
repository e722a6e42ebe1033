//! The fixture of [`MemoryHosting`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::hosting::{Hosting, LogSource};
use ops_core::id::AppId;
use ops_core::memory::MemoryHosting;
use ops_core::usage::{UsageItem, UsageUnit};

use super::ManualClock;
use crate::fixture::Fixture;
use crate::hosting::HostingFixture;

/// The fixture of [`MemoryHosting`].
#[derive(Debug)]
pub struct MemoryHostingFixture {
    clock: Arc<ManualClock>,
    hosting: MemoryHosting,
}

impl MemoryHostingFixture {
    /// An account without apps.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let hosting = MemoryHosting::with_clock(Arc::<ManualClock>::clone(&clock));
        hosting.set_usage(vec![
            UsageItem::new("builds", UsageUnit::Count, 3.0).with_included(100.0),
        ]);
        Self { clock, hosting }
    }

    /// The account.
    #[must_use]
    pub fn memory(&self) -> &MemoryHosting {
        &self.hosting
    }
}

impl Default for MemoryHostingFixture {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Fixture for MemoryHostingFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.clock.advance(by);
        true
    }
}

#[async_trait]
impl HostingFixture for MemoryHostingFixture {
    fn hosting(&self) -> Arc<dyn Hosting> {
        Arc::new(self.hosting.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &[
            "as_create_apps",
            "as_rollback",
            "as_scale",
            "as_env_vars",
            "as_app_secrets",
            "as_logs",
            "as_domains",
            "as_restart",
            "as_usage",
        ]
    }

    async fn fail_next_deployment(&self, app: &AppId) -> bool {
        let message = "the health check does not pass";
        self.hosting.fail_next_deployment(app, message).is_ok()
    }

    async fn print(&self, app: &AppId, line: &str) -> bool {
        self.hosting.print(app, LogSource::Stdout, line).is_ok()
    }
}
