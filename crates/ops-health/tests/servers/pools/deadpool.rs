//! A pool of `deadpool`.

use deadpool_postgres::{Hook, Manager, Pool};
use ops_health::checks::{PoolCounters, PoolReturns};
use ops_testkit::{Pg, wait_until};
use tokio_postgres::NoTls;

use super::{HEALTHY, HELD, SATURATED, STUCK, check, until, while_busy};
use crate::support::seconds;

/// Two connections; what comes back is noted.
fn pool(pg: &Pg) -> (Pool, PoolReturns) {
    let returns = PoolReturns::new();
    let noted = returns.clone();
    let manager = Manager::new(pg.url("postgres").parse().unwrap(), NoTls);
    let note = Hook::sync_fn(move |_, _| {
        noted.note();
        Ok(())
    });
    let pool = Pool::builder(manager).max_size(2).post_recycle(note);
    (pool.build().unwrap(), returns)
}

async fn hold(pool: Pool) {
    loop {
        let client = pool.get().await.unwrap();
        client.simple_query("SELECT 1").await.unwrap();
        tokio::time::sleep(HELD).await;
    }
}

#[tokio::test]
async fn a_pool_whose_connections_never_come_back_is_stuck_until_one_does() {
    let Some(pg) = Pg::start().await else { return };
    let (pool, returns) = pool(&pg);
    let check = check(returns.of(pool.clone()));
    let held = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let usage = pool.usage();
    assert_eq!((usage.in_use, usage.max, usage.waiters), (2, 2, 0));
    assert_eq!(usage.since_last_return, None);
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.is_ok() }
    });
    wait_until("one to wait", seconds(5), async || {
        pool.usage().waiters == 1
    })
    .await;
    until(&check, STUCK).await;
    drop(held);
    assert!(waiter.await.unwrap());
    assert_eq!(pool.usage().in_use, 0);
    until(&check, HEALTHY).await;
}

#[tokio::test]
async fn a_busy_pool_is_saturated_and_not_stuck() {
    let Some(pg) = Pg::start().await else { return };
    let (pool, returns) = pool(&pg);
    let noted = check(returns.of(pool.clone()));
    let seen = while_busy(&noted, || hold(pool.clone())).await;
    assert!(
        seen.contains(&SATURATED) && !seen.contains(&STUCK),
        "{seen:?}"
    );
    until(&noted, HEALTHY).await;
    // Without the hook it cannot be known, and nothing is claimed.
    let plain = check(pool.clone());
    let seen = while_busy(&plain, || hold(pool.clone())).await;
    assert!(
        seen.contains(&SATURATED) && !seen.contains(&STUCK),
        "{seen:?}"
    );
}
