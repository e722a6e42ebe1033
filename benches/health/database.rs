//! The PostgreSQL server behind the checks and behind the business.

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use ops_core::database::{ConnectInfo, Engine, Host, TlsMode, TlsSettings};
use ops_testkit::Pg;
use tokio_postgres::{Client, NoTls};

use crate::Result;

/// The role of whoever looks after the health of the service.
pub(crate) const PROBER: &str = "prober";
/// The role of the business.
pub(crate) const BUSINESS: &str = "business";
const DATABASE: &str = "bench";

pub(crate) struct Database {
    pub(crate) pg: Pg,
    pub(crate) port: u16,
    /// A session of the superuser.
    pub(crate) admin: Client,
}

impl Database {
    pub(crate) async fn start() -> Result<Self> {
        let builder = Pg::builder()
            .setting("max_connections", "100")
            .setting("shared_preload_libraries", "pg_stat_statements")
            .tcp(true);
        let Some(pg) = builder.start().await else {
            return Err("no PostgreSQL: run cargo xtask setup".into());
        };
        pg.create_database(DATABASE).await;
        let admin = pg.client(DATABASE).await;
        admin
            .batch_execute(&format!(
                "CREATE EXTENSION pg_stat_statements;
                 CREATE ROLE {PROBER} LOGIN;
                 CREATE ROLE {BUSINESS} LOGIN;
                 GRANT ALL ON SCHEMA public TO {BUSINESS};"
            ))
            .await?;
        Ok(Self {
            port: pg.port(),
            pg,
            admin,
        })
    }

    /// How many statements the role [`PROBER`] has sent.
    pub(crate) async fn probes(&self) -> Result<f64> {
        let sum = "SELECT coalesce(sum(calls), 0)::float8 FROM pg_stat_statements
                   WHERE userid = (SELECT oid FROM pg_roles WHERE rolname = $1)";
        Ok(self.admin.query_one(sum, &[&PROBER]).await?.try_get(0)?)
    }

    /// A program of the server's installation, as the role of the business.
    pub(crate) fn pgbench(&self) -> Result<tokio::process::Command> {
        let mut command = tokio::process::Command::new(self.pg.binaries().program("pgbench")?);
        command
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", BUSINESS, DATABASE])
            .kill_on_drop(true);
        Ok(command)
    }
}

pub(crate) fn info(port: u16, role: &str) -> ConnectInfo {
    ConnectInfo::new(Engine::Postgres, Host::Tcp("127.0.0.1".into()), port)
        .with_user(role)
        .with_database(DATABASE)
        .with_tls(TlsSettings::new(TlsMode::Disable))
}

/// The pool of a handler that asks the database.
pub(crate) fn pool(port: u16, size: usize) -> Result<Pool> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port);
    config.user(PROBER).dbname(DATABASE);
    let manager = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(config, NoTls, manager);
    Ok(Pool::builder(manager).max_size(size).build()?)
}
