//! What the tests share.

use std::sync::Arc;
use std::time::Duration;

use ops_backup::{Backup, BackupBuilder, DrillOptions, Encryption, Unlock};
use ops_core::database::{
    ConnectInfo, Database, DatabaseDescription, DatabaseState, Engine, Ping, Role,
};
use ops_core::{ObjectStore, ProviderId, Result, async_trait};
use ops_local::{Durability, Local};
use ops_pg::binaries::Finder;
use ops_testkit::Pg;

/// A database that is where it is said to be.
#[derive(Debug)]
pub struct At(pub ConnectInfo);

#[async_trait]
impl Database for At {
    fn provider(&self) -> ProviderId {
        "test".into()
    }

    async fn describe(&self) -> Result<DatabaseDescription> {
        Ok(DatabaseDescription::new(
            Engine::Postgres,
            "",
            DatabaseState::Available,
        ))
    }

    async fn connect_info(&self) -> Result<ConnectInfo> {
        Ok(self.0.clone())
    }

    async fn ping(&self) -> Result<Ping> {
        Ok(Ping::new(Duration::ZERO, Role::Unknown))
    }
}

/// A key pair of age, made for one test.
pub struct Keys {
    pub recipient: String,
    pub identity: String,
}

impl Keys {
    pub fn generate() -> Self {
        use age::secrecy::ExposeSecret;
        let identity = age::x25519::Identity::generate();
        Self {
            recipient: identity.to_public().to_string(),
            identity: identity.to_string().expose_secret().to_owned(),
        }
    }
}

/// A store in a folder of its own, and what is needed to back up into it.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub store: Arc<dyn ObjectStore>,
    pub keys: Keys,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Local::builder(folder.path().join("store"))
            .create(true)
            .durability(Durability::None)
            .build()
            .unwrap();
        Self {
            folder,
            store: Arc::new(store),
            keys: Keys::generate(),
        }
    }

    /// An engine with everything chosen that a test seldom cares about.
    pub fn builder(&self, source: ConnectInfo) -> BackupBuilder {
        Backup::builder(Arc::new(At(source)), Arc::clone(&self.store))
            .encryption(Encryption::recipients([&self.keys.recipient]).unwrap())
            .unlock(Unlock::identity(self.keys.identity.as_str()))
            .finder(Finder::from_env())
    }

    pub fn backup(&self, source: ConnectInfo) -> Backup {
        self.builder(source).build().unwrap()
    }

    pub fn drill_options(&self) -> DrillOptions {
        DrillOptions::new()
    }
}

/// Starts a server with a small database of several kinds of things.
pub async fn small_database() -> Option<Pg> {
    let pg = Pg::start().await?;
    pg.create_database("shop").await;
    let client = pg.client("shop").await;
    client.batch_execute(SMALL).await.unwrap();
    Some(pg)
}

const SMALL: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mood mood, photo bytea);
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, total numeric(10, 2), at timestamptz);
CREATE TABLE "Empty Table" ("select" int);
INSERT INTO customers (name, mood, photo)
    SELECT 'customer ' || i, (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, decode(md5(i::text), 'hex')
    FROM generate_series(1, 5000) i;
INSERT INTO orders (customer, total, at)
    SELECT 1 + i % 5000, i / 100.0, '2026-01-01 00:00:00+00'::timestamptz + i * interval '1 minute'
    FROM generate_series(1, 20000) i;
INSERT INTO customers (name) VALUES (E'tab\there\\. newline\nand \\N');
SELECT lo_from_bytea(0, decode(repeat('c0ffee', 100000), 'hex'));
CREATE VIEW rich AS SELECT customer, sum(total) FROM orders GROUP BY customer;
CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT a + b; -- ; ''quoted''';
"#;
