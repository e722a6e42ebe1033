//! What is ended by the pool, so that the connection can be used again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ops_pool::{CloseReason, OnDirty, Released, Reset, Session, SessionPool};
use tokio::time::{Instant, sleep};

use crate::backend::{Backend, How};
use crate::{next_after, over};

fn pool(backend: &Arc<Backend>) -> SessionPool {
    let builder = over(backend).on_dirty(OnDirty::Rollback);
    builder.build().unwrap()
}

/// Begins a query, and drops it once the server runs it.
async fn abandon(session: &Session, query: &str) {
    let running = sleep(Duration::from_millis(1));
    tokio::select! {
        biased;
        ended = session.batch_execute(query) => panic!("{query} ended: {ended:?}"),
        () = running => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_rolled_back_and_then_the_session_is_reset() {
    for (left, status) in [("SELECT 1", "open"), ("FAIL", "failed")] {
        let backend = Backend::new();
        let pool = pool(&backend);
        let session = pool.acquire().await.unwrap();
        session.batch_execute("BEGIN").await.unwrap();
        let _ = session.batch_execute(left).await;
        assert_eq!(session.release().await, Released::RolledBack, "{status}");
        assert_eq!(backend.log(), ["BEGIN", left, "ROLLBACK", "DISCARD ALL"]);
        let next = pool.acquire().await.unwrap();
        next.batch_execute("PROBE").await.unwrap();
        assert_eq!((backend.connects(), backend.standing()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_that_runs_is_canceled() {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    session.batch_execute("BEGIN").await.unwrap();
    abandon(&session, "HANG").await;
    assert_eq!(session.release().await, Released::RolledBack);
    assert_eq!(
        backend.log(),
        ["BEGIN", "HANG", "canceled", "ROLLBACK", "DISCARD ALL"]
    );
    assert_eq!(backend.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_of_several_queries_is_canceled() {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    for _ in 0..3 {
        assert!(session.batch_execute("HANG").now_or_never().is_none());
    }
    assert_eq!(session.release().await, Released::RolledBack);
    let next = pool.acquire().await.unwrap();
    next.batch_execute("PROBE").await.unwrap();
    assert_eq!(backend.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_to_cancel_that_comes_late_hits_nobody() {
    let backend = Backend::new();
    let pool = pool(&backend);
    backend.set_cancel_takes(Duration::from_millis(50));
    let session = pool.acquire().await.unwrap();
    // Over long before the request arrives.
    abandon(&session, "SLEEP 10").await;
    let next = next_after(&pool, session).await;
    next.batch_execute("PROBE").await.unwrap();
    next.batch_execute("SLEEP 100").await.unwrap();
    let log = backend.log();
    let expected = ["SLEEP 10", "canceled", "DISCARD ALL", "PROBE", "SLEEP 100"];
    assert_eq!(log, expected);
}

/// As one is that arrives before the server has begun with the query.
#[tokio::test(start_paused = true)]
async fn a_request_to_cancel_that_is_lost_is_sent_again() {
    let backend = Backend::new();
    let pool = pool(&backend);
    backend.set_cancel_takes(Duration::from_millis(20));
    backend.lose_cancels(3);
    let session = pool.acquire().await.unwrap();
    abandon(&session, "HANG").await;
    let begun = Instant::now();
    assert_eq!(session.release().await, Released::RolledBack);
    assert!(begun.elapsed() < Duration::from_secs(1));
    let log = backend.log();
    let expected = ["HANG", "lost", "lost", "lost", "canceled", "DISCARD ALL"];
    assert_eq!(log, expected);
    assert_eq!(backend.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_each_request_to_cancel_is_lost_the_connection_is_closed() {
    let backend = Backend::new();
    let pool = pool(&backend);
    backend.lose_cancels(usize::MAX);
    let session = pool.acquire().await.unwrap();
    abandon(&session, "HANG").await;
    let begun = Instant::now();
    let closed = Released::Closed(CloseReason::QueryInFlight);
    assert_eq!(session.release().await, closed);
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3));
    // Less and less often.
    let sent = backend.log().iter().filter(|it| *it == "lost").count();
    assert!((4..8).contains(&sent), "{sent}");
}

/// It may still arrive, and hit whatever the connection runs then.
#[tokio::test(start_paused = true)]
async fn a_request_to_cancel_that_fails_closes_the_connection() {
    let backend = Backend::new();
    let pool = pool(&backend);
    backend.set_cancel_takes(Duration::from_millis(50));
    backend.set_cancels_vanish(true);
    let session = pool.acquire().await.unwrap();
    abandon(&session, "SLEEP 10").await;
    let closed = Released::Closed(CloseReason::QueryInFlight);
    assert_eq!(session.release().await, closed);
    let next = pool.acquire().await.unwrap();
    next.batch_execute("SLEEP 100").await.unwrap();
    assert_eq!(backend.connects(), 2);
}

/// Whenever the query ends, before, while and after a request is sent or sent again.
#[tokio::test(start_paused = true)]
async fn nothing_begins_while_a_request_to_cancel_is_under_way() {
    for lost in 0..3 {
        for length in (0..600).step_by(7) {
            let backend = Backend::new();
            let pool = pool(&backend);
            backend.set_cancel_takes(Duration::from_millis(30));
            backend.lose_cancels(lost);
            let session = pool.acquire().await.unwrap();
            let query = format!("SLEEP {length}");
            let _ = tokio::time::timeout(Duration::ZERO, session.batch_execute(&query)).await;
            let next = next_after(&pool, session).await;
            for _ in 0..5 {
                next.batch_execute("SLEEP 50").await.unwrap();
            }
            assert_eq!(backend.endangered(), [""; 0], "{lost} lost, {query}");
            assert_eq!(backend.connects(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_to_cancel_that_stays_under_way_closes_the_connection() {
    let backend = Backend::new();
    let pool = pool(&backend);
    backend.set_cancel_takes(Duration::from_secs(3));
    let session = pool.acquire().await.unwrap();
    abandon(&session, "SLEEP 10").await;
    let begun = Instant::now();
    let closed = Released::Closed(CloseReason::QueryInFlight);
    assert_eq!(session.release().await, closed);
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3));
    let next = pool.acquire().await.unwrap();
    next.batch_execute("SLEEP 5000").await.unwrap();
    assert_eq!(backend.connects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_does_not_stop_closes_the_connection() {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    abandon(&session, "STUBBORN").await;
    let begun = Instant::now();
    let closed = Released::Closed(CloseReason::QueryInFlight);
    assert_eq!(session.release().await, closed);
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(pool.snapshot().totals.dirty_closes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_goes_wrong_after_a_rollback_closes_the_connection() {
    for (how, reason) in [
        (How::Fails, CloseReason::ResetFailed),
        (How::Hangs, CloseReason::ResetTimedOut),
        (How::LeavesTransaction, CloseReason::ResetLeftTransaction),
    ] {
        let backend = Backend::new();
        let pool = pool(&backend);
        let session = pool.acquire().await.unwrap();
        session.batch_execute("BEGIN").await.unwrap();
        backend.set_reset(how);
        assert_eq!(session.release().await, Released::Closed(reason));
        let next = pool.acquire().await.unwrap();
        next.batch_execute("PROBE").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_rolled_back_without_a_reset_too() {
    let backend = Backend::new();
    let builder = over(&backend).reset(Reset::None);
    let pool = builder.on_dirty(OnDirty::Rollback).build().unwrap();
    let session = pool.acquire().await.unwrap();
    session.batch_execute("BEGIN").await.unwrap();
    assert_eq!(session.release().await, Released::RolledBack);
    assert_eq!(backend.log(), ["BEGIN", "ROLLBACK"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_ended_in_time_is_not_called_rolled_back() {
    for reset in [Reset::DiscardAll, Reset::None] {
        let backend = Backend::new();
        let builder = over(&backend).reset(reset);
        let pool = builder.on_dirty(OnDirty::Rollback).build().unwrap();
        let session = pool.acquire().await.unwrap();
        session.batch_execute("BEGIN").await.unwrap();
        session.batch_execute("COMMIT").await.unwrap();
        assert_eq!(session.release().await, Released::Clean);
    }
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let builder = || over(&Backend::new()).on_dirty(OnDirty::Rollback);
    let zero = builder()
        .cancel_timeout(Duration::ZERO)
        .build()
        .unwrap_err();
    assert!(zero.to_string().contains("cancel_timeout is 0"), "{zero}");
    let long = builder().cancel_timeout(Duration::from_secs(6)).build();
    let long = long.unwrap_err().to_string();
    assert!(long.contains("longer than reset_timeout"), "{long}");
    // Without effect elsewhere.
    let closes = over(&Backend::new()).cancel_timeout(Duration::ZERO);
    assert!(closes.build().is_ok());
}
