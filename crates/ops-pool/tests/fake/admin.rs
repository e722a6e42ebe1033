//! What an operator asks of a pool.

use std::time::Duration;

use futures_util::FutureExt;
use ops_core::ErrorKind;
use ops_pool::{Acquire, AcquireError, CloseReason, Released};

use crate::server::{Fake, Login};
use crate::{all_of, over, settle};

#[tokio::test(start_paused = true)]
async fn a_pause_ends_when_every_session_is_back_and_nobody_is_served_in_it() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(2).build().unwrap();
    let mut sessions = all_of(&pool, 2).await;
    let (held, idle) = (sessions.pop().unwrap(), sessions.pop().unwrap());
    assert_eq!(idle.release().await, Released::Clean);

    let pause = tokio::spawn({
        let pool = pool.clone();
        async move { pool.pause().await }
    });
    settle().await;
    assert_eq!(fake.standing(), 1, "what is idle is closed at once");
    assert!(pool.snapshot().paused && !pause.is_finished());
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    assert_eq!(held.release().await, Released::Closed(CloseReason::Paused));
    assert!(pause.await.unwrap());
    settle().await;
    assert_eq!(fake.standing(), 0);
    assert!(!waiter.is_finished());

    pool.resume();
    waiter.await.unwrap().unwrap();
    assert!(!pool.snapshot().paused);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_for_a_pause_to_end_is_told_of_it() {
    let fake = Fake::new();
    let pool = over(&fake).build().unwrap();
    assert!(pool.pause().await);
    let how = Acquire::new().timeout(Duration::from_secs(1));
    let err = pool.acquire_with(how).await.unwrap_err();
    assert!(matches!(err, AcquireError::Paused(_)), "{err:?}");
    assert_eq!(ops_core::Error::from(err).kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_ended_before_the_last_session_is_back_says_so() {
    let fake = Fake::new();
    let pool = over(&fake).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let pause = tokio::spawn({
        let pool = pool.clone();
        async move { pool.pause().await }
    });
    settle().await;
    pool.resume();
    assert!(!pause.await.unwrap());
    assert_eq!(session.release().await, Released::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_paused_can_shut_down() {
    let fake = Fake::new();
    let pool = over(&fake).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let mut pause = Box::pin(pool.pause());
    assert!(pause.as_mut().now_or_never().is_none());
    let _ = pool.shutdown(ops_pool::Drain::Now).await;
    drop(session);
    assert!(pause.await, "no connection is left");
}

#[tokio::test(start_paused = true)]
async fn reconnecting_replaces_every_connection_and_refuses_nobody() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(2).build().unwrap();
    let sessions = all_of(&pool, 2).await;
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    settle().await;
    pool.reconnect();
    let mut closed = Box::pin(pool.wait_close());
    assert!(closed.as_mut().now_or_never().is_none());
    for session in sessions {
        assert_eq!(
            session.release().await,
            Released::Closed(CloseReason::Reconnect)
        );
    }
    closed.await;
    waiter.await.unwrap().unwrap();
    assert!(fake.attempts() >= 3, "{} connections", fake.attempts());
    let fresh = pool.acquire().await.unwrap();
    assert_eq!(fresh.release().await, Released::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_being_opened_is_given_up_by_a_reconnect() {
    let fake = Fake::new();
    fake.set_login(Login::Takes(Duration::from_secs(10)));
    let pool = over(&fake).build().unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    settle().await;
    fake.set_login(Login::Works);
    pool.reconnect();
    let begun = tokio::time::Instant::now();
    waiter.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    pool.wait_close().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(fake.standing(), 1, "the one that was given up is gone");
}

#[tokio::test(start_paused = true)]
async fn a_pool_can_grow_and_shrink() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    let first = pool.acquire().await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.unwrap() }
    });
    settle().await;
    assert!(!waiter.is_finished());
    pool.resize(pool.size().with_pool_size(3)).unwrap();
    let second = waiter.await.unwrap();
    let third = pool.acquire().await.unwrap();

    pool.resize(pool.size().with_pool_size(1)).unwrap();
    assert_eq!(
        third.release().await,
        Released::Closed(CloseReason::PoolShrunk)
    );
    assert_eq!(
        second.release().await,
        Released::Closed(CloseReason::PoolShrunk)
    );
    assert_eq!(first.release().await, Released::Clean);
    assert_eq!(pool.snapshot().pool_size, 1);
    assert_eq!(pool.snapshot().idle, 1);
}

#[tokio::test(start_paused = true)]
async fn a_size_that_contradicts_itself_changes_nothing() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(5)
        .lane(ops_pool::Lane::new("console").reserved(2))
        .build()
        .unwrap();
    let before = pool.size();
    let err = pool.resize(before.with_pool_size(2).with_min_pool_size(3));
    let text = err.unwrap_err().to_string();
    for part in ["min_pool_size is 3", "nothing is left for lane default"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(pool.size(), before);
}
