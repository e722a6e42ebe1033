//! What every hosting does, against the fake.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::hosting::HostingFixture;
use ops_conformance::{Fixture, Quirk, async_trait};
use ops_core::Hosting;
use ops_core::hosting::{DeployRequest, DeploySource};
use ops_core::id::AppId;
use ops_fly::Fly;

use crate::fake::Fake;

const QUIRKS: &[Quirk] = &[Quirk::skip(
    "H-041",
    "Fly has no idempotency keys for apps and keeps nothing of ours with one: a key is refused",
    "https://fly.io/docs/machines/api/apps-resource/",
)];

struct FlyFixture {
    fake: Fake,
    fly: Fly,
}

impl FlyFixture {
    fn start() -> Self {
        let fake = Fake::start();
        Self {
            fly: fake.fly(),
            fake,
        }
    }
}

#[async_trait]
impl Fixture for FlyFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.fake.clock.advance(by);
        true
    }
}

#[async_trait]
impl HostingFixture for FlyFixture {
    fn hosting(&self) -> Arc<dyn Hosting> {
        Arc::new(self.fly.clone())
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
        ]
    }

    fn refused_request(&self) -> Option<DeployRequest> {
        Some(DeployRequest::new(DeploySource::branch("main")))
    }

    async fn fail_next_deployment(&self, app: &AppId) -> bool {
        self.fake.state().app(app.as_str()).doomed = 1;
        true
    }

    async fn print(&self, app: &AppId, line: &str) -> bool {
        self.fake.state().print(app.as_str(), line, "app");
        true
    }
}

ops_conformance::hosting!(FlyFixture::start(), quirks: QUIRKS);
