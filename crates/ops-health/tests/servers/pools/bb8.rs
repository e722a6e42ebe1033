//! A pool of `bb8`.

use std::time::Duration;

use bb8::Pool;
use bb8_postgres::PostgresConnectionManager;
use ops_health::checks::{Bb8Counters, PoolCounters};
use ops_testkit::{Pg, wait_until};
use tokio_postgres::NoTls;

use super::{HEALTHY, HELD, SATURATED, STUCK, check, found, until, while_busy};
use crate::support::seconds;

type Connections = PostgresConnectionManager<NoTls>;

/// Two connections, and callers who wait for so long.
async fn pool(pg: &Pg, patience: Duration) -> Pool<Connections> {
    let manager = Connections::new_from_stringlike(pg.url("postgres"), NoTls).unwrap();
    let pool = Pool::builder().max_size(2).connection_timeout(patience);
    pool.build(manager).await.unwrap()
}

#[tokio::test]
async fn a_pool_whose_connections_never_come_back_is_stuck_however_many_give_up() {
    let Some(pg) = Pg::start().await else { return };
    let pool = pool(&pg, Duration::from_millis(50)).await;
    let counters = Bb8Counters::new(pool.clone());
    let check = check(Bb8Counters::new(pool.clone()));
    // To connect may take longer than their patience.
    let patient = async || loop {
        if let Ok(connection) = pool.get().await {
            break connection;
        }
    };
    let held = (patient().await, patient().await);
    let usage = counters.usage();
    assert_eq!((usage.in_use, usage.max, usage.waiters), (2, 2, 0));
    // They come without end, and each leaves without a connection.
    let callers = tokio::spawn({
        let pool = pool.clone();
        async move { while pool.get().await.is_err() {} }
    });
    until(&check, STUCK).await;
    assert_eq!(counters.usage().waiters, 1);
    drop(held);
    callers.await.unwrap();
    until(&check, HEALTHY).await;
}

#[tokio::test]
async fn a_busy_pool_is_saturated_and_not_stuck() {
    let Some(pg) = Pg::start().await else { return };
    let pool = pool(&pg, seconds(10)).await;
    let check = check(Bb8Counters::new(pool.clone()));
    let seen = while_busy(&check, || {
        let pool = pool.clone();
        async move {
            loop {
                let client = pool.get().await.unwrap();
                client.simple_query("SELECT 1").await.unwrap();
                tokio::time::sleep(HELD).await;
            }
        }
    })
    .await;
    assert!(
        seen.contains(&SATURATED) && !seen.contains(&STUCK),
        "{seen:?}"
    );
    until(&check, HEALTHY).await;
}

#[tokio::test]
async fn a_caller_who_left_does_not_wait_for_ever() {
    let Some(pg) = Pg::start().await else { return };
    let pool = pool(&pg, seconds(10)).await;
    let counters = Bb8Counters::new(pool.clone());
    let held = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let impatient = tokio::time::timeout(Duration::from_millis(50), pool.get());
    assert!(impatient.await.is_err());
    drop(held);
    // What the pool itself says.
    assert_eq!(pool.state().statistics.pending_gets(), 1);
    wait_until("nobody to wait", seconds(5), async || {
        counters.usage().waiters == 0
    })
    .await;
    let _held = (pool.get().await.unwrap(), pool.get().await.unwrap());
    assert_eq!(counters.usage().waiters, 0);
    assert_eq!(found(&check(counters)).await, HEALTHY);
}
