//! The pool over real servers.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose preparation fails has failed"
)]

mod budget;
mod dirty;
mod outage;
mod reset;
mod settings;
mod tls;

use ops_pool::{Session, SessionPool, SessionPoolBuilder};
use ops_testkit::Pg;
use tokio_postgres::Client;

/// A pool of one, so that the next caller gets what the one before has left.
fn one(pg: &Pg) -> SessionPoolBuilder {
    SessionPool::builder(pg.connect_info("postgres")).pool_size(1)
}

async fn pid(client: &Client) -> i32 {
    client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0)
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Gives a session back by dropping it, and says which backend the next caller has.
async fn next_after(pool: &SessionPool, session: Session) -> Session {
    drop(session);
    pool.acquire().await.unwrap()
}
