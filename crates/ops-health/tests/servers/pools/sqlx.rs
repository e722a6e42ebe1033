//! A pool of `sqlx`.

use ops_health::checks::{PoolCounters, PoolReturns};
use ops_testkit::{Pg, wait_until};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::{HEALTHY, HELD, SATURATED, STUCK, check, until, while_busy};
use crate::support::seconds;

/// Two connections; what comes back is noted.
async fn pool(pg: &Pg) -> (PgPool, PoolReturns) {
    let returns = PoolReturns::new();
    let noted = returns.clone();
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .after_release(move |_, _| {
            noted.note();
            Box::pin(async { Ok(true) })
        });
    (pool.connect(&pg.url("postgres")).await.unwrap(), returns)
}

async fn hold(pool: PgPool) {
    loop {
        let mut connection = pool.acquire().await.unwrap();
        sqlx::query("SELECT 1")
            .execute(&mut *connection)
            .await
            .unwrap();
        tokio::time::sleep(HELD).await;
    }
}

#[tokio::test]
async fn a_pool_whose_connections_never_come_back_is_stuck_until_one_does() {
    // A URL of sqlx names a host.
    let Some(pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    let (pool, returns) = pool(&pg).await;
    let check = check(returns.of(pool.clone()));
    let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let usage = pool.usage();
    assert_eq!((usage.in_use, usage.max, usage.waiters), (2, 2, 0));
    assert_eq!(usage.since_last_return, None);
    until(&check, STUCK).await;
    drop(held);
    wait_until("both to come back", seconds(5), async || {
        pool.usage().in_use == 0
    })
    .await;
    until(&check, HEALTHY).await;
}

#[tokio::test]
async fn a_busy_pool_is_saturated_and_not_stuck() {
    // A URL of sqlx names a host.
    let Some(pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    let (pool, returns) = pool(&pg).await;
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
