//! Pools of sessions on a real server, over loopback TCP.

use std::time::Duration;

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::bb8;
use deadpool_postgres::{ManagerConfig, RecyclingMethod};
use ops_core::database::{ConnectInfo, Host};
use ops_pool::{SessionPool, SessionPoolBuilder};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use tokio_postgres::{Client, NoTls};

use crate::Result;
use crate::peer::{Bb8, Deadpool, Mobc, Ours, Query, Sqlx};

/// As long as nobody should ever wait.
const LONG: Duration = Duration::from_mins(2);
const SELECT_1: &str = "SELECT 1";

pub(crate) type PgDeadpool = Deadpool<deadpool_postgres::Manager>;
pub(crate) type PgBb8 = Bb8<PostgresConnectionManager<NoTls>>;
pub(crate) type PgMobc = Mobc<Clients>;

impl Query for Ours {
    async fn select_1(session: &mut Self::Session<'_>) -> Result<()> {
        session.simple_query(SELECT_1).await?;
        Ok(())
    }
}

impl Query for PgDeadpool {
    async fn select_1(session: &mut Self::Session<'_>) -> Result<()> {
        session.simple_query(SELECT_1).await?;
        Ok(())
    }
}

impl Query for PgBb8 {
    async fn select_1(session: &mut Self::Session<'_>) -> Result<()> {
        session.simple_query(SELECT_1).await?;
        Ok(())
    }
}

impl Query for PgMobc {
    async fn select_1(session: &mut Self::Session<'_>) -> Result<()> {
        session.simple_query(SELECT_1).await?;
        Ok(())
    }
}

impl Query for Sqlx {
    async fn select_1(session: &mut Self::Session<'_>) -> Result<()> {
        sqlx::raw_sql(SELECT_1).execute(&mut **session).await?;
        Ok(())
    }
}

/// Makes clients for mobc, which has no manager for PostgreSQL of this generation.
#[derive(Clone, Debug)]
pub(crate) struct Clients(tokio_postgres::Config);

#[mobc::async_trait]
impl mobc::Manager for Clients {
    type Connection = Client;
    type Error = tokio_postgres::Error;

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.0.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn check(&self, client: Client) -> Result<Client, tokio_postgres::Error> {
        client.simple_query("").await?;
        Ok(client)
    }
}

/// Our pool, as it comes but for `change`.
pub(crate) fn ours(
    info: &ConnectInfo,
    size: usize,
    change: impl FnOnce(SessionPoolBuilder) -> SessionPoolBuilder,
) -> Result<Ours> {
    let builder = SessionPool::builder(info.clone()).pool_size(size);
    Ok(Ours(change(builder).build()?))
}

pub(crate) fn deadpool(
    info: &ConnectInfo,
    size: usize,
    recycling_method: RecyclingMethod,
) -> Result<PgDeadpool> {
    let config = ManagerConfig { recycling_method };
    let manager = deadpool_postgres::Manager::from_config(driver(info)?, NoTls, config);
    let pool = deadpool_postgres::Pool::builder(manager)
        .max_size(size)
        .runtime(deadpool::Runtime::Tokio1)
        .build()?;
    Ok(Deadpool(pool))
}

pub(crate) async fn bb8(info: &ConnectInfo, size: u32, checks: bool) -> Result<PgBb8> {
    let pool = bb8::Pool::builder()
        .max_size(size)
        .test_on_check_out(checks)
        .connection_timeout(LONG)
        .build(PostgresConnectionManager::new(driver(info)?, NoTls))
        .await?;
    Ok(Bb8(pool))
}

pub(crate) fn mobc(info: &ConnectInfo, size: u64) -> Result<PgMobc> {
    let pool = mobc::Pool::builder()
        .max_open(size)
        .max_idle(size)
        .test_on_check_out(false)
        .get_timeout(Some(LONG))
        .build(Clients(driver(info)?));
    Ok(Mobc(pool))
}

pub(crate) fn sqlx(
    info: &ConnectInfo,
    change: impl FnOnce(PgPoolOptions) -> PgPoolOptions,
) -> Result<Sqlx> {
    let (host, port) = address(info)?;
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(host)
        .port(port)
        .username(info.user.as_deref().unwrap_or_default())
        .database(info.database.as_deref().unwrap_or_default())
        .ssl_mode(PgSslMode::Disable);
    if let Some(password) = &info.password {
        options = options.password(password.expose());
    }
    let pool = PgPoolOptions::new().acquire_timeout(LONG);
    Ok(Sqlx(change(pool).connect_lazy_with(options)))
}

fn driver(info: &ConnectInfo) -> Result<tokio_postgres::Config> {
    let (host, port) = address(info)?;
    let mut config = tokio_postgres::Config::new();
    config.host(host).port(port);
    config.user(info.user.as_deref().unwrap_or_default());
    config.dbname(info.database.as_deref().unwrap_or_default());
    if let Some(password) = &info.password {
        config.password(password.expose());
    }
    Ok(config)
}

fn address(info: &ConnectInfo) -> Result<(&str, u16)> {
    match &info.host {
        Host::Tcp(host) => Ok((host, info.port)),
        _ => Err("the server does not listen on TCP".into()),
    }
}
