//! What every database does.

use std::sync::Arc;

use ops_conformance::database::DatabaseFixture;
use ops_conformance::{Fixture, async_trait};
use ops_core::Database;
use ops_postgres::Postgres;
use ops_testkit::Pg;

/// A real server, where there is one.
struct PostgresFixture(Option<Pg>);

impl Fixture for PostgresFixture {
    fn unavailable(&self) -> Option<String> {
        self.0.is_none().then(|| "no PostgreSQL".to_owned())
    }
}

#[async_trait]
impl DatabaseFixture for PostgresFixture {
    fn database(&self) -> Arc<dyn Database> {
        let url = self.0.as_ref().unwrap().url("postgres");
        Arc::new(Postgres::from_url(&url).unwrap())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &[]
    }
}

ops_conformance::database!(PostgresFixture(Pg::start().await));
