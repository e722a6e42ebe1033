//! The core carries other sessions than those of PostgreSQL: here those of a real Redis.

mod shell;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use ops_testkit::{Redis, wait_until};

use super::bench::settings;
use super::*;
use shell::{Pool, Session};

const PATIENCE: Duration = Duration::from_secs(20);
/// What callers leave behind.
const LEFTOVERS: [&[&[&str]]; 8] = [
    &[&["SELECT", "3"]],
    &[&["CLIENT", "SETNAME", "leftover"]],
    &[&["MULTI"]],
    &[&["MULTI"], &["SET", "half", "1"]],
    &[&["WATCH", "key"], &["MULTI"], &["NO SUCH COMMAND"]],
    &[&["SUBSCRIBE", "channel"]],
    &[&["PSUBSCRIBE", "chan*"]],
    &[&["HELLO", "3"], &["CLIENT", "TRACKING", "ON"]],
];

fn pool(redis: &Redis, size: usize) -> Arc<Pool> {
    let settings = Settings {
        // What was idle is asked before it is handed out.
        server_check_delay: Some(Duration::ZERO),
        server_login_retry: Duration::from_millis(50),
        ..settings(size)
    };
    Pool::new(redis.socket(), settings)
}

/// What Redis knows of the session, but for what no reset changes.
async fn state(session: &mut Session) -> (String, String) {
    let id = session.ask(&["CLIENT", "ID"]).await.unwrap();
    let info = session.ask(&["CLIENT", "INFO"]).await.unwrap();
    let told = ["db=", "name=", "sub=", "psub=", "multi=", "flags=", "resp="];
    let words = info.split(' ');
    let kept = words.filter(|word| told.iter().any(|key| word.starts_with(key)));
    (id, kept.collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn nobody_meets_what_another_has_left() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let pool = pool(&redis, 1);
    let pristine = state(&mut pool.acquire().await.unwrap()).await;
    for left_by in LEFTOVERS {
        let mut session = pool.acquire().await.unwrap();
        for words in left_by {
            session.ask(words).await.unwrap();
        }
        drop(session);
        let mut next = pool.acquire().await.unwrap();
        // The same connection, and nothing else the same.
        assert_eq!(state(&mut next).await, pristine, "after {left_by:?}");
        assert_eq!(next.ask(&["EXISTS", "half"]).await.unwrap(), ":0");
    }
    assert_eq!(pool.counts().idle + pool.counts().resetting, 1);
}

#[tokio::test]
async fn a_session_with_a_command_in_flight_is_closed() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let pool = pool(&redis, 1);
    let mut session = pool.acquire().await.unwrap();
    let id = session.ask(&["CLIENT", "ID"]).await.unwrap();
    assert!(
        session
            .ask(&["BLPOP", "never", "60"])
            .now_or_never()
            .is_none()
    );
    drop(session);
    let mut next = pool.acquire().await.unwrap();
    assert_ne!(next.ask(&["CLIENT", "ID"]).await.unwrap(), id);
}

#[tokio::test]
async fn callers_are_served_in_their_order_and_one_who_leaves_keeps_nobody_up() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let pool = pool(&redis, 1);
    let held = pool.acquire().await.unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let mut calls = Vec::new();
    for turn in 0..40 {
        let (pool, served) = (Arc::clone(&pool), Arc::clone(&served));
        let mut call = Box::pin(async move {
            let mut session = pool.acquire().await.unwrap();
            assert_eq!(served.fetch_add(1, Ordering::SeqCst), turn / 2);
            assert_eq!(session.ask(&["PING"]).await.unwrap(), "+PONG");
        });
        assert!((&mut call).now_or_never().is_none());
        // Every other one leaves.
        if turn % 2 == 0 {
            calls.push(tokio::spawn(call));
        }
    }
    drop(held);
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(pool.counts().active, 0);
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let pool = pool(&redis, 2);
    let mut out = pool.acquire().await.unwrap();
    drop(pool.acquire().await.unwrap());
    redis.kill9().await;
    assert!(out.ask(&["PING"]).await.is_err());
    drop(out);
    wait_until("the outage to be told", PATIENCE, async || {
        matches!(pool.acquire().await, Err(Refusal::ServerDown { .. }))
    })
    .await;
    redis.start_again().await;
    wait_until("a session", PATIENCE, async || match pool.acquire().await {
        Ok(mut session) => session.ask(&["PING"]).await.is_ok(),
        Err(_) => false,
    })
    .await;
    let mut both = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    assert_eq!(both.0.ask(&["PING"]).await.unwrap(), "+PONG");
    assert_eq!(both.1.ask(&["PING"]).await.unwrap(), "+PONG");
    assert_eq!(pool.counts().active, 2);
}
