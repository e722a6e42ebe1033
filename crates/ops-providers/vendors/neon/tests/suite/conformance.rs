//! What every database does, against the fake.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::database::{DatabaseFixture, Place};
use ops_conformance::{Fixture, Quirk, async_trait};
use ops_core::Database;
use ops_core::database::{DatabaseSize, TlsMode, TlsSettings};
use ops_neon::Neon;
use ops_testkit::Pg;

use crate::fake::{Branch, Fake, PROJECT};
use crate::server;

const PROJECTS: &str = "https://neon.com/docs/reference/api/projects/create-project.md";

const QUIRKS: &[Quirk] = &[
    Quirk::skip(
        "D-021",
        "Neon has no idempotency keys for projects: one is refused",
        PROJECTS,
    ),
    Quirk::skip(
        "D-022",
        "Neon makes a second project of the same name",
        PROJECTS,
    ),
    Quirk::skip(
        "D-023",
        "Neon makes a second project of the same name",
        PROJECTS,
    ),
];

struct NeonFixture {
    fake: Fake,
    neon: Neon,
    has_server: bool,
}

impl NeonFixture {
    async fn start() -> Self {
        let fake = Fake::start();
        fake.state().server = Some(server::on_demand().await);
        // The real server on loopback speaks plain text.
        let tls = TlsSettings::new(TlsMode::Disable);
        Self {
            neon: fake
                .builder()
                .tls(tls)
                .ping_timeout(Duration::from_secs(60))
                .build()
                .unwrap(),
            has_server: !Pg::available_majors().await.is_empty(),
            fake,
        }
    }

    fn at<T>(&self, place: &Place, work: impl FnOnce(&mut Branch) -> T) -> Option<T> {
        let mut state = self.fake.state();
        let branch = match place {
            Place::Here => state.project(PROJECT)?.default_branch(),
            Place::Instance(id) => state.project(id.as_str())?.default_branch(),
            Place::Branch(id) => state.project(PROJECT)?.branch(id.as_str())?,
            _ => return None,
        };
        Some(work(branch))
    }
}

#[async_trait]
impl Fixture for NeonFixture {
    fn unavailable(&self) -> Option<String> {
        (!self.has_server).then(|| "no PostgreSQL".to_owned())
    }

    async fn advance(&self, by: Duration) -> bool {
        self.fake.clock.advance(by);
        true
    }
}

#[async_trait]
impl DatabaseFixture for NeonFixture {
    fn database(&self) -> Arc<dyn Database> {
        Arc::new(self.neon.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &[
            "as_provision",
            "as_native_backups",
            "as_branching",
            "as_usage",
        ]
    }

    fn size(&self) -> Option<DatabaseSize> {
        Some(
            DatabaseSize::default()
                .with_min_cpu_millis(500)
                .with_max_cpu_millis(1_000),
        )
    }

    async fn write(&self, place: &Place, text: &str) -> bool {
        let now = ops_core::Clock::now(&self.fake.clock);
        self.at(place, |branch| branch.write(now, text)).is_some()
    }

    async fn read(&self, place: &Place) -> Option<String> {
        self.at(place, |branch| branch.read())?
    }
}

ops_conformance::database!(NeonFixture::start().await, quirks: QUIRKS);
