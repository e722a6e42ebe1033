//! What becomes of sessions that are given back: over a fake server, whose clock the tests
//! own and which is canceled as a real one is, and over real ones.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose preparation fails has failed"
)]

mod backend;
mod broken;
mod cancel;
mod counts;
mod hygiene;
mod kept;
mod killed;
mod pipelined;
mod polls;
mod rollback;
mod tls;
mod touched;
mod unfinished;

use std::sync::Arc;
use std::time::Duration;

use ops_pool::{OnDirty, Reset, Session, SessionPool, SessionPoolBuilder};
use ops_testkit::Pg;
use tokio_postgres::Client;

use backend::{Backend, ToBackend};

/// The modes that promise that nobody meets what another has left.
const CLEAN: [Reset; 4] = [
    Reset::DiscardAll,
    Reset::Pipelined,
    Reset::IfTouched,
    Reset::KeepPlans,
];
const POLICIES: [OnDirty; 2] = [OnDirty::Close, OnDirty::Rollback];

fn over(backend: &Arc<Backend>) -> SessionPoolBuilder {
    SessionPool::builder_with(Arc::new(ToBackend(Arc::clone(backend)))).pool_size(1)
}

/// A pool of one over a real server, so that the next caller gets what the one before has
/// left.
fn one(pg: &Pg) -> SessionPoolBuilder {
    SessionPool::builder(pg.connect_info("postgres"))
        .pool_size(1)
        .query_wait_timeout(Duration::from_secs(20))
}

async fn pid(client: &Client) -> i32 {
    number(client, "SELECT pg_backend_pid()").await
}

async fn number(client: &Client, sql: &str) -> i32 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Gives a session back by dropping it, and takes the next.
async fn next_after(pool: &SessionPool, session: Session) -> Session {
    drop(session);
    pool.acquire().await.unwrap()
}

/// Begins a query and drops it once the server runs it.
async fn abandon(observer: &Client, session: &Session, sql: &str) {
    let pid = pid(session).await;
    let runs = format!(
        "SELECT count(*)::int FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'"
    );
    let mut query = std::pin::pin!(session.batch_execute(sql));
    tokio::select! {
        _ = &mut query => panic!("{sql} is over already"),
        () = ops_testkit::wait_until("the query to run", Duration::from_secs(5), async || {
            number(observer, &runs).await == 1
        }) => {}
    }
}
