//! Resets that go in front of the next session's first query.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use ops_pool::{CloseReason, Drain, OnDirty, Released, Reset, SessionPool};
use ops_testkit::Pg;
use tokio::time::{Instant, sleep};

use crate::backend::{Backend, How};
use crate::{next_after, one, over, pid, text};

fn pool(backend: &Arc<Backend>) -> SessionPool {
    over(backend).reset(Reset::Pipelined).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_reset_goes_out_with_the_next_first_query() {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("SET").await.unwrap();
    assert_eq!(session.release().await, Released::Clean);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(backend.log(), ["SET"]);

    let session = pool.acquire().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(backend.log(), ["SET"]);
    session.batch_execute("PROBE").await.unwrap();
    session.batch_execute("PROBE").await.unwrap();
    assert_eq!(backend.log(), ["SET", "DISCARD ALL", "PROBE", "PROBE"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_used_costs_no_reset_and_saves_none() {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("SET").await.unwrap();
    drop(session);
    for _ in 0..3 {
        drop(pool.acquire().await.unwrap());
    }
    assert_eq!(backend.log(), ["SET"]);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("PROBE").await.unwrap();
    assert_eq!(backend.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_was_not_waited_for_is_waited_for_at_release() {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("SET").await.unwrap();
    drop(session);
    backend.set_reset(How::Takes(Duration::from_secs(1)));
    let session = pool.acquire().await.unwrap();
    // Touches the client without asking for anything.
    assert!(!session.is_closed());
    let begun = Instant::now();
    assert_eq!(session.release().await, Released::Clean);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

/// Leaves `SET` behind, and tells how the next session meets a reset that goes wrong.
async fn poisoned(how: How) -> (CloseReason, Duration, Vec<String>) {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("SET").await.unwrap();
    drop(session);
    backend.set_reset(how);
    let session = pool.acquire().await.unwrap();
    assert_eq!(session.close_reason(), None);
    let begun = Instant::now();
    // The server does answer it, in the state of the session before.
    let err = session.batch_execute("PROBE").await.unwrap_err();
    assert!(err.is_closed() && err.code().is_none(), "{err:?}");
    let took = begun.elapsed();
    let reason = session.close_reason().unwrap();
    assert_eq!(session.release().await, Released::Closed(reason));
    assert_eq!(pool.snapshot().totals.dirty_closes, 1);

    backend.set_reset(How::Works);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("PROBE").await.unwrap();
    assert_eq!(backend.connects(), 2);
    drop(session);
    let limit = Drain::Sessions(Duration::from_secs(1));
    assert!(pool.shutdown(limit).await.complete);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(backend.standing(), 0);
    (reason, took, backend.log())
}

#[tokio::test(start_paused = true)]
async fn behind_a_reset_that_fails_no_answer_comes_through() {
    let (reason, ..) = poisoned(How::Fails).await;
    assert_eq!(reason, CloseReason::ResetFailed);
}

#[tokio::test(start_paused = true)]
async fn behind_a_reset_that_leaves_a_transaction_no_answer_comes_through() {
    let (reason, ..) = poisoned(How::LeavesTransaction).await;
    assert_eq!(reason, CloseReason::ResetLeftTransaction);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_hangs_ends_the_session_in_time_and_is_canceled() {
    let (reason, took, log) = poisoned(How::Hangs).await;
    assert_eq!(reason, CloseReason::ResetTimedOut);
    let limit = Duration::from_secs(5);
    assert!(limit <= took && took < limit * 2, "{took:?}");
    assert!(log.contains(&"canceled".to_owned()), "{log:?}");
}

/// The timer that the first reset has set must not end the ones after it.
#[tokio::test(start_paused = true)]
async fn each_reset_has_its_own_time() {
    let backend = Backend::new();
    let pool = pool(&backend);
    backend.set_reset(How::Takes(Duration::from_secs(3)));
    for _ in 0..5 {
        let session = pool.acquire().await.unwrap();
        session.batch_execute("PROBE").await.unwrap();
    }
    assert_eq!(backend.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_rolled_back_is_reset_at_once() {
    let backend = Backend::new();
    let builder = over(&backend).reset(Reset::Pipelined);
    let pool = builder.on_dirty(OnDirty::Rollback).build().unwrap();
    let session = pool.acquire().await.unwrap();
    session.batch_execute("BEGIN").await.unwrap();
    assert_eq!(session.release().await, Released::RolledBack);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("PROBE").await.unwrap();
    assert_eq!(backend.log(), ["BEGIN", "ROLLBACK", "DISCARD ALL", "PROBE"]);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_was_dropped_before_it_was_sent_is_not_met_by_the_next() {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("SET").await.unwrap();
    // On this one thread the driver's task cannot run in between.
    assert!(session.batch_execute("HANG").now_or_never().is_none());
    let begun = Instant::now();
    let next = next_after(&pool, session).await;
    next.batch_execute("PROBE").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(backend.connects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_detached_connection_is_reset_in_front_too() {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("SET").await.unwrap();
    drop(session);
    let client = pool.acquire().await.unwrap().detach();
    client.batch_execute("PROBE").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_share_a_session_are_all_behind_its_reset() {
    let backend = Backend::new();
    let pool = pool(&backend);
    for _ in 0..100 {
        let session = Arc::new(pool.acquire().await.unwrap());
        let users = (0..4).map(|_| {
            let session = Arc::clone(&session);
            tokio::spawn(async move { session.batch_execute("PROBE").await })
        });
        for probed in join_all(users).await {
            probed.unwrap().unwrap();
        }
        session.batch_execute("SET").await.unwrap();
    }
    assert_eq!(backend.connects(), 1);
}

#[tokio::test]
async fn a_timeout_that_a_session_has_set_cannot_make_its_state_leak() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).reset(Reset::Pipelined).build().unwrap();
    let observer = pg.client("postgres").await;
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    let left = "CREATE TEMP TABLE mine (id int); SET statement_timeout = '200ms'";
    session.batch_execute(left).await.unwrap();
    // The reset cannot drop the table in time.
    let locked = "BEGIN; LOCK TABLE pg_depend IN ACCESS EXCLUSIVE MODE";
    observer.batch_execute(locked).await.unwrap();
    let next = next_after(&pool, session).await;
    let err = next.batch_execute("SELECT 'mine'").await.unwrap_err();
    assert!(err.is_closed(), "{err:?}");
    assert_eq!(next.close_reason(), Some(CloseReason::ResetFailed));
    observer.batch_execute("ROLLBACK").await.unwrap();

    let next = next_after(&pool, next).await;
    assert_ne!(pid(&next).await, backend);
    assert_eq!(text(&next, "SHOW statement_timeout").await, "0");
}
