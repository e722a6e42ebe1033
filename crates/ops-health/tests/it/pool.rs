//! The pool check on a real pool.

use std::time::Duration;

use ops_health::checks::{Pool, PoolCounters};
use ops_health::{Check, CheckCtx, Code, Status};
use ops_pool::SessionPool;
use ops_testkit::{Pg, wait_until};

use crate::support::seconds;

async fn run(check: &Pool) -> (Status, Code) {
    let outcome = Check::run(check, &CheckCtx::new(seconds(1))).await;
    (outcome.status(), outcome.code())
}

#[tokio::test]
async fn a_pool_whose_sessions_never_come_back_is_stuck_until_one_does() {
    let Some(pg) = Pg::start().await else { return };
    let pool = SessionPool::builder(pg.connect_info("postgres"))
        .pool_size(2)
        .build()
        .unwrap();
    let short = Duration::from_millis(300);
    let check = Pool::new(pool.clone()).stuck_after(short);
    assert_eq!(run(&check).await, (Status::Healthy, Code::Ok));

    let sessions = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let usage = pool.usage();
    assert_eq!((usage.in_use, usage.max, usage.waiters), (2, 2, 0));
    assert_eq!(run(&check).await, (Status::Healthy, Code::Ok));
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.is_ok() }
    });
    wait_until("the pool to be stuck", seconds(10), async || {
        run(&check).await == (Status::Unhealthy, Code::Exhausted)
    })
    .await;
    assert_eq!(pool.usage().waiters, 1);

    drop(sessions);
    assert!(waiter.await.unwrap());
    wait_until("the sessions to be reset", seconds(10), async || {
        pool.usage().in_use == 0
    })
    .await;
    assert_eq!(run(&check).await, (Status::Healthy, Code::Ok));
    assert!(pool.usage().since_last_return.is_some());
}
