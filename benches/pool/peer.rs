//! What every pool can do, in the words of the benchmark.

use std::error::Error;
use std::future::Future;

use bb8_postgres::bb8::{self, ManageConnection};
use ops_pool::{Session, SessionPool};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

use crate::Result;

/// A pool. Clones are the same pool.
pub(crate) trait Pool: Clone + Send + Sync + 'static {
    /// What is given back by dropping it.
    type Session<'a>: Send
    where
        Self: 'a;

    fn acquire(&self) -> impl Future<Output = Result<Self::Session<'_>>> + Send;
}

/// A pool of sessions on a real server.
pub(crate) trait Query: Pool {
    /// Runs `SELECT 1` as a simple query.
    fn select_1(session: &mut Self::Session<'_>) -> impl Future<Output = Result<()>> + Send;
}

/// Acquires as many sessions at once as there shall stand, and gives them back.
pub(crate) async fn warm<P: Pool>(pool: &P, count: usize) -> Result<()> {
    let sessions = (0..count).map(|_| pool.acquire());
    futures_util::future::try_join_all(sessions).await?;
    Ok(())
}

#[derive(Clone, Debug)]
pub(crate) struct Ours(pub(crate) SessionPool);

impl Pool for Ours {
    type Session<'a> = Session;

    async fn acquire(&self) -> Result<Session> {
        Ok(self.0.acquire().await?)
    }
}

pub(crate) struct Deadpool<M: deadpool::managed::Manager>(pub(crate) deadpool::managed::Pool<M>);

impl<M: deadpool::managed::Manager> Clone for Deadpool<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Pool for Deadpool<M>
where
    M: deadpool::managed::Manager<Error: Error + Send + Sync> + 'static,
    M::Type: Sync,
{
    type Session<'a> = deadpool::managed::Object<M>;

    async fn acquire(&self) -> Result<Self::Session<'_>> {
        Ok(self.0.get().await?)
    }
}

pub(crate) struct Bb8<M: ManageConnection>(pub(crate) bb8::Pool<M>);

impl<M: ManageConnection> Clone for Bb8<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Pool for Bb8<M>
where
    M: ManageConnection<Error: Error + Send + Sync>,
{
    type Session<'a> = bb8::PooledConnection<'a, M>;

    async fn acquire(&self) -> Result<Self::Session<'_>> {
        Ok(self.0.get().await?)
    }
}

pub(crate) struct Mobc<M: mobc::Manager>(pub(crate) mobc::Pool<M>);

impl<M: mobc::Manager> Clone for Mobc<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Pool for Mobc<M>
where
    M: mobc::Manager<Error: Error>,
{
    type Session<'a> = mobc::Connection<M>;

    async fn acquire(&self) -> Result<Self::Session<'_>> {
        Ok(self.0.get().await?)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Sqlx(pub(crate) PgPool);

impl Pool for Sqlx {
    type Session<'a> = PoolConnection<Postgres>;

    async fn acquire(&self) -> Result<Self::Session<'_>> {
        Ok(self.0.acquire().await?)
    }
}
