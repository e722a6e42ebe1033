//! More callers than connections: lanes, the reserve, bounds of the queue, self-deadlock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::{ErrorKind, Retry};
use ops_pool::{Acquire, AcquireError, CloseReason, Lane, Released, SessionPool};

use crate::server::{Fake, Login};
use crate::{all_of, over, settle};

/// Acquires in a lane, notes that it was served, and gives the session back.
fn call(pool: &SessionPool, lane: &'static str, order: &Arc<Mutex<Vec<&'static str>>>) {
    let (pool, order) = (pool.clone(), Arc::clone(order));
    tokio::spawn(async move {
        let how = Acquire::new().lane(lane);
        let session = pool.acquire_with(how).await.unwrap();
        order.lock().unwrap().push(lane);
        assert_eq!(session.release().await, Released::Clean);
    });
}

#[tokio::test(start_paused = true)]
async fn lanes_take_turns_by_their_weight() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(1)
        .lane(Lane::new("default").weight(3))
        .lane(Lane::new("jobs"))
        .build()
        .unwrap();
    let held = pool.acquire().await.unwrap();
    let order = Arc::default();
    for _ in 0..4 {
        call(&pool, "jobs", &order);
    }
    settle().await;
    for _ in 0..8 {
        call(&pool, "default", &order);
    }
    settle().await;
    let lanes = pool.snapshot().lanes;
    assert_eq!((lanes[0].waiting, lanes[1].waiting), (8, 4));
    drop(held);
    settle().await;
    let order = order.lock().unwrap();
    let turns: Vec<&str> = order.chunk_by(|a, b| a == b).map(|turn| turn[0]).collect();
    let lengths: Vec<usize> = order.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
    assert_eq!(
        turns,
        ["default", "jobs", "default", "jobs", "default", "jobs"]
    );
    // The first turn began with the caller who waited for the connection to be opened.
    assert_eq!(lengths, [2, 1, 3, 1, 3, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_reserved_for_a_lane_no_other_takes() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(3)
        .lane(Lane::new("console").reserved(1))
        .build()
        .unwrap();
    let _two = all_of(&pool, 2).await;
    let none = Acquire::new().timeout(Duration::from_secs(1));
    let err = pool.acquire_with(none).await.unwrap_err();
    assert!(matches!(err, AcquireError::Timeout(_)), "{err:?}");
    let console = Acquire::new()
        .lane("console")
        .timeout(Duration::from_secs(1));
    let console = pool.acquire_with(console).await.unwrap();
    assert_eq!(console.release().await, Released::Clean);
    assert_eq!(pool.snapshot().idle, 1);
    let again = Acquire::new().timeout(Duration::from_secs(1));
    assert!(
        pool.acquire_with(again).await.is_err(),
        "not while it is idle either"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_not_there_is_named() {
    let fake = Fake::new();
    let pool = over(&fake).build().unwrap();
    let err = pool
        .acquire_with(Acquire::new().lane("jobs"))
        .await
        .unwrap_err();
    assert_eq!(err.to_string(), "the pool has no lane \"jobs\"");
    assert_eq!(ops_core::Error::from(err).kind(), ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn the_reserve_is_for_callers_who_have_waited_for_long() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(1)
        .reserve_pool_size(1)
        .reserve_pool_timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let _held = pool.acquire().await.unwrap();
    let begun = tokio::time::Instant::now();
    let second = pool.acquire().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(5));
    assert!(begun.elapsed() < Duration::from_millis(5100));
    assert_eq!(pool.snapshot().totals.reserve_connects, 1);
    let none = Acquire::new().timeout(Duration::from_secs(30));
    assert!(
        pool.acquire_with(none).await.is_err(),
        "the reserve is used up"
    );
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_full_refuses_at_once() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(1)
        .max_waiting(Some(2))
        .build()
        .unwrap();
    let _held = pool.acquire().await.unwrap();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    settle().await;
    let begun = tokio::time::Instant::now();
    let err = pool.acquire().await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let AcquireError::QueueFull(report) = &err else {
        panic!("{err:?}")
    };
    assert_eq!((report.waiting, report.active), (2, 1));
    let err = ops_core::Error::from(err);
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::RateLimited, Retry::Safe)
    );
    for task in waiting {
        task.abort();
    }
}

/// A pool of one connection whose callers keep it for 100 ms each.
async fn busy(pool: &SessionPool, callers: usize) {
    for _ in 0..callers {
        let pool = pool.clone();
        tokio::spawn(async move {
            if let Ok(session) = pool.acquire().await {
                tokio::time::sleep(Duration::from_millis(100)).await;
                drop(session);
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_served_in_time_is_refused_at_once() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).shed(true).build().unwrap();
    busy(&pool, 60).await;
    // 40 are left, 100 ms each.
    let begun = tokio::time::Instant::now();
    let how = Acquire::new().timeout(Duration::from_secs(1));
    let err = pool.acquire_with(how).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let AcquireError::Overloaded { expected, .. } = &err else {
        panic!("{err:?}")
    };
    assert!(
        (Duration::from_secs(3)..Duration::from_secs(5)).contains(expected),
        "{expected:?}"
    );
    let patient = Acquire::new().timeout(Duration::from_secs(10));
    pool.acquire_with(patient).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_shedding_the_same_caller_waits_in_vain() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    busy(&pool, 60).await;
    let how = Acquire::new().timeout(Duration::from_secs(1));
    let err = pool.acquire_with(how).await.unwrap_err();
    assert!(matches!(err, AcquireError::Timeout(_)), "{err:?}");
}

/// Runs as a task of its own: a test's main future is none.
async fn as_a_task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(work).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_itself_is_told_so() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    let err = as_a_task(async move {
        let _outer = pool.acquire().await.unwrap();
        pool.acquire().await.unwrap_err()
    })
    .await;
    let AcquireError::NestedAcquire(report) = &err else {
        panic!("{err:?}")
    };
    assert_eq!(report.waited, Duration::from_secs(120));
    assert_eq!(report.holders.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_all_wait_for_each_other_are_refused_at_once_where_that_is_asked_for() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(2)
        .refuse_nested(true)
        .build()
        .unwrap();
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (pool, both) = (pool.clone(), Arc::clone(&both));
            tokio::spawn(async move {
                let outer = pool.acquire().await.unwrap();
                both.wait().await;
                let inner = pool.acquire().await.map(drop);
                drop(outer);
                inner
            })
        })
        .collect();
    let begun = tokio::time::Instant::now();
    let mut refused = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => {}
            Err(AcquireError::NestedAcquire(_)) => refused += 1,
            Err(err) => panic!("{err:?}"),
        }
    }
    assert_eq!(
        refused, 1,
        "the other one gets what the refused one gave back"
    );
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_gave_its_session_away_does_not_wait_for_itself() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    let err = as_a_task(async move {
        let session = pool.acquire().await.unwrap();
        tokio::spawn(async move {
            session.batch_execute("SELECT 1").await.unwrap();
            std::future::pending::<()>().await;
        });
        settle().await;
        pool.acquire().await.unwrap_err()
    })
    .await;
    assert!(matches!(err, AcquireError::Timeout(_)), "{err:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_not_come_back_is_told_of_once() {
    let fake = Fake::new();
    let pool = over(&fake)
        .leak_threshold(Some(Duration::from_secs(10)))
        .build()
        .unwrap();
    let lost = pool.acquire().await.unwrap();
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(pool.snapshot().totals.leaks, 0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(pool.snapshot().totals.leaks, 1);
    drop(lost);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_idle_for_long_is_checked_before_somebody_gets_it() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(1)
        .server_check_delay(Some(Duration::from_secs(30)))
        .build()
        .unwrap();
    drop(pool.acquire().await.unwrap());
    settle().await;
    drop(pool.acquire().await.unwrap());
    settle().await;
    assert_eq!(pool.snapshot().totals.checks, 0);
    tokio::time::sleep(Duration::from_secs(31)).await;
    drop(pool.acquire().await.unwrap());
    assert_eq!(pool.snapshot().totals.checks, 1);
    assert_eq!(fake.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_its_check_is_replaced_and_the_caller_notices_nothing() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(1)
        .server_check_delay(Some(Duration::from_secs(30)))
        .server_check_query("HANG")
        .reset_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(Duration::from_secs(31)).await;
    let begun = tokio::time::Instant::now();
    let session = pool.acquire().await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1100));
    session.batch_execute("SELECT 1").await.unwrap();
    assert_eq!(fake.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn round_robin_uses_the_connection_that_was_idle_for_longest() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(2)
        .server_round_robin(true)
        .server_idle_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    drop(all_of(&pool, 2).await);
    // Each is used every six seconds, so none is idle for ten.
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        drop(pool.acquire().await.unwrap());
        settle().await;
    }
    assert_eq!(fake.standing(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_whose_turn_comes_while_the_server_is_slow_keeps_its_place() {
    let fake = Fake::new();
    fake.set_login(Login::Takes(Duration::from_secs(2)));
    let pool = over(&fake).pool_size(1).build().unwrap();
    let first = pool.acquire().await.unwrap();
    let how = Acquire::new().timeout(Duration::from_secs(1));
    assert!(pool.acquire_with(how).await.is_err());
    fake.kill();
    settle().await;
    assert_eq!(
        first.release().await,
        Released::Closed(CloseReason::ServerGone)
    );
    pool.acquire().await.unwrap();
}
