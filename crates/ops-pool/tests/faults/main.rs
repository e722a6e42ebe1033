//! Many callers, real servers, and a network that breaks: nothing leaks, nothing is dirty,
//! and everybody hears in time.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test whose preparation fails has failed, and figures are for whoever reads them"
)]

mod down;
mod failover;
mod load;
mod soak;

use std::time::Duration;

use ops_testkit::wait_until;
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(30);

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Waits until the server has so many sessions in a database.
async fn backends_become(observer: &Client, database: &str, expected: usize) {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    let what = format!("{expected} backends in {database}");
    wait_until(&what, PATIENCE, async || {
        number(observer, &sql).await == i64::try_from(expected).unwrap()
    })
    .await;
}
